"""The operations on sessions, whether the backends are in this process or in a Jupyter server."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from jupyter_sessions.backends.base import Output
from jupyter_sessions.backends.file_transfer import FileContent, FileEntry
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.model import Event, KernelConnection, ProcessId, SessionInfo, SessionSpec
from jupyter_sessions.service import BackendInfo, Defaults, Listing


class Api(Protocol):
    """The operations of `SessionService` that magics and shells use; `RemoteService` offers them over HTTP."""

    base_url: str
    """The address that the URLs of services are relative to, "" if no Jupyter server serves them."""

    async def list(
        self,
        *,
        status: str = "live",
        backend: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order: str | None = None,
        fields: Sequence[str] = (),
        access_key: str | None = None,
        everyone: bool = False,
    ) -> Listing:
        """Return sessions, the most recently changed first, with `fields` beyond those of any list.

        With an `access_key`, those of another user, which only administrators see; with `everyone`, what may be seen of
        everyone's, see `Query`.
        """
        ...

    async def get(self, backend: str, id: str) -> SessionInfo:
        """Return a session."""
        ...

    async def find(self, ref: str) -> SessionInfo:
        """Return the session that a name, id or backend/name refers to."""
        ...

    async def describe(self, backend: str | None = None) -> builtins.list[BackendInfo]:
        """Return a description of one backend or of all."""
        ...

    async def defaults(self) -> Defaults:
        """Return the defaults that complete a spec."""
        ...

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Request a session, and return its row at once."""
        ...

    async def create_many(self, spec: SessionSpec) -> builtins.list[SessionInfo]:
        """Request a spec's `replicas` at once. Errors: NotSupported, in which case nothing has been created."""
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
        """Rename a session."""
        ...

    async def renew(self, backend: str, id: str) -> SessionInfo:
        """Extend the time of a session."""
        ...

    async def logs(self, backend: str, id: str) -> str:
        """Return the output of a session's processes."""
        ...

    async def events(self, backend: str, id: str) -> builtins.list[Event]:
        """Return the events of a session, the oldest first."""
        ...

    async def start_service(
        self,
        backend: str,
        id: str,
        name: str,
        *,
        arguments: Mapping[str, str] | None = None,
        forced: bool = False,
    ) -> None:
        """Start a service of a session, also one that has ended; without arguments, with those of its last start.

        Errors: NoRoom unless `forced`.
        """
        ...

    async def stop_service(self, backend: str, id: str, name: str) -> None:
        """End a service of a session."""
        ...

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """Return the end of a service's log."""
        ...

    async def outputs(self, backend: str, id: str, which: Selection) -> Outputs:
        """Return the output of a session by execution."""
        ...

    def wait(
        self, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
    ) -> AsyncIterator[SessionInfo]:
        """Yield the session's row whenever it changes, or after `every` look, until `until` holds."""
        ...

    def execute(
        self, backend: str, id: str, code: str, *, stdin: bool = False, ref: str | None = None
    ) -> AsyncIterator[Output]:
        """Run code in a session; with `ref`, only if `ref` still refers to this session.

        Errors: SessionNotFound if `ref` refers to another session by now; NotReached. Nothing has run in either case.
        """
        ...

    async def interrupt(self, backend: str, id: str) -> None:
        """Interrupt the running code of a session."""
        ...

    async def input(self, backend: str, id: str, run: str, text: str) -> None:
        """Answer the input request of a run."""
        ...

    async def upload(
        self, backend: str, id: str, path: str, content: AsyncIterator[bytes], size: int | None = None
    ) -> None:
        """Store a file in a session, replacing an earlier one; it appears once it is complete.

        `path` is relative to the session's working folder; `size`, in bytes, is how much `content` yields.
        """
        ...

    def download(self, backend: str, id: str, path: str) -> AbstractAsyncContextManager[FileContent]:
        """Open a file of a session, which is read while it is consumed."""
        ...

    async def ls(self, backend: str, id: str, path: str = ".") -> builtins.list[FileEntry]:
        """Return the entries of a folder of a session, sorted by name."""
        ...

    async def connection(
        self, backend: str, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """Return how to reach a session's kernel; see `Backend.connection`. An `owner` takes over the session."""
        ...

    async def alive(self) -> bool:
        """Return whether this connection can still be used."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
