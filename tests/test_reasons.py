"""How the reason for a session's status is told to people."""

from __future__ import annotations

import pytest

from jupyter_sessions.model import because, standing


@pytest.mark.parametrize(
    ("info", "end", "whole"),
    [
        ("user-requested", " (on request).", "The session 'demo' is TERMINATED (on request)."),
        ("it crashed", ": it crashed.", "The session 'demo' is TERMINATED (it crashed)."),
        ("It was idle.", ": It was idle.", "The session 'demo' is TERMINATED: it was idle."),
        ("", ".", "The session 'demo' is TERMINATED."),
    ],
)
def test_a_code_becomes_words_and_a_sentence_stays(info: str, end: str, whole: str) -> None:
    assert because(info) == end
    assert standing("demo", "TERMINATED", info) == whole
