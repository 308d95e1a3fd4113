"""Logs are written once for all that was read together, not for each message."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.manager.run import logs
from jupyter_sessions.manager.run.logs import LogFiles


def prints(text: str) -> dict[str, Any]:
    return {"header": {"msg_type": "stream"}, "content": {"name": "stdout", "text": text}}


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written, as it is written."""
    found = list[str]()
    append = LogFiles._append

    def noted(files: LogFiles, text: str) -> None:
        found.append(text)
        append(files, text)

    monkeypatch.setattr(LogFiles, "_append", noted)
    return found


@pytest.mark.asyncio
async def test_what_comes_together_is_written_once_before_the_loop_turns(
    tmp_path: Path, writes: list[str]
) -> None:
    kept = LogFiles(tmp_path)
    lines = [f"{number}\n" for number in range(200)]
    for line in lines:
        kept.add(prints(line))
    await asyncio.sleep(0)
    assert writes == ["".join(lines)]
    assert LogFiles(tmp_path).text() == "".join(lines), "whoever reads next finds it on disk"
    kept.add(prints("more"))
    assert kept.text().endswith("199\nmore")
    await asyncio.sleep(0)
    assert len(writes) == 2


@pytest.mark.asyncio
async def test_much_is_written_at_once(
    tmp_path: Path, writes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_MOST_PENDING", 1000)
    kept = LogFiles(tmp_path)
    for _ in range(100):
        kept.add(prints("x" * 99 + "\n"))
    assert max(map(len, writes)) <= 1100
    await asyncio.sleep(0)
    assert len("".join(writes)) == 10_000


def test_without_a_loop_each_is_written_by_itself(tmp_path: Path, writes: list[str]) -> None:
    kept = LogFiles(tmp_path)
    kept.add(prints("a"))
    kept.add(prints("b"))
    assert writes == ["a", "b"]
