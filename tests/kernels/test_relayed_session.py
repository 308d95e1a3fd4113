"""One relayed session in this process: what its owner and who waits for it are told."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelClient
from msgspec import structs

from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.kernels.relay_host.relayed_session import RelayedSession
from jupyter_sessions.model import KernelConnection, SessionSpec
from jupyter_sessions.wire.identity import own_identity
from tests.outside import outside_service
from tests.waiting import until

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Sockets need short paths."""
    made = Path(tempfile.mkdtemp(prefix="relayed"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def relayed(
    outside: Path, sockets: Path, **options: Any
) -> AsyncIterator[tuple[Backend, RelayedSession, asyncio.Event]]:
    """A relayed session, and an event that it is over."""
    async with outside_service(outside, **options) as service:
        backend = service.backends["outside"]
        row = await service.create(SessionSpec(name="demo"))
        over = asyncio.Event()
        session = RelayedSession(
            backend, row, folder=outside / "state", sockets=sockets / "s", grace=0.1, over=over.set
        )
        try:
            yield backend, session, over
        finally:
            if not over.is_set():
                await session.close()


@asynccontextmanager
async def front(connection: KernelConnection) -> AsyncIterator[AsyncKernelClient]:
    client = AsyncKernelClient()
    client.load_connection_info(structs.asdict(connection) | {"key": connection.key.encode()})
    client.start_channels()
    await client.wait_for_ready(30)
    yield client
    client.stop_channels()


async def said(client: AsyncKernelClient, uid: str) -> list[dict[str, Any]]:
    """What a cell says, up to its being idle."""
    found = []
    async with asyncio.timeout(60):
        while (message := await client.get_iopub_msg())["content"].get("execution_state") != "idle" or (
            message["parent_header"].get("msg_id") != uid
        ):
            if message["parent_header"].get("msg_id") == uid:
                found.append({"kind": message["msg_type"], **message["content"]})
    return found


async def test_who_waits_is_told_why_and_cells_run_later(outside: Path, sockets: Path) -> None:
    async with (
        relayed(outside, sockets, delay=3) as (_, session, _),
        front(session.connection(None, 0)) as client,
    ):
        outputs = await said(client, client.execute("print('ran')"))
        texts = [output["text"] for output in outputs if output["kind"] == "stream"]
        assert "'demo' is waiting (queued behind others)" in texts[0] and texts[-1] == "ran\n"


async def test_cells_that_wait_are_told_of_the_end(outside: Path, sockets: Path) -> None:
    async with relayed(outside, sockets, delay=3600) as (backend, session, over):
        async with front(session.connection(None, 0)) as client:
            uid = client.execute("1")
            (row,) = await backend.list(Query())
            await backend.destroy(row.id)
            outputs = await said(client, uid)
            assert outputs[-1]["ename"] == "SessionEnded" and "'demo' has ended" in outputs[-1]["evalue"]
        await asyncio.wait_for(over.wait(), 20)
        assert not (outside / "state").exists() and not (sockets / "s").exists()


async def test_a_lease_is_renewed_for_the_owner(
    outside: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = []

    async def lease(self: Backend, id: str, seconds: float) -> None:
        leases.append((id, seconds))

    monkeypatch.setattr(Backend, "lease", lease)
    async with relayed(outside, sockets) as (backend, session, _):
        session.connection(own_identity(), 0)
        await until(lambda: leases)
        (row,) = await backend.list(Query())
        assert leases[0][0] == row.id and leases[0][1] >= 60


@pytest.mark.parametrize("case", ["patience", "owner"])
async def test_an_owned_session_ends(outside: Path, sockets: Path, case: str) -> None:
    """Because its owner has no patience any more, or has ended."""
    async with relayed(outside, sockets, delay=3600) as (backend, session, over):
        owner = own_identity()
        if case == "owner":
            owner = structs.replace(owner, start_time=owner.start_time - 1)
        session.connection(owner, 0.5 if case == "patience" else 0)
        await asyncio.wait_for(over.wait(), 30)
        assert await backend.list(Query()) == []
