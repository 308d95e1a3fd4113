"""A Skaha server that asks for a certificate, and lets in whom it knows."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import BackendUnavailable, Unauthorized
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService, feed
from tests.backends.certificates import Issued
from tests.backends.recorded import Recorded

pytestmark = pytest.mark.asyncio

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Grid:
    """The certificates of one test, and the files that hold them."""

    def __init__(self, folder: Path) -> None:
        self.authority = Issued("authority", kind="authority")
        self.file = self.proxy(self.authority).write(folder / "cadcproxy.pem")
        self.of_others = self.proxy(Issued("others", kind="authority")).write(folder / "others.pem")
        self.trusted = folder / "authority.pem"
        self.trusted.write_bytes(self.authority.pem())
        self.server = Issued("127.0.0.1", self.authority, kind="server").write(folder / "server.pem")

    @staticmethod
    def proxy(authority: Issued) -> Issued:
        """A proxy certificate of somebody whom the authority knows."""
        return Issued("1234567890", Issued("ada", authority), kind="proxy")

    def context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """Of a server that lets in nobody without a certificate of the authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.trusted)
        context.load_cert_chain(self.server)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags.VERIFY_ALLOW_PROXY_CERTS
        context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    made = Grid(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.trusted))
    return made


@pytest_asyncio.fixture(params=VERSIONS, ids=["1.2", "1.3"])
async def server(request: pytest.FixtureRequest, grid: Grid) -> AsyncIterator[Recorded]:
    recorded = Recorded()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorded.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=grid.context(request.param)).start()
    recorded.url = f"https://127.0.0.1:{runner.addresses[0][1]}/skaha"
    yield recorded
    await runner.cleanup()


def service(url: str, certificate: Path) -> SessionService:
    """With that server alone."""
    backends = {"lab": {"type": "skaha", "url": url, "certificate": str(certificate)}}
    return SessionService(JupyterSessions(backends=backends, enabled_backends=["lab"], default_backend="lab"))


async def test_a_proxy_certificate_lets_in(server: Recorded, grid: Grid) -> None:
    lab = Skaha("lab", url=server.url, certificate=str(grid.file))
    assert {row.name for row in await lab.list(Query())} == {"demo", "view"}
    await lab.close()


@contextmanager
def plain_server(context: ssl.SSLContext) -> Iterator[str]:
    """One that says in an alert why it lets nobody in, as most do; those of asyncio only cut the connection."""

    def refuse(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    _refuse(context, connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/skaha"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _refuse(context: ssl.SSLContext, connection: socket.socket) -> None:
    """Shake hands, and let what was said arrive: closing with something unread would cut the connection."""
    speech, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(heard, speech, server_side=True)
    while True:
        try:
            return secure.do_handshake()
        except ssl.SSLWantReadError:
            connection.sendall(speech.read())
            heard.write(connection.recv(65536))
        except ssl.SSLError:
            connection.sendall(speech.read())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
            return None


@pytest.mark.parametrize("version", VERSIONS)
async def test_one_that_is_not_taken_is_said_to_be_with_what_renews_it(
    grid: Grid, version: ssl.TLSVersion
) -> None:
    with plain_server(grid.context(version)) as url:
        lab = service(url, grid.of_others)
        for _ in range(2):
            listing = await lab.list()
            assert listing.errors["lab"] == (
                f"lab does not take the certificate {grid.of_others}. Get a new one."
                " `jupyter session login lab` does that."
            )
        await lab.close()


async def test_a_server_that_cuts_the_connection_may_not_take_it(server: Recorded, grid: Grid) -> None:
    lab = service(server.url, grid.of_others)
    said = (await lab.list()).errors["lab"]
    assert f"lab cuts the connection and may not take the certificate {grid.of_others}." in said
    assert "`jupyter session login lab` does that." in said
    await lab.close()
    assert server.asked == []


async def test_the_vendors_certificate_is_renewed_by_the_vendors_client(
    server: Recorded, grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssl").mkdir()
    grid.of_others.rename(tmp_path / ".ssl" / "cadcproxy.pem")
    lab = SessionService(JupyterSessions(backends={"lab": {"type": "skaha", "url": server.url}}))
    with pytest.raises(Unauthorized, match="`canfar login cadc` does that"):
        await lab.get("lab", "hjko98yg")
    await lab.close()


async def test_rows_stay_while_the_certificate_is_not_taken_and_live_with_the_next(
    server: Recorded, grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "RETRY_SECONDS", (0.05, 0.05))
    used = tmp_path / "used.pem"
    used.write_bytes(grid.file.read_bytes())
    lab = service(server.url, used)
    lab.backends["lab"].poll_seconds = 0.05
    lab.feed.start(lab.backends.values())

    async def until(*, refused: bool) -> None:
        async with asyncio.timeout(30):
            while ("lab" in lab.feed.refused) is not refused or not lab.feed.rows("lab"):
                lab.feed.nudge("lab")
                await asyncio.sleep(0.02)

    await until(refused=False)
    _replace(used, grid.of_others.read_bytes())
    await until(refused=True)
    listing = await lab.list()
    assert {row.name for row in listing.sessions} == {"demo", "view"} and "not take" in listing.errors["lab"]
    (described,) = await lab.describe()
    assert described.refused and "certificate" in [method.name for method in described.sign_in.methods]
    _replace(used, grid.file.read_bytes())
    await until(refused=False)
    await lab.close()


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    os.replace(fresh, path)


async def test_a_connection_that_is_cut_is_not_taken_for_a_refusal(server: Recorded, grid: Grid) -> None:
    lab = Skaha("lab", url=server.url, certificate=str(grid.file))
    await lab.list(Query())  # Its certificate is good.
    server.cuts = "POST session"
    assert (await lab.create(normalized(SessionSpec(name="new", image="h/p/n:1")))).id == "newone00"
    server.cuts = "GET session"
    with pytest.raises(BackendUnavailable):
        await lab.list(Query())
    await lab.close()
