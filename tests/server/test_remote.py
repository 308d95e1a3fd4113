"""The client over HTTP is the same as the service in-process, and backends of others are as our own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from jupyter_sessions.client import open_api
from jupyter_sessions.client.remote import RemoteService
from jupyter_sessions.errors import (
    AlreadyExists,
    BackendUnavailable,
    BadAnswer,
    InvalidRequest,
    NotSupported,
    SessionNotFound,
)
from jupyter_sessions.model import USABLE, SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.access import VARIABLE, ServerInfo
from jupyter_sessions.wire.files import write_private
from jupyter_sessions.wire.identity import Identity

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension

pytestmark = pytest.mark.in_memory


@pytest.fixture
def jupyter_sessions_config(toys: Path) -> dict[str, Any]:
    """With toys of a third party."""
    return {"backends": {"toy": {"type": "toy", "title": "Toys"}, "raising": {"type": "raising"}}}


@pytest.fixture
def access(extension: SessionsExtension, rest: Rest) -> ServerInfo:
    """What the server's file says."""
    assert extension._access_file is not None
    return msgspec.json.decode(extension._access_file.read_bytes(), type=ServerInfo)


@pytest.fixture
def remote(access: ServerInfo, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[RemoteService]:
    """The client."""
    made = RemoteService(access)
    yield made
    jp_asyncio_loop.run_until_complete(made.close())


SMALL: dict[str, Any] = {"image": "python", "resources": {"cpu": 1, "mem": "256m"}}


@pytest.mark.real
async def test_a_session_through_the_client(remote: RemoteService) -> None:
    assert await remote.alive()
    row = await remote.create(SessionSpec(name="demo", **SMALL))
    rows = [row async for row in remote.wait("local", row.id, lambda row: row.status in USABLE)]
    assert rows[-1].status == "RUNNING"
    outputs = [output async for output in remote.execute("local", row.id, "print(6 * 7)\n1 / 0")]
    assert outputs[0].content == {"name": "stdout", "text": "42\n"}
    assert outputs[-1].content["ename"] == "ZeroDivisionError"
    assert (await remote.rename("local", row.id, "other")).name == "other"
    assert (await remote.find("other")).id == (await remote.find("local/other")).id == row.id
    assert (await remote.restart("local", row.id)).status == "RUNNING"
    assert "42" in await remote.logs("local", row.id)
    with pytest.raises(AlreadyExists) as caught:
        await remote.create(SessionSpec(name="other", reuse_if_exists=False, **SMALL))
    assert caught.value.data == {"existingSessionId": row.id}
    await remote.destroy("local", row.id, forced=True)
    rows = [row async for row in remote.wait("local", row.id, lambda row: not row.live)]
    assert rows[-1].status == "TERMINATED"
    events = await remote.events("local", row.id)
    assert (events[0].what, events[-1].what) == ("PENDING", "TERMINATED: user-requested")
    assert events[0].when and events[-1].when and events[0].when < events[-1].when
    with pytest.raises(SessionNotFound):
        await remote.get("local", "no-such-id")


async def test_a_third_partys_backend_is_as_our_own(remote: RemoteService, rest: Rest) -> None:
    local, toy, raising = await remote.describe()
    assert (toy.name, toy.title, toy.capabilities, toy.is_default) == ("toy", "Toys", [], False)
    assert local.is_default and "the toy is broken" in (raising.health.message or "")
    async with rest.stream("GET", "events") as events:
        row = await remote.create(SessionSpec(name="mine", backend="toy"))
        while "mine" not in (await anext(events)).data:
            pass
    assert "." in row.id and (await remote.get("toy", row.id)).name == "mine"
    listing = await remote.list()
    assert [found.ref for found in listing.sessions] == ["toy/mine"]
    assert listing.errors.keys() == {"raising"} and "the toy is broken" in listing.errors["raising"]
    with pytest.raises(NotSupported, match="The backend 'toy' cannot run code"):
        await anext(remote.execute("toy", row.id, "1"))
    assert (await remote.destroy("toy", row.id)).status == "TERMINATED"
    assert [row.status async for row in remote.wait("toy", row.id, never_mind)] == ["TERMINATED"]


def never_mind(row: SessionInfo) -> bool:
    """Any row will do."""
    return True


async def test_silence_on_the_stream_is_no_end_of_waiting(
    remote: RemoteService, extension: SessionsExtension, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_sessions.client.remote.LOOK_AGAIN_SECONDS", 0.1)
    row = await remote.create(SessionSpec(name="mine", backend="toy"))
    await extension.service.feed.stop()
    rows = remote.wait("toy", row.id, lambda row: not row.live)
    assert (await anext(rows)).status == "RUNNING"
    await extension.service.backends["toy"].destroy(row.id)
    assert (await anext(rows)).status == "TERMINATED"


async def test_streams_end_with_the_server(remote: RemoteService, extension: SessionsExtension) -> None:
    row = await remote.create(SessionSpec(name="mine", backend="toy"))
    rows = remote.wait("toy", row.id, lambda row: not row.live)
    await anext(rows)
    await extension.stop_extension()
    with pytest.raises(BackendUnavailable):
        async with asyncio.timeout(5):
            await anext(rows)


async def test_the_servers_file_leads_there(access: ServerInfo) -> None:
    api = await open_api()
    assert isinstance(api, RemoteService) and await api.alive()
    await api.close()


async def test_without_a_hint_it_is_done_here(access: ServerInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    api = await open_api()
    assert isinstance(api, SessionService)
    await api.close()


async def test_a_dead_hint_leads_to_a_server_that_lives(
    access: ServerInfo, jp_runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(jp_runtime_dir / "jupyter_sessions-server-1.json"))
    api = await open_api()
    assert isinstance(api, RemoteService)
    await api.close()


@pytest.mark.parametrize("flaw", ["readable by all", "its server is gone", "no JSON"])
async def test_files_that_cannot_be_trusted_are_passed_over(
    access: ServerInfo, extension: SessionsExtension, monkeypatch: pytest.MonkeyPatch, flaw: str
) -> None:
    path = extension._access_file
    assert path is not None
    if flaw == "readable by all":
        path.chmod(0o644)
    elif flaw == "no JSON":
        path.write_text("{")
    else:
        gone = msgspec.structs.replace(access, server=Identity(os.getpid(), 1, "another boot", 0))
        write_private(path, msgspec.json.encode(gone))
    api = await open_api()
    assert isinstance(api, SessionService)
    await api.close()


async def test_another_protocol_is_said_with_the_remedy(
    access: ServerInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_sessions.client.remote.PROTOCOL", 2)
    with pytest.raises(BadAnswer, match="to finish the upgrade"):
        await open_api()


async def test_what_fills_in_a_spec(remote: RemoteService) -> None:
    assert (await remote.defaults()).backend == "local"
    assert [info.name for info in await remote.describe("toy")] == ["toy"]


async def test_what_is_no_text_is_named(remote: RemoteService) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await remote.create(SessionSpec(cwd="/tmp/\udce4"))
    assert caught.value.field == "cwd"
