"""What the tests of the contract share: class attributes and fixtures to override, and helpers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from jupyter_sessions.backends.base import Backend, Output, Query
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.model import USABLE, SessionInfo, SessionSpec
from jupyter_sessions.service import Listing, find
from jupyter_sessions.service.cells import with_end
from jupyter_sessions.service.creation import SessionCreation
from jupyter_sessions.testing.ending import end_sessions

SECONDS = 30.0


class ContractCase:
    """A backend under test."""

    image: ClassVar[str] = "python3"
    other_image: ClassVar[str] = "other"
    resources: ClassVar[dict[str, str]] = {}
    good_name: ClassVar[str] = "contract-test"
    bad_names: ClassVar[tuple[str, ...]] = ("", "x" * 300)
    unknown_id: ClassVar[str] = "00000000-0000-0000-0000-000000000000"
    lasting: ClassVar[dict[str, Any]] = {}
    """What gives a session an end that can be put off, where not each has one."""
    crash: ClassVar[str] = "import os; print('before', flush=True); os.kill(os.getpid(), 9)"
    """Code that ends the kernel it runs in."""
    prints: ClassVar[str] = "print('contract')"
    fails: ClassVar[str] = "1 / 0"
    lasts: ClassVar[str] = "import time; print('begun', flush=True); time.sleep(60)"
    asks: ClassVar[str] = "print('hello', input('name? '))"
    sets: ClassVar[str] = "kept = 1"
    reads: ClassVar[str] = "print(kept)"
    exits: ClassVar[str] = "exit {}"
    """Code of a kernel, and a shell command for batch sessions."""
    with_kernel: ClassVar[dict[str, Any]] = {}
    """What the spec of a session with a kernel has, where not each session has one."""
    runs_code: ClassVar[bool] = True
    """Whether kernels run there, and files are kept, where sessions only look like that."""
    keeps_notebooks: ClassVar[bool] = True
    """Whether it keeps which notebook a session is for, so that it is found again."""
    logs_cells: ClassVar[bool] = True
    """Whether what cells print is in the session's logs."""
    runs_commands: ClassVar[bool] = True
    """Whether a batch session runs its startup command."""
    starts: bool = True
    """Whether sessions come to run there, and do not only wait."""

    @pytest.fixture
    def backend(self) -> Backend:
        """The backend to test; override it."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def place(self, backend: Backend) -> AsyncIterator[Backend]:
        """The backend; what a test leaves in it is ended."""
        before = {row.id for row in await backend.list(Query())}
        yield backend
        await end_sessions(backend, but=before)
        await backend.close()
        await backend.close()

    def spec(self, backend: Backend, name: str = "", **changes: Any) -> SessionSpec:
        """What to ask for."""
        given = {"name": name or self.good_name, "image": self.image, "resources": dict(self.resources)}
        return SessionSpec(backend=backend.name, **{**given, **changes})

    async def create(self, backend: Backend, name: str = "", **changes: Any) -> SessionInfo:
        """Ask for a session as the service does."""

        async def listed(status: str) -> Listing:
            return Listing(await backend.list(Query(status=status)))

        creation = SessionCreation(lambda backend, ref: find(listed, ref))
        return await creation.create(backend, self.spec(backend, name, **changes))

    async def settled(self, backend: Backend, uid: str) -> None:
        """Wait until the session can be ended without doubt; override it for those who need time."""

    async def ended(self, backend: Backend, uid: str) -> SessionInfo | None:
        """Its last row; None if the backend has forgotten it."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    row = await backend.get(uid)
                except SessionNotFound:
                    return None
                if not row.live:
                    return row
                await asyncio.sleep(0.02)

    async def usable(self, backend: Backend, uid: str) -> SessionInfo:
        """Its row once it runs."""
        async with asyncio.timeout(SECONDS):
            while (row := await backend.get(uid)).status not in USABLE:
                await asyncio.sleep(0.02)
        return row

    async def said(self, backend: Backend, uid: str, code: str) -> list[Output]:
        """Run code as the service does, and return its outputs."""
        async with asyncio.timeout(SECONDS):
            run = with_end(backend.execute(uid, code), lambda: backend.get(uid))
            return [output async for output in run]
