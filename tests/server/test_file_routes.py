"""Files of sessions go through the server while they arrive, and stay in the session's working folder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest

from jupyter_sessions.backends.local import find
from jupyter_sessions.client.remote import RemoteService
from jupyter_sessions.errors import InvalidRequest, NotFound, NotSupported
from jupyter_sessions.wire.access import ServerInfo

if TYPE_CHECKING:
    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension

GIB = 1024**3
CHUNK = b"\0" * 256 * 1024
GROWTH = 96 * 1024**2
"""How much memory a process may take for a file of any size."""


@pytest.fixture
def jupyter_sessions_config(toys: Path) -> dict[str, Any]:
    return {"backends": {"toy": {"type": "toy", "title": "Toys"}}}


@pytest.fixture
def remote(
    extension: SessionsExtension, rest: Rest, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[RemoteService]:
    assert extension._access_file is not None
    made = RemoteService(msgspec.json.decode(extension._access_file.read_bytes(), type=ServerInfo))
    yield made
    jp_asyncio_loop.run_until_complete(made.close())


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def many(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(CHUNK)):
        yield CHUNK


@contextmanager
def flat_memory(*processes: psutil.Process) -> Iterator[None]:
    """Fail if a process grows beyond `GROWTH` meanwhile."""
    before = [process.memory_info().rss for process in processes]
    most, over = [*before], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for number, process in enumerate(processes):
                most[number] = max(most[number], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert [peak - start for peak, start in zip(most, before, strict=True) if peak - start > GROWTH] == []


async def test_a_file_goes_up_is_listed_and_comes_down(rest: Rest, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    row = await rest.running("files", cwd=str(work))
    path = f"sessions/local/{row['id']}/files"
    sent = await rest.ask("PUT", f"{path}/content?path=results/a%20b.txt", content=b"hello")
    assert sent.status_code == 204 and (work / "results" / "a b.txt").read_bytes() == b"hello"
    top = await rest.json("GET", path)
    assert top["path"] == "." and [(one["name"], one["kind"]) for one in top["files"]] == [
        ("results", "folder")
    ]
    (entry,) = (await rest.json("GET", f"{path}?path=results"))["files"]
    assert (entry["name"], entry["kind"], entry["size"]) == ("a b.txt", "file", 5) and entry["modified"]
    got = await rest.ask("GET", f"{path}/content?path=results/a%20b.txt")
    assert (got.status_code, got.content) == (200, b"hello")
    assert got.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20b.txt"
    assert (got.headers["Content-Type"], got.headers["Content-Length"]) == ("application/octet-stream", "5")


async def test_files_of_an_ended_session_can_still_be_fetched(rest: Rest, tmp_path: Path) -> None:
    row = await rest.running("files", cwd=str(tmp_path))
    (tmp_path / "result").write_text("42")
    await rest.until(await rest.end(row), "TERMINATED")
    assert (await rest.ask("GET", f"sessions/local/{row['id']}/files/content?path=result")).text == "42"
    status, said = await rest.refused(
        "PUT", f"sessions/local/{row['id']}/files/content?path=late", content=b"x"
    )
    assert (status, said["reason"]) == (409, "NotRunning") and not (tmp_path / "late").exists()


async def test_nothing_leaves_the_working_folder(rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "work" / "out").symlink_to(tmp_path)
    row = await rest.running("files", cwd=str(tmp_path / "work"))
    path = f"sessions/local/{row['id']}/files"
    for name in ("../secret", "out/secret", str(tmp_path / "secret")):
        for method, options in (("GET", {}), ("PUT", {"content": b"changed"})):
            status, said = await rest.refused(method, f"{path}/content", params={"path": name}, **options)
            assert status == 400 and "not in the session's working folder" in said["message"], said
    assert (tmp_path / "secret").read_text() == "outside"
    status, said = await rest.refused("GET", f"{path}?path=..")
    assert status == 400


async def test_refusals_say_what_is_wrong(rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    row = await rest.running("files", cwd=str(tmp_path))
    path = f"sessions/local/{row['id']}/files"
    assert (await rest.refused("GET", f"{path}/content?path=none"))[0] == 404
    assert (await rest.refused("GET", f"{path}?path=none"))[0] == 404
    assert (await rest.refused("GET", f"{path}/content?path=folder"))[0] == 400
    status, said = await rest.refused("PUT", f"{path}/content", content=b"x")
    assert (status, said["field"]) == (400, "path")
    status, said = await rest.refused("PUT", "sessions/local/nobody/files/content?path=x", content=b"x")
    assert (status, said["reason"]) == (404, "SessionNotFound")
    toy = await rest.json("POST", "sessions", {"backend": "toy", "name": "t"}, status=202)
    status, said = await rest.refused("GET", f"sessions/toy/{toy['id']}/files")
    assert (status, said["reason"]) == (501, "NotSupported")


async def test_nobody_without_access_sends_or_fetches(rest: Rest, tmp_path: Path) -> None:
    row = await rest.running("files", cwd=str(tmp_path))
    (tmp_path / "f").write_text("x")
    where = f"sessions/local/{row['id']}/files/content?path=f"
    rest.client.cookies.clear()
    for method in ("GET", "PUT"):
        response = await rest.ask(method, where, content=b"y", headers={"Authorization": "token wrong"})
        assert response.status_code == 403
    assert (tmp_path / "f").read_text() == "x"


async def test_the_client_speaks_in_the_same_errors(
    rest: Rest, remote: RemoteService, tmp_path: Path
) -> None:
    row = await rest.running("files", cwd=str(tmp_path))
    await remote.upload("local", row["id"], "d/f", pieces(b"abc"))
    assert [entry.name for entry in await remote.ls("local", row["id"], "d")] == ["f"]
    async with remote.download("local", row["id"], "d/f") as content:
        assert content.size == 3 and b"".join([chunk async for chunk in content.chunks]) == b"abc"
    with pytest.raises(NotFound):
        async with remote.download("local", row["id"], "d/none"):
            pass
    for size in (2, 4):
        with pytest.raises(InvalidRequest, match="changed while it was sent"):
            await remote.upload("local", row["id"], "cut", pieces(b"abc"), size)
    assert not (tmp_path / "cut").exists()
    toy = await rest.json("POST", "sessions", {"backend": "toy", "name": "t"}, status=202)
    with pytest.raises(NotSupported, match="cannot send files"):
        await remote.upload("toy", toy["id"], "x", pieces(b"x"))


@pytest.mark.timeout(400)
async def test_a_gibibyte_takes_no_more_memory_than_a_small_file(
    rest: Rest, remote: RemoteService, tmp_path: Path
) -> None:
    row = await rest.running("files", cwd=str(tmp_path))
    contact = find()
    assert contact is not None
    with flat_memory(psutil.Process(), psutil.Process(contact.identity.pid)):
        await remote.upload("local", row["id"], "big", many(GIB), GIB)
        assert (tmp_path / "big").stat().st_size == GIB
        got = 0
        async with remote.download("local", row["id"], "big") as content:
            assert content.size == GIB
            async for chunk in content.chunks:
                got += len(chunk)
    assert got == GIB
    (tmp_path / "big").unlink()
