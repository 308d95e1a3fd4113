"""The services of one session: programs inside its limits that listen on private sockets or ports."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import (
    InvalidRequest,
    NoRoom,
    NotFound,
    NotSupported,
    ServiceEnded,
    SessionError,
)
from jupyter_sessions.manager.core.changes import PluginsFound, ServiceChanged
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.services import (
    FAILED,
    NOT_STARTED,
    READY,
    STARTING,
    TERMINAL,
    ServiceDefinition,
    ServiceState,
    definitions,
    kind_of,
    refusal,
)
from jupyter_sessions.manager.core.tasks import Tasks
from jupyter_sessions.manager.run.logs import tail
from jupyter_sessions.manager.run.member import SERVICE, Member
from jupyter_sessions.manager.run.plugins import PluginFinder
from jupyter_sessions.manager.run.programs import Programs
from jupyter_sessions.manager.run.service_programs import ServicePrograms, check_arguments
from jupyter_sessions.manager.run.session_port import SessionPort
from jupyter_sessions.manager.run.terminal_service import TerminalService
from jupyter_sessions.manager.runtime import ports
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.peers import listening_address
from jupyter_sessions.manager.runtime.process import Process
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.files import remove

_GRACE_SECONDS = 2.0
_PAUSE_SECONDS = 0.1
_NEEDS = {"jupyter": 110 << 20}
_LEAST = 32 << 20
"""The bytes that an unknown service needs at least: an interpreter and a small web server."""
_LOOK = "Its log may say why. Start it again when that is mended."
_INSTANCE = re.compile(r"[^:]+(:[1-9][0-9]?)?")
_LOG_BYTES = 16_384


class ServiceLauncher:
    """Starts a session's services on request, and tracks when they are ready and when they end.

    A service runs once for all clients, whose browsers see it under different paths. Its pages hold absolute links, so
    it gets a base path of its own, which the proxies translate (`wire.proxy.rebase`).
    """

    def __init__(self, record: Record, member: Member, programs: Programs, finder: PluginFinder) -> None:
        self._record = record
        self._member = member
        self._finder = finder
        self._beside = programs
        self._terminals: dict[str, TerminalService] = {}
        self._runtime = member.runtime
        self._programs = ServicePrograms(record, member)
        self._sockets = member.connection.folder
        self._lock = asyncio.Lock()
        self._ports: dict[int, SessionPort] = {}
        self._tasks = Tasks()
        for key, process in record.service_processes.items():
            if key.startswith(SERVICE):
                self._tasks.start(self._watch(key.removeprefix(SERVICE), process))

    async def begin(self, *, startup: bool) -> None:
        """Find the plug-ins; at the session's `startup`, also start the services that were requested with it."""
        await self.find_plugins()
        for request in self._record.startup_services if startup else ():
            try:
                await self.start(request.name, arguments=request.arguments)
            except SessionError as error:
                self._change(
                    request.name, ServiceState(state=FAILED, arguments=request.arguments, reason=str(error))
                )

    async def find_plugins(self) -> None:
        """Store which plug-ins the session's environment has now."""
        found = await self._finder.find(self._record.launch.interpreters, self._member.environment())
        if found != self._record.plugins:
            self._member.apply(PluginsFound(found))

    async def start(
        self,
        name: str,
        *,
        forced: bool = False,
        again: bool = False,
        arguments: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Start a service if needed, and return where it listens; without `arguments`, use those of its last start.

        Errors: NotFound; NotSupported; InvalidRequest for malformed arguments, or if the service runs with different
        ones; NoRoom unless `forced`; ServiceEnded if it has ended, unless `again`; LaunchError.
        """
        if name in map(str, self._record.preopen_ports):
            return self._open_port(int(name))
        definition = await self._definition(name)
        check_arguments(arguments or {})
        if kind_of(name) == TERMINAL:
            return await self._open_terminal(name)
        async with self._lock:
            process = self._process(name)
            if process is not None and self._runtime.alive(process):
                self._check_same(name, arguments)
            else:
                await self._end_over_memory(name)
                if not forced:
                    self._check_room(name)
                state = self._state(name)
                if state.reason and not (again or forced):
                    raise ServiceEnded(
                        f"The service '{name}' {state.reason}.",
                        hint=_LOOK if state.state == FAILED else "Start it again.",
                    )
                await self._launch(
                    name, definition, state.arguments if arguments is None else dict(arguments)
                )
        return self._endpoint(name, definition)

    async def _open_terminal(self, name: str) -> Endpoint:
        """Serve the page of a terminal; its shell starts when the page connects."""
        socket = self._programs.socket(name)
        async with self._lock:
            if name not in self._terminals:
                self._terminals[name] = TerminalService(self._beside.terminal(name), self._record.name)
            await self._terminals[name].open(socket)
        return Endpoint(socket=str(socket), at_root=True)

    def _endpoint(self, name: str, definition: ServiceDefinition) -> Endpoint:
        port = self._state(name).port
        place = self._open_port(port) if port else Endpoint(socket=str(self._programs.socket(name)))
        return msgspec.structs.replace(
            place,
            at_root=not definition.absolute_url,
            base_url=self._programs.base_url(name, definition),
            headers=self._programs.headers(name, definition, port),
        )

    def _process(self, name: str) -> Process | None:
        return self._record.service_processes.get(f"{SERVICE}{name}")

    def _state(self, name: str) -> ServiceState:
        return self._record.services.get(name, ServiceState())

    def _change(self, name: str, state: ServiceState) -> None:
        self._member.apply(ServiceChanged(name, state))

    # Memory, which services share with the session.

    def _check_room(self, name: str) -> None:
        """Check that there is memory for a service. Errors: NoRoom."""
        record, limits_group = self._record, self._member.limits_group
        limit = int(record.member_slots["mem"])
        left = max(0, limit - (limits_group.usage().mem if limits_group else 0))
        needs = _NEEDS.get(kind_of(name), _LEAST)
        state = self._state(name)
        if not state.over_memory and left >= needs:
            return
        amount = human_size(float(limit))
        need = f"'{name}' needs about {human_size(needs)}"
        message = f"{need}, and session '{record.name}' has {human_size(left)} left of its {amount}."
        enough = human_size(2.0 ** math.ceil(math.log2(max(limit - left + needs, limit + 1))))
        raise NoRoom(
            f"'{name}' was ended: {state.reason}." if state.over_memory else message,
            hint=f"Start it anyway, or create a session with {enough}. If memory runs out, '{name}' is ended first.",
            field="app",
            data={"needs": needs, "left": left, "limit": limit},
        )

    async def end_those_over_memory(self) -> None:
        """End services of which a process was killed because the session ran out of memory."""
        async with self._lock:
            for key in [*self._record.service_processes]:
                if key.startswith(SERVICE):
                    await self._end_over_memory(key.removeprefix(SERVICE))

    async def _end_over_memory(self, name: str) -> None:
        process = self._process(name)
        limits_group = self._member.limits_group
        if process is None or limits_group is None or not limits_group.service(name).over_memory():
            return
        await self._runtime.stop(process, 0)
        limit = human_size(float(self._record.member_slots["mem"]))
        self._forget(name, FAILED, f"the session was over its {limit}", over_memory=True)

    def _forget(self, name: str, state: str, reason: str = "", *, over_memory: bool = False) -> None:
        """Store that a service has ended, and remove its socket and limits."""
        ended = ServiceState(
            state=state,
            since=datetime.now(UTC),
            arguments=self._state(name).arguments,
            reason=reason,
            over_memory=over_memory,
        )
        self._member.remove_process(f"{SERVICE}{name}", ServiceChanged(name, ended))
        remove(self._programs.socket(name))
        if self._member.limits_group is not None:
            self._member.limits_group.service(name).remove()

    def _open_port(self, port: int) -> Endpoint:
        """Return the endpoint of a port on which a program of the session listens or will listen."""
        one = self._ports.setdefault(port, SessionPort(port, self._sockets / f"port-{port}", self._pids))
        one.open()
        return Endpoint(socket=str(one.path), at_root=True, hands_over=True)

    def _pids(self) -> list[int]:
        """Return the session's processes, including known daemons."""
        limits_group = self._member.limits_group
        return list(dict.fromkeys([*self._member.pids(), *(limits_group.pids() if limits_group else ())]))

    async def close(self) -> None:
        """Stop tracking services and serving the session's ports."""
        await self._tasks.close()
        ports, self._ports = self._ports, {}
        for one in ports.values():
            await one.close()
        for terminal in self._terminals.values():
            await terminal.close()

    async def stop(self, name: str) -> None:
        """End a service. Errors: NotFound."""
        await self._definition(name)
        if kind_of(name) == TERMINAL:
            await self._beside.terminal(name).close()
            return
        async with self._lock:
            process = self._process(name)
            if process is not None:
                await self._runtime.stop(process, _GRACE_SECONDS)
                self._forget(name, NOT_STARTED, "was stopped")
            elif name in self._record.services:
                self._change(name, self._state(name).stopped())

    def serves(self, name: str) -> bool:
        """Return whether a service still runs. A port counts as served, because the user's program may start any time."""
        process = self._process(name)
        return (
            name.isdigit()
            or kind_of(name) == TERMINAL
            or (process is not None and self._runtime.alive(process))
        )

    async def _definition(self, name: str) -> ServiceDefinition:
        """Return the definition of a service. Errors: NotFound, NotSupported."""
        kind = kind_of(name)
        if kind not in self._definitions:
            await self.find_plugins()
        known = self._definitions
        if kind not in known or not _INSTANCE.fullmatch(name):
            there = ", ".join([*known, *map(str, self._record.preopen_ports)]) or "none"
            raise NotFound(
                f"The session has no service '{name}'.", hint=f"Choose from: {there}.", field="app"
            )
        definition = known[kind]
        if definition.refused:
            hint = "Correct its plug-in or its configuration, or use jupyter-server-proxy for it."
            raise NotSupported(refusal(kind, definition), hint=hint, field="app")
        return definition

    @property
    def _definitions(self) -> dict[str, ServiceDefinition]:
        return definitions(self._record.launch, self._record.plugins)

    def _check_same(self, name: str, arguments: Mapping[str, str] | None) -> None:
        """Check that a running service has these arguments. Errors: InvalidRequest."""
        runs_with = self._state(name).arguments
        if arguments is not None and arguments != runs_with:
            given = " ".join(f"{key}={value}" for key, value in runs_with.items()) or "no arguments"
            another = f"{kind_of(name)}:2"
            raise InvalidRequest(
                f"The service '{name}' runs already, with {given}.",
                hint=f"Stop it first, or start another one: '{another}'.",
                field="arguments",
            )

    def log(self, name: str) -> str:
        """Return the end of a service's log, or why a port does not answer; "" if there is no such service."""
        if name in map(str, self._record.preopen_ports):
            return self._about_port(int(name))
        known = kind_of(name) in self._definitions and _INSTANCE.fullmatch(name)
        return tail(self._programs.log_file(name), _LOG_BYTES) if known else ""

    def _about_port(self, port: int) -> str:
        if listening_address(port, self._pids()) or not ports.taken(port):
            return ""
        return f"Port {port} of this machine is used by a program outside of this session. End that program, or use another port."

    async def _launch(self, name: str, definition: ServiceDefinition, arguments: dict[str, str]) -> None:
        limits_group = self._member.limits_group.service(name) if self._member.limits_group else None
        if limits_group is not None:
            limits_group.remove()  # Resets the counters of an earlier process.
        port = 0 if definition.unix_socket else ports.free()
        process = await self._programs.launch(name, definition, port, arguments, limits_group)
        state = ServiceState(state=STARTING, since=datetime.now(UTC), arguments=arguments, port=port)
        self._member.add_process(f"{SERVICE}{name}", process, ServiceChanged(name, state))
        self._tasks.start(self._watch(name, process))

    async def _watch(self, name: str, process: Process) -> None:
        """Store when a service listens, and when it ends."""
        ended = asyncio.create_task(self._runtime.wait(process))
        try:
            while self._state(name).state == STARTING and not ended.done():
                if await asyncio.to_thread(self._listens, name):
                    self._change(name, msgspec.structs.replace(self._state(name), state=READY))
                else:
                    await asyncio.wait({ended}, timeout=_PAUSE_SECONDS)
            status = await ended
        finally:
            ended.cancel()
        async with self._lock:
            if self._process(name) == process:
                await self._end_over_memory(name)
            if self._process(name) == process:
                how = f"has ended ({describe_exit(status)})"
                self._forget(name, NOT_STARTED if status == 0 else FAILED, how)

    def _listens(self, name: str) -> bool:
        if port := self._state(name).port:
            return listening_address(port, self._pids()) is not None
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(self._programs.socket(name)))
            return True
        return False
