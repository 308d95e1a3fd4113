"""WebSockets of the manager: opened, kept alive, and closed with a reason."""

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
"""Bytes of one message, which has to be held as a whole."""

HEARTBEAT_SECONDS = 30.0
_PARTING_SECONDS = 2.0
_REASON_BYTES = 120

ServerWebSocket = web.WebSocketResponse[bool]
SOCKETS = web.AppKey("sockets", WeakSet[ServerWebSocket])


def check(request: web.Request) -> None:
    """For what begins before there is a WebSocket. Errors: InvalidRequest if the request wants none."""
    if not ServerWebSocket().can_prepare(request):
        raise InvalidRequest("This address speaks WebSocket.", hint="Connect with a WebSocket client.")


@asynccontextmanager
async def upgraded(request: web.Request) -> AsyncIterator[ServerWebSocket]:
    """The request's WebSocket, closed at the end: nothing that is wrong from now on can be an answer.

    Errors: InvalidRequest if the request wants none.
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
        pass  # It has gone.
    except SessionError as error:
        await close(socket, WSCloseCode.POLICY_VIOLATION, str(error))
    except Exception:
        log.exception("%s %s", request.method, request.path)
        await close(socket, WSCloseCode.INTERNAL_ERROR, "The manager failed; its log says why.")
    finally:
        await close(socket, WSCloseCode.OK)


async def close(socket: ServerWebSocket, code: int, reason: str = "") -> None:
    """Close a WebSocket unless it is closed; of a long reason, the beginning is told."""
    with suppress(ConnectionError):
        await socket.close(
            code=code, message=reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
        )


async def close_all(app: web.Application) -> None:
    """The manager ends."""
    for socket in [*app[SOCKETS]]:
        await close(socket, WSCloseCode.GOING_AWAY, "The manager ends.")


async def texts(socket: ServerWebSocket) -> AsyncIterator[str]:
    """The text messages that come. Errors: InvalidRequest for others."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            raise InvalidRequest("Only text messages are understood here.", hint="Send text.")
        yield message.data


async def send(socket: ServerWebSocket, body: object) -> None:
    """Send JSON; returns when there is room for more."""
    await socket.send_str(msgspec.json.encode(body).decode())
