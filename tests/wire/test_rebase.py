"""What a service says of its own path is translated, byte for byte and however it is cut into pieces."""

from __future__ import annotations

import pytest

from jupyter_sessions.wire.proxy.rebase import Rebase

INNER, OUTER = "/jupyter-sessions-0123/", "/user/me/jupyter-sessions/services/local/x/jupyter/"


@pytest.mark.parametrize("size", [1, 2, 7, 23, 1000])
def test_a_body_is_translated_in_whatever_pieces_it_comes(size: int) -> None:
    whole = f'{{"base": "{INNER}", "half": "{INNER[:-3]}", "lab": "{INNER}lab"}}{INNER[:9]}'.encode()
    rebase = Rebase(INNER, OUTER)
    pieces = [rebase.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert b"".join([*pieces, rebase.end()]) == whole.replace(INNER.encode(), OUTER.encode())


def test_nothing_is_held_back_that_cannot_be_the_path() -> None:
    rebase = Rebase(INNER, OUTER)
    assert rebase.feed(b'{"line": 1}\n') == b'{"line": 1}\n'
    assert rebase.feed(b"/jupyter-sess") == b""
    assert rebase.feed(b"x") == b"/jupyter-sessx"


def test_requests_and_links() -> None:
    rebase = Rebase(INNER, OUTER)
    assert rebase.target(f"{OUTER}lab?next=/x") == f"{INNER}lab?next=/x"
    sent = [("Location", f"{INNER}lab"), ("Content-Length", "3"), ("ETag", "x")]
    assert list(rebase.fields(sent, text=True)) == [("Location", f"{OUTER}lab"), ("ETag", "x")]
    assert list(rebase.fields(sent, text=False)) == [("Location", f"{OUTER}lab"), *sent[1:]]


@pytest.mark.parametrize(
    ("status", "kind", "coding", "text"),
    [
        (200, "text/html; charset=UTF-8", "", True),
        (200, "text/css", "identity", True),
        (200, "application/json", "", True),
        (200, "application/manifest+json", "", True),
        (200, "text/html", "gzip", False),
        (206, "text/html", "", False),
        (200, "text/javascript", "", False),
        (200, "text/event-stream", "", False),
        (200, "application/octet-stream", "", False),
        (200, "", "", False),
    ],
)
def test_what_is_translated(status: int, kind: str, coding: str, text: bool) -> None:
    fields = [("Content-Type", kind)] * bool(kind) + [("Content-Encoding", coding)] * bool(coding)
    assert Rebase.is_text(status, fields) is text
