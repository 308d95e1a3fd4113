"""Addresses of services, which a backend may have made up, and the page that opens one in a browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_sessions.client.services import ServiceLink
from jupyter_sessions.commands import services
from jupyter_sessions.commands.links import address_of, with_token
from jupyter_sessions.model import Service

BASE = "http://localhost:8888/"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://lab.example.org/x", "https://lab.example.org/x"),
        ("services/demo/?to=http://other", f"{BASE}services/demo/?to=http://other"),
        ("javascript://%0aalert(1)", f"{BASE}javascript://%0aalert(1)"),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_only_addresses_of_web_pages_are_absolute(url: str, expected: str) -> None:
    assert address_of(Service(name="x", url=url), BASE) == expected
    if expected:
        assert ServiceLink("x", "http", url, BASE).url == expected


def test_an_address_has_no_control_characters() -> None:
    assert address_of(Service(name="x", url="https://a/\x1b]0;title\x07"), BASE) == "https://a/?]0;title?"
    assert address_of(Service(name="x", url="a\x1b[2J"), BASE) == f"{BASE}a?[2J"


def test_a_token_is_in_the_query() -> None:
    assert with_token("http://a/b/", "t/&") == "http://a/b/?token=t%2F%26"
    assert with_token("http://a/b/?c=d#e", "t") == "http://a/b/?c=d&token=t#e"


def test_pages_with_a_token_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(services.webbrowser, "open", lambda _: True)
    for number in range(2):
        assert services.browse(f"http://a/{number}", "secret")
    pages = sorted(tmp_path.iterdir())
    assert len(pages) == 2  # A browser may not have read the first one yet.
    for page in pages:
        os.utime(page, (0, 0))
    assert services.browse("http://a/3", "secret")
    (page,) = tmp_path.iterdir()
    assert "http://a/3?token=secret" in page.read_text()
