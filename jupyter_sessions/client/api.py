"""What one can do with sessions, wherever the backends are: here or in a Jupyter server."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from jupyter_sessions.backends.base import Output
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.model import Event, KernelConnection, ProcessId, SessionInfo, SessionSpec
from jupyter_sessions.service import BackendInfo, Defaults, Listing


class Api(Protocol):
    """The part of `Service` that faces use; `RemoteService` offers it over HTTP."""

    async def list(
        self,
        *,
        status: str = "live",
        backend: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        fields: Sequence[str] = (),
    ) -> Listing:
        """Sessions, most recently changed first; with these `fields` beyond those that lists tell anyway."""
        ...

    async def get(self, backend: str, id: str) -> SessionInfo:
        """One session."""
        ...

    async def find(self, ref: str) -> SessionInfo:
        """A session by what people call it."""
        ...

    async def describe(self, backend: str | None = None) -> builtins.list[BackendInfo]:
        """One backend or all."""
        ...

    async def defaults(self) -> Defaults:
        """What fills in a spec."""
        ...

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Ask for a session; its row at once."""
        ...

    async def destroy(
        self, backend: str, id: str, *, forced: bool = False, recursive: bool = False
    ) -> SessionInfo:
        """End or cancel a session."""
        ...

    async def restart(self, backend: str, id: str) -> SessionInfo:
        """Restart a session."""
        ...

    async def rename(self, backend: str, id: str, name: str) -> SessionInfo:
        """Call a session otherwise."""
        ...

    async def renew(self, backend: str, id: str) -> SessionInfo:
        """Put off the end of a session."""
        ...

    async def logs(self, backend: str, id: str) -> str:
        """What a session printed."""
        ...

    async def events(self, backend: str, id: str) -> builtins.list[Event]:
        """What has happened to a session, oldest first."""
        ...

    async def outputs(self, backend: str, id: str, which: Selection) -> Outputs:
        """What a session printed, by execution."""
        ...

    def wait(
        self, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
    ) -> AsyncIterator[SessionInfo]:
        """Its rows as they change, or at `every` look, up to one that `until` holds for."""
        ...

    def execute(
        self, backend: str, id: str, code: str, *, stdin: bool = False, ref: str | None = None
    ) -> AsyncIterator[Output]:
        """Run code in a session, which must be the one that `ref` means if that is given.

        Errors: SessionNotFound if it means another by now; NotReached. Then nothing has run.
        """
        ...

    async def interrupt(self, backend: str, id: str) -> None:
        """Interrupt what runs."""
        ...

    async def input(self, backend: str, id: str, run: str, text: str) -> None:
        """Answer a run that asked for input."""
        ...

    async def connection(
        self, backend: str, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """How to reach a session's kernel; `owner` has the session from now on; see `Backend.connection`."""
        ...

    async def alive(self) -> bool:
        """Whether it can be used still."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
