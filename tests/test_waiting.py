"""Waiting in tests says what it saw last."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.waiting import until, wait_until


async def _three() -> int:
    return 3


@pytest.mark.asyncio
async def test_waiting_returns_what_holds() -> None:
    assert wait_until(lambda: 2) == 2 and await until(lambda: 2) == 2 and await until(_three) == 3


@pytest.mark.asyncio
async def test_waiting_in_vain_says_the_last_answer_and_the_question() -> None:
    rows: list[str] = []
    with pytest.raises(AssertionError, match=r"not so within 0 s, the last answer was \[\]: .*lambda: rows"):
        await until(lambda: rows, 0)
    with pytest.raises(AssertionError, match=r"(?s)the last answer was \[\].*\nthe log"):
        wait_until(lambda: rows, 0, why=lambda: "the log")


def test_a_process_that_ends_is_not_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "exit(3)"])
    with pytest.raises(AssertionError, match=r"exit code 3"):
        wait_until(lambda: False, process=process)
