"""Service ports: which there are, starting them, and a way to each through a WebSocket.

Source: seed 000, clients 23.9.10 to 26.9.6, managers 23.09 to 26.8.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api import sockets
from jupyter_sessions.manager.api.runs import count, running, streamed
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, find, read_object, service_ports
from jupyter_sessions.manager.run.services import ServiceLauncher
from jupyter_sessions.manager.run.supervisor import SessionSupervisor
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.descriptors import HANDOVER, receive_connection
from jupyter_sessions.wire.identity import Identity

KERNEL = "kernel"
START_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_LONGEST_PATH = 2000
_CHUNK = 256 * 1024


class LeaseRequest(msgspec.Struct):
    """Whose a session is from now on, and how many seconds that waits for it to start, 0 for ever."""

    owner: Identity | None = None
    patience: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0


async def apps(request: web.Request) -> web.Response:
    """GET /stream/session/{ref}/apps: the service ports."""
    return answer(service_ports(find(request)))


async def start_service(request: web.Request) -> web.Response:
    """POST /session/{ref}/start-service: where a service listens; ours listen on unix sockets.

    `arguments` is JSON text; its "base_url" is the path under which the service's pages appear, the answer's
    the one under which the service sees them; "forced" starts what may not fit into the session's memory. The app
    "kernel" is ours: where notebooks connect (`front.front_of`), with the key as token; its "owner" is
    the process that has the session from now on, "patience" how many seconds it waits for it to start.
    It has no pages: with a "base_url" the app is a service, and one of that name is not declared.
    """
    body = await body_of(request)
    name = str(body.get("app") or body.get("service") or "")
    arguments = read_object(str(body.get("arguments") or ""), "arguments")
    sessions, record = request.app[SESSIONS], find(request)
    if name == KERNEL and "base_url" not in arguments:
        claim = _claim(arguments)
        stem, key = sessions.front(record).open()
        sessions.claim(record, claim.owner, claim.patience)
        return answer({"token": key, "wsproxy_addr": f"ipc://{stem}"})
    _check_base_url(arguments)
    forced = arguments.get("forced") is True
    endpoint = await sessions.supervisor(record).start_service(name, forced=forced)
    scheme = HANDOVER if endpoint.hands_over else "unix"
    where = {"base_url": endpoint.base_url} if endpoint.base_url else {}
    return answer({"token": "", "wsproxy_addr": f"{scheme}://{endpoint.socket}"} | where)


def _claim(arguments: dict[str, Any]) -> LeaseRequest:
    try:
        return msgspec.convert(arguments, LeaseRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The arguments cannot be read: {error}.", field="arguments") from None


async def shutdown_service(request: web.Request) -> web.Response:
    """POST /session/{ref}/shutdown-service: end a service; it starts again when it is asked for."""
    body = await body_of(request)
    supervisor = running(request)
    await supervisor.services.stop(str(body.get("service_name") or ""))
    count(request, supervisor.record)
    return web.Response(status=204)


async def service_log(request: web.Request) -> web.Response:
    """GET /session/{ref}/service-log?app=…: the end of what a service printed (ours)."""
    supervisor = request.app[SESSIONS].supervisor(find(request))
    return answer({"result": {"logs": supervisor.service_log(request.query.get("app", ""))}})


async def tunnel(request: web.Request) -> web.StreamResponse:
    """GET /stream/session/{ref}/tcpproxy?app=… or httpproxy: bytes to and from a service, in binary messages.

    Closes with 1013 if the service does not listen, and with 1001 when it hangs up.
    """
    supervisor = streamed(request)
    services, record = supervisor.services, supervisor.record
    endpoint = await _start(request, supervisor)
    sessions = request.app[SESSIONS]
    sessions.touch(record)
    async with sockets.upgraded(request) as socket:
        streams = await _connect(endpoint, services)
        if streams is None:
            await sockets.close(socket, WSCloseCode.TRY_AGAIN_LATER, "The service does not listen.")
            return socket
        reader, writer = streams
        down = asyncio.create_task(_pass_down(reader, socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    raise InvalidRequest("Only binary messages are understood here.")
                sessions.touch(record)
                writer.write(message.data)
                await writer.drain()
        finally:
            down.cancel()
            writer.close()
    return socket


async def _start(request: web.Request, supervisor: SessionSupervisor) -> Endpoint:
    arguments = read_object(request.query.get("arguments", ""), "arguments")
    environ = read_object(request.query.get("envs", ""), "envs")
    for field, given in (("arguments", arguments.keys() - {"base_url", "forced"}), ("envs", environ.keys())):
        if given:
            raise InvalidRequest(
                f"The app takes no '{min(given)}' in '{field}'.", hint="Leave it out.", field=field
            )
    _check_base_url(arguments)
    forced = arguments.get("forced") is True
    return await supervisor.start_service(request.query.get("app", ""), forced=forced)


def _check_base_url(arguments: dict[str, Any]) -> None:
    """Errors: InvalidRequest for what is no path of pages."""
    path = arguments.get("base_url") or "/"
    plain = isinstance(path, str) and path.startswith("/") and path.isprintable() and " " not in path
    if not plain or len(path) > _LONGEST_PATH:
        hint = "Give an absolute path, such as /."
        raise InvalidRequest("The argument 'base_url' is no path.", hint=hint, field="arguments")


async def _connect(
    endpoint: Endpoint, services: ServiceLauncher
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Connect as soon as the service listens; None if it ends instead, or takes too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(OSError):
                    return await _open(endpoint)
                if not services.serves(endpoint):
                    return None
                await asyncio.sleep(_PAUSE_SECONDS)
    return None


async def _open(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert endpoint.socket is not None  # noqa: S101
    if endpoint.hands_over:
        connection = await receive_connection(endpoint.socket)
        return await asyncio.open_connection(sock=connection, limit=_CHUNK)
    return await asyncio.open_unix_connection(endpoint.socket, limit=_CHUNK)


async def _pass_down(reader: asyncio.StreamReader, socket: sockets.ServerWebSocket) -> None:
    try:
        while data := await reader.read(_CHUNK):
            await socket.send_bytes(data)
    except ConnectionError:
        pass
    await sockets.close(socket, WSCloseCode.GOING_AWAY)
