"""Files that come back from a backend whose answers cannot be trusted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import structs

from jupyter_sessions.backends.file_transfer import FileContent, FileEntry
from jupyter_sessions.client import Api
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.job_files import JobFiles
from jupyter_sessions.errors import BadAnswer
from tests.client.test_file_trees import Listed, row

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("name", ["../job-1", "/tmp/job-1", "a/job-1", "..", "", "job\0-1"])
async def test_a_replicas_name_does_not_lead_out_of_the_current_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    job = JobFiles(patterns=["out"], replicas=True)
    named = structs.replace(row(), name=name)
    with pytest.raises(BadAnswer, match="names a session"):
        await job.fetch(cast("Api", Listed("out")), named, cast("Face", print))
    assert [*tmp_path.rglob("*")] == [here]


async def test_an_exit_code_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    class Hostile(Listed):
        async def ls(self, backend: str, id: str, path: str = ".") -> list[FileEntry]:
            return [FileEntry(name="mark-done-", kind="file", size=1)]

        async def upload(self, *_: Any) -> None:
            """Take a file."""

        @asynccontextmanager
        async def download(self, backend: str, id: str, path: str) -> AsyncIterator[FileContent]:
            async def chunks() -> AsyncIterator[bytes]:
                nonlocal read
                while read < 10_000:
                    read += 1
                    yield b"1"

            yield FileContent(chunks(), None)

    monkeypatch.chdir(tmp_path)
    job = JobFiles(patterns=["out"], mark="mark", wraps=True)
    with pytest.raises(BadAnswer, match="exit code of 'demo'"):
        await job.exchange(cast("Api", Hostile()), row(), cast("Face", print))
    assert read < 100
