"""Sessions through the extension of a Jupyter server."""

from __future__ import annotations

import builtins
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from jupyter_sessions import errors
from jupyter_sessions._version import __version__
from jupyter_sessions.backends.base import Output
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.client.remote_files import RemoteFiles
from jupyter_sessions.client.streams import Streams, lost, refused, tls_of
from jupyter_sessions.model import Event, KernelConnection, ProcessId, SessionInfo, SessionSpec
from jupyter_sessions.service import LOOK_AGAIN_SECONDS, BackendInfo, Defaults, Listing, find
from jupyter_sessions.wire import sse, untrusted
from jupyter_sessions.wire.access import PROTOCOL, SCHEME, ServerInfo
from jupyter_sessions.wire.bounded import AnswerRefused
from jupyter_sessions.wire.encoding import encoded
from jupyter_sessions.wire.log_redaction import QuietClient
from jupyter_sessions.wire.releases import is_earlier
from jupyter_sessions.wire.unix_http import unix_transport

TIMEOUT = httpx.Timeout(200.0, connect=5.0)  # The server limits the time of backends itself.
ALIVE_SECONDS = 5.0
EVERY_SECONDS = 5.0
"""How often `wait` looks if it is asked for every look."""
T = TypeVar("T")


class RemoteService(RemoteFiles):
    """The operations of `SessionService`, performed by a Jupyter server."""

    def __init__(self, access: ServerInfo) -> None:
        tls = tls_of(access)
        self._about = access.url + "jupyter-sessions"
        self.base_url = access.url
        self._http = QuietClient(
            base_url=self._about,
            headers={"Authorization": f"{SCHEME} {access.token}"},
            transport=unix_transport(access.socket, tls) if access.socket else None,
            verify=tls,
            timeout=TIMEOUT,
            trust_env=False,
        )
        self._streams = Streams(access, self._about, tls)

    async def alive(self) -> bool:
        """Return whether the server answers and accepts our token. Errors: BadAnswer if its protocol is another."""
        try:
            response = await self._http.get(self._about, timeout=ALIVE_SECONDS)
            about = untrusted.decode(response.content)
        except (httpx.HTTPError, msgspec.DecodeError):
            return False
        if response.status_code != 200 or not isinstance(about, dict):
            return False
        if about.get("protocol") != PROTOCOL:
            raise errors.BadAnswer(
                f"The Jupyter server has jupyter_sessions {about.get('version')}, this kernel {__version__}.",
                hint=f"Restart {'Jupyter' if is_earlier(str(about.get('version')), __version__) else 'the kernel'} to finish the upgrade.",
            )
        return True

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
        """Return sessions, the most recently changed first, with `fields` beyond those of any list."""
        given: dict[str, object] = {"status": status, "backend": backend, "limit": limit, "offset": offset}
        given |= {"order": order, "access_key": access_key, "everyone": "true" if everyone else None}
        given["details"] = ",".join(fields) or None
        params = {key: str(value) for key, value in given.items() if value is not None}
        return await self._ask(Listing, "GET", "/sessions", params=params)

    async def get(self, backend: str, id: str) -> SessionInfo:
        """Return a session."""
        return await self._ask(SessionInfo, "GET", _path(backend, id))

    async def find(self, ref: str) -> SessionInfo:
        """Return the session that a name, id or backend/name refers to."""
        return await find(lambda status: self.list(status=status), ref)

    async def describe(self, backend: str | None = None) -> builtins.list[BackendInfo]:
        """Return a description of one backend or of all."""
        params = {"backend": backend} if backend else None
        answer = await self._ask(dict[str, Any], "GET", "/backends", params=params)
        return msgspec.convert(answer["backends"], builtins.list[BackendInfo])

    async def defaults(self) -> Defaults:
        """Return the defaults that complete a spec."""
        return await self._ask(Defaults, "GET", "/defaults")

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Request a session, and return its row at once."""
        return await self._ask(SessionInfo, "POST", "/sessions", body=spec)

    async def create_many(self, spec: SessionSpec) -> builtins.list[SessionInfo]:
        """Request a spec's `replicas` at once. Errors: NotSupported, in which case nothing has been created."""
        answer = await self._ask(dict[str, builtins.list[SessionInfo]], "POST", "/replicas", body=spec)
        return answer["sessions"]

    async def destroy(
        self, backend: str, id: str, *, forced: bool = False, recursive: bool = False
    ) -> SessionInfo:
        """End or cancel a session."""
        params = {key: "true" for key, on in {"forced": forced, "recursive": recursive}.items() if on}
        return await self._ask(SessionInfo, "DELETE", _path(backend, id), params=params)

    async def restart(self, backend: str, id: str) -> SessionInfo:
        """Restart a session."""
        return await self._patch(backend, id, {"action": "restart"})

    async def rename(self, backend: str, id: str, name: str) -> SessionInfo:
        """Rename a session."""
        return await self._patch(backend, id, {"name": name})

    async def renew(self, backend: str, id: str) -> SessionInfo:
        """Extend the time of a session."""
        return await self._patch(backend, id, {"action": "renew"})

    async def _patch(self, backend: str, id: str, body: dict[str, str]) -> SessionInfo:
        return await self._ask(SessionInfo, "PATCH", _path(backend, id), body=body)

    async def logs(self, backend: str, id: str) -> str:
        """Return the output of a session's processes."""
        return (await self._ask(dict[str, str], "GET", f"{_path(backend, id)}/logs"))["logs"]

    async def events(self, backend: str, id: str) -> builtins.list[Event]:
        """Return the events of a session, the oldest first."""
        answer = await self._ask(dict[str, builtins.list[Event]], "GET", f"{_path(backend, id)}/events")
        return answer["events"]

    async def outputs(self, backend: str, id: str, which: Selection) -> Outputs:
        """Return the output of a session by execution."""
        return await self._ask(Outputs, "GET", f"{_path(backend, id)}/outputs", params=which.params())

    async def start_service(
        self,
        backend: str,
        id: str,
        name: str,
        *,
        arguments: Mapping[str, str] | None = None,
        forced: bool = False,
    ) -> None:
        """Start a service of a session."""
        params = {"forced": "true"} if forced else None
        await self._send("POST", _service(backend, id, name), body={"arguments": arguments}, params=params)

    async def stop_service(self, backend: str, id: str, name: str) -> None:
        """End a service of a session."""
        await self._send("DELETE", _service(backend, id, name))

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """Return the end of a service's log."""
        return (await self._ask(dict[str, str], "GET", f"{_service(backend, id, name)}/log"))["logs"]

    async def wait(
        self, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
    ) -> AsyncIterator[SessionInfo]:
        """Yield the session's row whenever it changes, or after `every` look, until `until` holds."""
        seconds = EVERY_SECONDS if every else LOOK_AGAIN_SECONDS
        async with self._streams.open("GET", "/events") as events:
            coming = sse.Patient(events)
            try:
                row = await self.get(backend, id)
                yield row
                while not until(row):
                    await _mention(coming, id, seconds)
                    known, row = row, await self.get(backend, id)
                    if every or row.list_fingerprint() != known.list_fingerprint():
                        yield row
            finally:
                await coming.close()

    async def execute(
        self, backend: str, id: str, code: str, *, stdin: bool = False, ref: str | None = None
    ) -> AsyncIterator[Output]:
        """Run code in a session."""
        body = {"code": code, "stdin": stdin} | ({} if ref is None else {"ref": ref})
        async with self._streams.open("POST", f"{_path(backend, id)}/execute", body) as events:
            async for event in events:
                if event.name == "output":
                    yield untrusted.read(event.data, Output)
                elif event.name == "error":
                    raise errors.from_wire(event.json(), 500)
                elif event.name == sse.CLOSE:
                    return
        raise errors.BackendUnavailable(
            "The Jupyter server broke off its answer.", hint="Check that it is still running."
        )

    async def interrupt(self, backend: str, id: str) -> None:
        """Interrupt the running code of a session."""
        await self._send("POST", f"{_path(backend, id)}/interrupt")

    async def input(self, backend: str, id: str, run: str, text: str) -> None:
        """Answer the input request of a run."""
        await self._send("POST", f"{_path(backend, id)}/input", body={"run": run, "text": text})

    async def connection(
        self, backend: str, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """Return how to reach a session's kernel; see `Backend.connection`. An `owner` takes over the session."""
        body = {"owner": owner, "patience": patience}
        return await self._ask(KernelConnection, "POST", f"{_path(backend, id)}/connection", body=body)

    async def close(self) -> None:
        """Close all connections."""
        await self._streams.close()
        await self._http.aclose()

    async def _ask(
        self,
        kind: type[T],
        method: str,
        path: str,
        *,
        body: object = None,
        params: dict[str, str] | None = None,
    ) -> T:
        response = await self._send(method, path, body=body, params=params)
        try:
            return untrusted.read(response.content, kind)
        except msgspec.MsgspecError as error:
            raise errors.BadAnswer(
                f"The Jupyter server gave an answer that cannot be read: {error}.",
                hint="Install the same version of jupyter_sessions for the kernel and the server.",
            ) from None

    async def _send(
        self, method: str, path: str, *, body: object = None, params: dict[str, str] | None = None
    ) -> httpx.Response:
        request = self._http.build_request(
            method, path, content=None if body is None else encoded(body), params=params
        )
        try:
            response = await self._http.send(request)
        except AnswerRefused as error:
            raise errors.BadAnswer(
                f"The Jupyter server gave an answer that was rejected: {error}."
            ) from error
        except httpx.TransportError as error:
            raise lost(error) from error
        if not response.is_success:
            raise refused(response.status_code, response.content)
        return response


def _path(backend: str, id: str) -> str:
    return f"/sessions/{quote(backend, safe='')}/{quote(id, safe='')}"


def _service(backend: str, id: str, name: str) -> str:
    return f"{_path(backend, id)}/services/{quote(name, safe=':')}"


async def _mention(events: sse.Patient[sse.ServerEvent], id: str, seconds: float) -> None:
    """Wait until an event mentions the session, or for some seconds."""
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            event = await events.next(left)
            if event is not None and f'"{id}"' in event.data:
                return
    except StopAsyncIteration:
        raise errors.BackendUnavailable(
            "The Jupyter server has stopped.", hint="Start it again; sessions keep running."
        ) from None
