"""How the reason for a session's status is told to people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_sessions.model import STATUSES, because, standing, status_clause, status_word


@pytest.mark.parametrize(
    ("info", "end", "whole"),
    [
        ("user-requested", " (on request).", "The session 'demo' has ended (on request)."),
        ("it crashed", ": it crashed.", "The session 'demo' has ended (it crashed)."),
        ("It was idle.", ": It was idle.", "The session 'demo' has ended: it was idle."),
        ("", ".", "The session 'demo' has ended."),
    ],
)
def test_a_code_becomes_words_and_a_sentence_stays(info: str, end: str, whole: str) -> None:
    assert because(info) == end
    assert standing("demo", "TERMINATED", info) == whole


def test_a_waiting_session_tells_what_for() -> None:
    assert standing("demo", "PENDING", "Waiting for 1 GPU (0 free).") == (
        "The session 'demo' is waiting for 1 GPU (0 free)."
    )


@pytest.mark.parametrize(
    ("status", "word", "clause"),
    [
        ("PENDING", "waiting", "is waiting"),
        ("PREPARING", "starting", "is starting"),
        ("RUNNING", "running", "is running"),
        ("TERMINATING", "terminating", "is terminating"),
        ("TERMINATED", "ended", "has ended"),
        ("ERROR", "failed", "has failed"),
        ("CANCELLED", "cancelled", "was cancelled"),
        ("NEW_ONE", "NEW_ONE", "is NEW_ONE"),
    ],
)
def test_a_status_becomes_a_word(status: str, word: str, clause: str) -> None:
    assert (status_word(status), status_clause(status)) == (word, clause)


def test_the_panel_and_the_commands_have_the_same_words() -> None:
    source = Path(__file__).parent.parent / "labextension" / "src" / "status.ts"
    labels = dict(re.findall(r"^    (\w+): trans\.__\('([^']+)'\)", source.read_text(), re.MULTILINE))
    assert {status: status_word(status).capitalize() for status in STATUSES} == {
        status: labels[status] for status in STATUSES
    }
