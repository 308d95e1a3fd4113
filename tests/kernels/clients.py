"""Front ends for tests: plain jupyter_client clients at the front of a session's relay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client import BlockingKernelClient
from msgspec import structs

from jupyter_sessions.model import KernelConnection, ProcessId, SessionInfo
from jupyter_sessions.service import SessionService
from tests.processes import Shell, until_ready


@contextmanager
def shell(connection: KernelConnection) -> Iterator[Shell]:
    """A client, which has heard from the kernel."""
    client = BlockingKernelClient()
    info = structs.asdict(connection)
    client.load_connection_info(info | {"key": connection.key.encode()})
    try:
        until_ready(client, 30)
        yield Shell(client, lambda: None)
    finally:
        client.stop_channels()


async def connect(
    service: SessionService, row: SessionInfo, owner: ProcessId | None = None
) -> KernelConnection:
    """Where front ends of a session connect."""
    return await service.connection("local", row.id, owner)


def shut_down(front: Shell, *, restart: bool = False) -> dict[str, Any]:
    """The answer to a shutdown request."""
    front.client.shutdown(restart=restart)
    return dict(front.client.get_control_msg(timeout=10)["content"])
