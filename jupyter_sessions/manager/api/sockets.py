"""WebSockets of the manager: open them, keep them alive, and close them with a reason."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from jupyter_sessions.errors import InvalidRequest, SessionError

log = logging.getLogger("jupyter_sessions")

LARGEST = 32 * 1024**2
"""The most bytes of a message, which has to be held as a whole."""

HEARTBEAT_SECONDS = 30.0
_PARTING_SECONDS = 2.0
_REASON_BYTES = 120

ServerWebSocket = web.WebSocketResponse[bool]
SOCKETS = web.AppKey("sockets", WeakSet[ServerWebSocket])


def check(request: web.Request) -> None:
    """Check that a request asks for a WebSocket, before anything is started for it. Errors: InvalidRequest."""
    if not ServerWebSocket().can_prepare(request):
        raise InvalidRequest("This address needs a WebSocket.", hint="Connect with a WebSocket client.")


@asynccontextmanager
async def upgraded(request: web.Request) -> AsyncIterator[ServerWebSocket]:
    """Provide the request's WebSocket, and close it at the end; from then on, errors become its close reason.

    Errors: InvalidRequest if the request does not ask for a WebSocket.
    """
    check(request)
    socket = ServerWebSocket(
        heartbeat=HEARTBEAT_SECONDS, max_msg_size=LARGEST, compress=False, timeout=_PARTING_SECONDS
    )
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    try:
        yield socket
    except ConnectionError:
        pass  # The client has disconnected.
    except SessionError as error:
        await close(socket, WSCloseCode.POLICY_VIOLATION, str(error))
    except Exception:
        log.exception("%s %s", request.method, request.path)
        await close(socket, WSCloseCode.INTERNAL_ERROR, "The manager failed; see its log.")
    finally:
        await close(socket, WSCloseCode.OK)


async def close(socket: ServerWebSocket, code: int, reason: str = "") -> None:
    """Close a WebSocket unless it is closed already; a long reason is cut off."""
    with suppress(ConnectionError):
        await socket.close(
            code=code, message=reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
        )


async def close_all(app: web.Application) -> None:
    """Close all WebSockets, because the manager ends."""
    for socket in [*app[SOCKETS]]:
        await close(socket, WSCloseCode.GOING_AWAY, "The manager ends.")


async def texts(socket: ServerWebSocket) -> AsyncIterator[str]:
    """Yield the text messages of a WebSocket. Errors: InvalidRequest for other messages."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            raise InvalidRequest("Only text messages are accepted here.", hint="Send text messages.")
        yield message.data


async def send(socket: ServerWebSocket, body: object) -> None:
    """Send JSON, and wait until there is room for more."""
    await socket.send_str(msgspec.json.encode(body).decode())
