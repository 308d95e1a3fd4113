"""Our backend on a real manager, and what its tests ask of it."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.backends.session_request import SessionRequest, normalized
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.testing import BackendContract, end_sessions
from jupyter_sessions.wire.signing import Keypair
from tests.interop.backendai_server import IMAGE, OTHER_IMAGE, Server

NEVER = {"cpu": "900", "mem": "128m"}
SMALL = {"cpu": "1", "mem": "128m"}


def backend_at(server: Server, **options: Any) -> BackendAI:
    """A backend as configured for it."""
    given = server.options() | options
    return BackendAI("lab", **{name: value for name, value in given.items() if name != "type"})


def keys(key: Keypair) -> dict[str, str]:
    """As options."""
    return {"access_key": key.access_key, "secret_key": key.secret_key}


class RealContract(BackendContract):
    """What every backend must do, on a real manager: give the fixture `backend` by `at`."""

    image = "python"
    other_image = OTHER_IMAGE
    resources = SMALL
    runs_code = False  # The agent's container backend "dummy" plays kernels.
    runs_commands = False
    keeps_notebooks = False
    bad_names = ("", "abc", "a b c", "-abc", "x" * 65)

    def at(self, server: Server) -> BackendAI:
        """A backend there.

        Each test has a name of its own: what another has ended while it was being scheduled may start all the
        same, and live on for a time.
        """
        self.starts = server.release.sessions
        self.good_name = f"contract-{secrets.token_hex(4)}"  # type: ignore[misc]
        return backend_at(server)

    async def settled(self, backend: Backend, uid: str) -> None:
        """One that is cancelled while it is being scheduled starts all the same."""
        async with asyncio.timeout(60):
            while self.starts and (row := await backend.get(uid)).status != "RUNNING":
                assert row.live, row
                await asyncio.sleep(0.2)


async def ended_all(lab: BackendAI) -> None:
    """End what there is, and wait until that is over."""
    async with asyncio.timeout(120):
        while rows := await lab.list(Query()):
            await end_sessions(lab, but={row.id for row in rows if row.status == "TERMINATING"})
            await asyncio.sleep(0.2)


def spec(name: str = "", **fields: Any) -> SessionRequest:
    """A session that starts, unless it asks for more than there is, as a backend gets it."""
    given = {"name": name or f"real-{secrets.token_hex(4)}", "image": IMAGE, "resources": dict(SMALL)}
    return normalized(SessionSpec(backend="lab", **(given | fields)))


async def reached(lab: BackendAI, row: SessionInfo, *statuses: str) -> SessionInfo:
    """The row, in one of these statuses."""
    async with asyncio.timeout(60):
        while row.status not in statuses:
            await asyncio.sleep(0.1)
            row = await lab.get(row.id)
    return row
