"""Sessions on all backends: `AsyncSessions`, and its blocking twin `Sessions`."""

from __future__ import annotations

import builtins
import os
import sys
import warnings
from asyncio import CancelledError
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

from jupyter_sessions.client.blocking import Blocking, Reading, blocking
from jupyter_sessions.client.compute_session import AsyncComputeSession, ComputeSession
from jupyter_sessions.client.connection import Connection
from jupyter_sessions.client.resources import Number, resources_of, working_folder
from jupyter_sessions.errors import BackendUnavailable, SessionNotFound
from jupyter_sessions.model import Amount, ServiceRequest, SessionInfo, SessionSpec
from jupyter_sessions.service import BackendInfo


class AsyncSessions:
    """The sessions on all backends; the asynchronous twin of `Sessions`.

    Use it as an asynchronous context manager, or `close` it, so that its connections end with your program.
    """

    def __init__(self) -> None:
        self._connection = Connection()

    async def create(
        self,
        image: str | None = None,
        *,
        cpu: Number | None = None,
        mem: Number | None = None,
        gpu: Number | None = None,
        name: str | None = None,
        backend: str | None = None,
        wait: bool = True,
        timeout: float | None = None,
        keep: bool = False,
        preset: str | None = None,
        type: str = "",
        resources: Mapping[str, Any] = {},
        environ: Mapping[str, str] = {},
        secrets: Sequence[str] = (),
        cwd: str | os.PathLike[str] | None = None,
        startup_command: str | None = None,
        bootstrap_script: str | None = None,
        group: str | None = None,
        resource_group: str | None = None,
        mounts: Sequence[str] = (),
        services: Sequence[str] = (),
        preopen_ports: Sequence[int] = (),
        dependencies: Sequence[str] = (),
        starts_at: str | None = None,
        cluster_size: int = 1,
        idle_timeout: float | str | None = None,
        time_limit: float | str | None = None,
        tag: str | None = None,
        reuse: bool = True,
    ) -> AsyncComputeSession:
        """Create a session, and `wait` until it runs, at most `timeout` seconds.

        `image` is an environment or image of the `backend`, or of the default backend. `cpu` is a number of CPUs, `mem` an
        amount of memory such as "16g", in MiB without a unit, and `gpu` a number of whole GPUs; what is left out, the
        backend fills in. `resources` holds amounts of other slots, `environ` environment variables, of which those that
        `secrets` names are not shown anywhere. `services` are started with the session. It works in the current folder
        unless `cwd` names another one. Times are in seconds, or as "4h". See `SessionSpec` for the other fields.

        A live session of the same name and image is returned instead of a new one; with reuse=False it is an error.
        A new session ends when a `with` block of it is left, unless `keep` is True.

        Errors: LaunchFailed if it cannot start; TimeoutError, and the session goes on waiting; InvalidRequest, NotEnough
        and others of the backend.
        """
        api = await self._connection.api()
        presets = (await api.defaults()).presets
        chosen = presets.get(preset, {}) if preset else {}
        amounts = await resources_of(
            api, backend or chosen.get("backend"), cpu=cpu, mem=mem, gpu=gpu, others=resources
        )
        spec = SessionSpec(
            image=image,
            name=name or chosen.get("name"),
            backend=backend,
            preset=preset,
            type=type,
            resources=dict(amounts),
            environ=dict(environ),
            secrets=[*secrets],
            cwd=None if chosen.get("cwd") and cwd is None else working_folder(cwd),
            startup_command=startup_command,
            bootstrap_script=bootstrap_script,
            group=group,
            resource_group=resource_group,
            mounts=[*mounts],
            services=[ServiceRequest(name) for name in services],
            preopen_ports=[*preopen_ports],
            dependencies=[*dependencies],
            starts_at=starts_at,
            cluster_size=cluster_size,
            idle_timeout=idle_timeout,
            time_limit=time_limit,
            tag=tag,
            reuse_if_exists=reuse,
        )
        row = await api.create(spec)
        session = self._of(row, keep=keep or row.reused)
        if wait:
            await _started(session, timeout)
        return session

    async def get(self, ref: str) -> AsyncComputeSession:
        """Return the session that a name, an id or "backend/NAME" refers to. Errors: SessionNotFound, Ambiguous."""
        return self._of(await (await self._connection.api()).find(ref))

    async def list(
        self, status: str = "live", *, backend: str | None = None, limit: int | None = None
    ) -> builtins.list[AsyncComputeSession]:
        """Return sessions, the most recently changed first.

        `status` is "live", "running", "dead", "all", or statuses separated by commas. A backend that does not answer is
        warned of. Errors: BackendUnavailable if none answers.
        """
        listing = await (await self._connection.api()).list(status=status, backend=backend, limit=limit)
        if listing.errors and not listing.sessions:
            asked = [backend] if backend else [*(await (await self._connection.api()).defaults()).places]
            if all(name in listing.errors for name in asked):
                why = " ".join(f"{name}: {reason}" for name, reason in listing.errors.items())
                raise BackendUnavailable(f"The sessions could not be listed. {why}")
        for name, reason in listing.errors.items():
            warnings.warn(f"The sessions of '{name}' are missing: {reason}", stacklevel=2)
        return [self._of(row) for row in listing.sessions]

    async def __aiter__(self) -> AsyncIterator[AsyncComputeSession]:
        for session in await self.list():
            yield session

    async def backends(self) -> builtins.list[BackendInfo]:
        """Return the backends: what each has, can do and has free, or why it does not answer."""
        return await (await self._connection.api()).describe()

    async def stats(self) -> dict[str, dict[str, Amount]]:
        """Return for each backend that tells how much of each resource it has in total, and how much of it is free."""
        return {info.name: info.capacity for info in await self.backends() if info.capacity}

    def _of(self, row: SessionInfo, *, keep: bool = True) -> AsyncComputeSession:
        return AsyncComputeSession(self._connection, row, keep=keep)

    async def close(self) -> None:
        """Close all connections; the next call connects again, and sessions run on."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _all_blocking(found: list[AsyncComputeSession]) -> list[ComputeSession]:
    return [*map(ComputeSession, found)]


class Sessions(Blocking[AsyncSessions]):
    """The sessions on all backends: through the Jupyter server that runs this kernel, otherwise directly.

    Iterate over those that live, and take one by its name, its id or "backend/NAME":

        >>> sessions = jupyter_sessions.connect()
        >>> with sessions.create("python", cpu=2, mem="4g", name="train") as session:
        ...     session.run("print('hello')")
        >>> sessions["train"].status
        'TERMINATED'
    """

    def __init__(self) -> None:
        client = AsyncSessions()
        super().__init__(client, client._connection)

    create = blocking(AsyncSessions.create, ComputeSession)
    get = blocking(AsyncSessions.get, ComputeSession)
    list = blocking(AsyncSessions.list, _all_blocking)
    backends = Reading(AsyncSessions.backends)
    stats = Reading(AsyncSessions.stats)
    close = blocking(AsyncSessions.close)

    def __getitem__(self, ref: str) -> ComputeSession:
        return self.get(ref)

    def __contains__(self, ref: object) -> bool:
        try:
            return isinstance(ref, str) and bool(self.get(ref))
        except SessionNotFound:
            return False

    def __iter__(self) -> Iterator[ComputeSession]:
        return iter(self.list())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@overload
def connect(*, asynchronous: Literal[False] = False) -> Sessions: ...


@overload
def connect(*, asynchronous: Literal[True]) -> AsyncSessions: ...


def connect(*, asynchronous: bool = False) -> Sessions | AsyncSessions:
    """Return the sessions on all backends, whose methods block, or with `asynchronous` are awaited.

    They are reached through the Jupyter server that runs this kernel, otherwise directly. The connection is made when it
    is first used.
    """
    return AsyncSessions() if asynchronous else Sessions()


async def _started(session: AsyncComputeSession, timeout: float | None) -> None:
    try:
        await session.wait("running", timeout)
    except CancelledError:
        print(f"{session!r} goes on to start. Its `terminate()` ends it.", file=sys.stderr)  # noqa: T201
        raise
