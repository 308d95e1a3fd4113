"""Service ports: list and start them, and tunnel to them through a WebSocket.

Source: seed 000, clients 23.9.10 to 26.9.6, managers 23.09 to 26.8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from jupyter_sessions.channels.relay_addresses import front_of
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api import sockets
from jupyter_sessions.manager.api.runs import count, running, streamed
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, find, read_object, service_ports
from jupyter_sessions.manager.run.supervisor import SessionSupervisor
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.descriptors import HANDOVER, receive_connection
from jupyter_sessions.wire.identity import Identity

START_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_LONGEST_PATH = 2000
_CHUNK = 256 * 1024


class LeaseRequest(msgspec.Struct):
    """The process that owns a session from now on, and the seconds it waits for the start, 0 for no limit."""

    owner: Identity | None = None
    patience: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0


async def apps(request: web.Request) -> web.Response:
    """Answer GET /stream/session/{ref}/apps: the service ports."""
    return answer(service_ports(find(request)))


async def start_service(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}/start-service: start a service and say where it listens, here on a unix socket.

    `arguments` is JSON text: options of the service's command, and additions of this manager. Its "base_url" is the
    path under which the service's pages appear; the answer's is the path under which the service sees them. Its
    "forced" starts a service that may not fit into the session's memory, its "again" that is
    false leaves one alone that has ended.
    """
    body = await body_of(request)
    name = str(body.get("app") or body.get("service") or "")
    supervisor = request.app[SESSIONS].supervisor(find(request))
    endpoint = await _start(supervisor, name, str(body.get("arguments") or ""))
    scheme = HANDOVER if endpoint.hands_over else "unix"
    where = {"base_url": endpoint.base_url, "at_root": endpoint.at_root, "headers": endpoint.headers}
    said = {key: value for key, value in where.items() if value}
    return answer({"token": "", "wsproxy_addr": f"{scheme}://{endpoint.socket}"} | said)


async def connection(request: web.Request) -> web.Response:
    """Answer POST …/{ref}/connection: how notebooks reach the session's kernel, and who owns the session from now on."""
    try:
        lease = msgspec.convert(await body_of(request), LeaseRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The request cannot be read: {error}.") from None
    sessions, record = request.app[SESSIONS], find(request)
    stem, key = sessions.endpoint(record).open()
    sessions.claim(record, lease.owner, lease.patience)
    return answer(front_of(stem, key, owner=lease.owner is not None))


async def shutdown_service(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}/shutdown-service: end a service, which starts again on the next request."""
    body = await body_of(request)
    supervisor = running(request)
    await supervisor.services.stop(str(body.get("service_name") or ""))
    count(request, supervisor.record)
    return web.Response(status=204)


async def service_log(request: web.Request) -> web.Response:
    """Answer GET …/{ref}/service-log?app=…: the end of a service's log."""
    supervisor = request.app[SESSIONS].supervisor(find(request))
    return answer({"result": {"logs": supervisor.service_log(request.query.get("app", ""))}})


async def tunnel(request: web.Request) -> web.StreamResponse:
    """Answer GET /stream/session/{ref}/tcpproxy?app=… or httpproxy: pass a service's bytes in binary messages.

    Closes with 1013 if the service does not listen, and with 1001 when the service closes the connection.
    """
    supervisor = streamed(request)
    services, record = supervisor.services, supervisor.record
    app, environ = request.query.get("app", ""), read_object(request.query.get("envs", ""), "envs")
    if environ:
        said = f"The app takes no '{min(environ)}' in 'envs'."
        raise InvalidRequest(said, hint="Leave it out.", field="envs")
    endpoint = await _start(supervisor, app, request.query.get("arguments", ""))
    sessions = request.app[SESSIONS]
    sessions.touch(record)
    async with sockets.upgraded(request) as socket:
        streams = await _connect(endpoint, lambda: services.serves(app))
        if streams is None:
            await sockets.close(socket, WSCloseCode.TRY_AGAIN_LATER, "The service does not listen.")
            return socket
        reader, writer = streams
        down = asyncio.create_task(_pass_down(reader, socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    raise InvalidRequest(
                        "Only binary messages are accepted here.", hint="Send binary messages."
                    )
                sessions.touch(record)
                writer.write(message.data)
                await writer.drain()
        finally:
            down.cancel()
            writer.close()
    return socket


async def _start(supervisor: SessionSupervisor, name: str, text: str) -> Endpoint:
    """Start a service with the arguments in a JSON text; without any, with those of before."""
    arguments = read_object(text, "arguments")
    _check_base_url(arguments)
    how = {
        "forced": arguments.pop("forced", None) is True,
        "again": arguments.pop("again", None) is not False,
    }
    arguments.pop("base_url", None)
    given = {key: "" if value is None else str(value) for key, value in arguments.items()}
    return await supervisor.start_service(name, **how, arguments=given or None)


def _check_base_url(arguments: dict[str, Any]) -> None:
    """Check that the base URL is a path of pages. Errors: InvalidRequest."""
    path = arguments.get("base_url") or "/"
    plain = isinstance(path, str) and path.startswith("/") and path.isprintable() and " " not in path
    if not plain or len(path) > _LONGEST_PATH:
        hint = "Give an absolute path, such as /."
        raise InvalidRequest("The argument 'base_url' is no path.", hint=hint, field="arguments")


async def _connect(
    endpoint: Endpoint, serves: Callable[[], bool]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Connect as soon as the service listens, or return None if it ends or takes too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(OSError):
                    return await _open(endpoint)
                if not serves():
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
