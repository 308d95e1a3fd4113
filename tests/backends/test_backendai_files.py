"""Files of sessions on managers of each release, whose ways to ask for them differ; this package's takes all of them."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import structs

from jupyter_sessions.backends import local
from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.backendai.files import MOST_BYTES
from jupyter_sessions.errors import BadAnswer, InvalidRequest, NotFound, SessionError
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.backends.small_manager import SmallManager
from tests.manager.test_files import service as service
from tests.manager.world import run

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=[(23, 9), (25, 5), (26, 4)], ids=str)
async def lab(service: SessionService, request: pytest.FixtureRequest) -> AsyncIterator[BackendAI]:
    """A backend that takes this package's manager for one of another release."""
    found = local.find() or await asyncio.to_thread(local.start)
    keypair = found.keypair
    made = BackendAI("lab", endpoint=found.url, access_key=keypair.access_key, secret_key=keypair.secret_key)
    client = await made.client()
    client._dialect = structs.replace(await client.dialect(), ours=False, release=request.param)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def row(service: SessionService, tmp_path: Path) -> SessionInfo:
    return await run(service, "with-files", cwd=str(tmp_path))


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_files_go_up_and_come_down(lab: BackendAI, row: SessionInfo, tmp_path: Path) -> None:
    sent = bytes(range(256)) * 2000 + b"\r\n--"
    await lab.upload(row.id, "d/ä b", pieces(sent))
    assert (tmp_path / "d" / "ä b").read_bytes() == sent
    (entry,) = await lab.ls(row.id, "d")
    assert (entry.name, entry.kind, entry.size) == ("ä b", "file", len(sent))
    async with lab.download(row.id, "d/ä b") as content:
        assert (content.size, b"".join([chunk async for chunk in content.chunks])) == (len(sent), sent)
    with pytest.raises(InvalidRequest, match="no file"):
        async with lab.download(row.id, "d"):
            pass
    with pytest.raises(NotFound, match="cannot be listed"):
        await lab.ls(row.id, "none")
    with pytest.raises(SessionError):
        async with lab.download(row.id, "none"):
            pass


async def test_a_large_file_is_refused_before_it_is_sent(lab: BackendAI, row: SessionInfo) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1000)

    for size in (None, MOST_BYTES):
        with pytest.raises(InvalidRequest, match="files of less than 1 MiB") as caught:
            await lab.upload(row.id, "large", endless(), size)
        assert "folder" in caught.value.hint


@pytest.mark.parametrize(
    ("archive", "error"), [("sparse", InvalidRequest), ("pax sparse", InvalidRequest), ("noise", BadAnswer)]
)
async def test_an_archive_that_says_too_much(archive: str, error: type[SessionError]) -> None:
    content = {"sparse": _sparse(), "pax sparse": _pax_sparse(), "noise": b"x" * 2048}[archive]

    async def download(_: web.Request) -> web.Response:
        return web.Response(body=b"--b\r\nContent-Type: application/x-tar\r\n\r\n" + content)

    app = SmallManager().app()
    app.router.add_post("/session/some/download", download)
    async with TestServer(app) as server:
        lab = BackendAI("lab", endpoint=str(server.make_url("")), access_key="A", secret_key="S")
        with pytest.raises(error):
            async with lab.download("some", "large"):
                pass
        await lab.close()


def _sparse() -> bytes:
    """Return a GNU sparse file of 1 GiB that holds nothing."""
    info = tarfile.TarInfo("large")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT)[:512])
    header[386:483] = bytes(97)
    header[483:495] = b"%011o\0" % 1024**3
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def _pax_sparse() -> bytes:
    info = tarfile.TarInfo("large")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1024**3)}
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
