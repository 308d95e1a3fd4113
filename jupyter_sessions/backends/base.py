"""What a backend is: implement four methods, and get panel, magics, command line and REST.

Implement `list`, `get`, `create` and `destroy`. Implement an optional method as well and its
button lights up: `capabilities` is read off the methods a class overrides, so faces never guess.
Publish the class under the entry point group ``jupyter_sessions.backends``; the key of the
configuration's ``{"type": key}`` is the entry point's name.

    class Lab(Backend):
        type = "lab"

        async def list(self, query): ...
        async def get(self, id): ...
        async def create(self, spec): ...
        async def destroy(self, id, *, forced=False, recursive=False): ...

Methods raise errors of `jupyter_sessions.errors` and nothing else that is meant for people. Rows
are new objects at each call: what is given away is not changed afterwards.
"""

from __future__ import annotations

import asyncio
import builtins
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
from msgspec import structs

from jupyter_sessions.errors import NotSupported, SessionNotFound
from jupyter_sessions.model import (
    Amount,
    Endpoint,
    Image,
    KernelConnection,
    NameRule,
    ProcessId,
    SessionInfo,
    SessionSpec,
)

ANY_NAME = NameRule(r"(?s).{1,255}", "Use 1 to 255 characters.")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions are wanted: a status group or comma list of statuses, and a page of them."""

    status: str = "live"
    limit: int | None = None
    offset: int = 0


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Something that running code said: a Jupyter message type and its content.

    `kind` is stream, display_data, update_display_data, execute_result, error, clear_output,
    comm_*, input_request, or at the end `reply` (content: status, and execution_count or ename,
    evalue, traceback). `run` names the run, for `Backend.input`.
    """

    kind: str
    content: dict[str, Any]
    run: str = ""


class Backend(ABC):
    """A place where sessions run."""

    type: ClassVar[str]
    name_rule: ClassVar[NameRule] = ANY_NAME
    poll_seconds: ClassVar[float] = 5.0

    def __init__(self, name: str, **options: Any) -> None:
        """`name` is how people call it; `options` come from the configuration."""
        self.name = name
        self.title = str(options.pop("title", "") or name)
        self.options = options

    # The four.

    @abstractmethod
    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """The sessions that match, most recently changed first."""

    @abstractmethod
    async def get(self, id: str) -> SessionInfo:
        """One session by its full id, also after its end. Errors: SessionNotFound."""

    @abstractmethod
    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Ask for a session and return its row at once, without waiting until it runs."""

    @abstractmethod
    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End a session, or cancel a pending one, and return its row as it is then."""

    # The optional ones.

    async def restart(self, id: str) -> SessionInfo:
        """Start the session's processes anew; name, resources and files stay."""
        raise self._cannot("restart sessions")

    async def rename(self, id: str, name: str) -> SessionInfo:
        """Give a live session another name."""
        raise self._cannot("rename sessions")

    async def logs(self, id: str) -> str:
        """What the session's processes printed, as plain text; the newest part if it is long."""
        raise self._cannot("show logs")

    async def images(self) -> builtins.list[Image]:
        """The environments or images one can ask for."""
        raise self._cannot("list images")

    async def default_resources(self, asked: dict[str, Any]) -> dict[str, str]:
        """What a session gets of the slots that `asked` leaves out; {} leaves it to the backend."""
        return {}

    async def capacity(self) -> dict[str, Amount]:
        """Total and free amount of each slot."""
        raise self._cannot("tell its capacity")

    def execute(self, id: str, code: str, *, stdin: bool = False) -> AsyncIterator[Output]:
        """Run code in the session; ends after an Output of kind `reply`."""
        raise self._cannot("run code")

    async def interrupt(self, id: str) -> None:
        """Interrupt what runs in the session."""
        raise self._cannot("interrupt sessions")

    async def input(self, id: str, run: str, text: str) -> None:
        """Answer the `input_request` of a run."""
        raise self._cannot("answer input requests")

    async def open_service(self, id: str, name: str, base_url: str) -> Endpoint:
        """Where a service port listens; starts it if need be, to serve under the path `base_url`."""
        raise self._cannot("open service ports")

    async def service_log(self, id: str, name: str) -> str:
        """The end of what a service printed."""
        raise self._cannot("show a service's log")

    async def connection(self, id: str, owner: ProcessId | None = None) -> KernelConnection:
        """How to reach the kernel of a running session, at addresses that stay over its restarts.

        From then on the kernel is started anew when it ends by itself. A given `owner` has the session
        from now on: it ends with a shutdown request on the owner's control port, and with that process.
        """
        raise self._cannot("connect notebooks")

    # What comes with them.

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """First all rows that live, then those that changed, for ever. By asking again and again, unless overridden."""
        seen = {row.id: row for row in await self.list(Query())}
        yield [*seen.values()]
        while True:
            await asyncio.sleep(self.poll_seconds)
            rows = {row.id: row for row in await self.list(Query())}
            gone = [await self.after_end(seen[key]) for key in seen.keys() - rows.keys()]
            changed = [row for key, row in rows.items() if key not in seen or seen[key].face() != row.face()]
            if changed or gone:
                yield changed + gone
            seen = rows

    async def after_end(self, row: SessionInfo) -> SessionInfo:
        """What became of a session that is not listed any more, also if the backend has forgotten it."""
        try:
            return await self.get(row.id)
        except SessionNotFound:
            now = datetime.now(UTC)
            return structs.replace(
                row, status="TERMINATED", status_info="no longer known", status_changed=now, terminated_at=now
            )

    async def close(self) -> None:  # noqa: B027
        """Let go of connections; sessions stay."""

    @classmethod
    def capabilities(cls) -> builtins.list[str]:
        """Names of the optional methods this class implements."""
        return [name for name in OPTIONAL if getattr(cls, name) is not getattr(Backend, name)]

    def _cannot(self, what: str) -> NotSupported:
        return NotSupported(f"The backend '{self.name}' cannot {what}.", hint="Use a backend that can.")


OPTIONAL = (
    "restart",
    "rename",
    "logs",
    "images",
    "capacity",
    "execute",
    "interrupt",
    "input",
    "open_service",
    "service_log",
    "connection",
)
