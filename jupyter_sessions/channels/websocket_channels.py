"""Channels through a Jupyter server: its REST API finds, interrupts and restarts the kernel, a WebSocket carries messages.

The kernel is that of a Jupyter session with a fixed path, which `POST api/sessions` returns again each time. The
WebSocket's `session_id` stays the same, so that the server sends what it buffered while the connection was cut.

Source: REST API of jupyter_server 2, `api/sessions` and `api/kernels`; "WebSocket kernel wire protocols".
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from yarl import URL

from jupyter_sessions.amounts import human_size
from jupyter_sessions.channels import websocket_messages
from jupyter_sessions.channels.kernel_channels import (
    CONNECT_SECONDS,
    ChannelsListener,
    KernelChannels,
    Parts,
)
from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint
from jupyter_sessions.channels.zmq_channels import guarded
from jupyter_sessions.errors import (
    BackendUnavailable,
    BadAnswer,
    InvalidRequest,
    SessionError,
    SessionNotFound,
    Unauthorized,
)
from jupyter_sessions.wire import untrusted

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("jupyter_sessions")
MOST_TO_SERVER = 10 * 1024**2
"""The largest message that a Jupyter server takes: tornado's `websocket_max_message_size`."""
MOST_FROM_SERVER = 64 * 1024**2
MOST_IN_ANSWER = 1024**2
"""The most bytes of an answer of the REST API."""
MOST_WAITING = 1000
"""The most messages that wait for a connection that was cut."""
_HEARTBEAT_SECONDS = 60.0
"""A connection may stall for half of that."""
_REQUEST_SECONDS = 60.0
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
_ASK_AGAIN = "Ask who runs the session's Jupyter server."


class WebSocketChannels(KernelChannels):
    """Channels to the kernel of a session in the session's Jupyter server."""

    def __init__(self, endpoint: JupyterEndpoint, listener: ChannelsListener, identity: str = "") -> None:
        self._endpoint = endpoint
        self._listener = listener
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._v1 = True
        self._kernel = ""
        self._session_id = identity or secrets.token_hex(16)
        self._waiting: asyncio.Queue[bytes | str] = asyncio.Queue(MOST_WAITING)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """See `KernelChannels.open`."""
        import aiohttp

        from jupyter_sessions.wire.redirects import refuse_redirects

        connector = aiohttp.UnixConnector(self._endpoint.socket) if self._endpoint.socket else None
        self._http = aiohttp.ClientSession(
            connector=connector,
            headers={**self._endpoint.headers, "Accept-Encoding": "identity"},
            auto_decompress=False,
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # For servers at an IP address.
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
            trace_configs=[refuse_redirects()],
        )
        try:
            await self._reach()
        except BaseException:
            await self._http.close()
            raise
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]

    def send(self, channel: str, parts: Parts) -> None:
        """See `KernelChannels.send`."""
        data = websocket_messages.encode(channel, parts, v1=self._v1)
        if len(data) > MOST_TO_SERVER:
            raise InvalidRequest(
                f"A message of {human_size(len(data))} is more than a Jupyter server takes, {human_size(MOST_TO_SERVER)}.",
                hint="Send less at once, or upload a file.",
            )
        try:
            self._waiting.put_nowait(data)
        except asyncio.QueueFull:
            raise BackendUnavailable(
                f"{MOST_WAITING} messages already wait for the session's Jupyter server.", hint="Try again."
            ) from None

    async def interrupt(self) -> None:
        """See `KernelChannels.interrupt`. Errors: BackendUnavailable, of others."""
        await self._ask("POST", f"api/kernels/{quote(self._kernel)}/interrupt")

    async def restart(self) -> None:
        """See `KernelChannels.restart`. Errors: BackendUnavailable, of others."""
        await self._ask("POST", f"api/kernels/{quote(self._kernel)}/restart")
        self._listener.reconnected(replaced=True)

    async def close(self) -> None:
        """See `KernelChannels.close`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    # REST.

    async def _find(self) -> str:
        """Return the id of the session's kernel, which is started unless it runs."""
        kernel = {"name": self._endpoint.kernel} if self._endpoint.kernel else {}
        body = {"path": self._endpoint.path, "name": "", "type": "console", "kernel": kernel}
        answer = await self._ask("POST", "api/sessions", body)
        try:
            return str(answer["kernel"]["id"])
        except (KeyError, TypeError) as error:
            raise BadAnswer(
                "The session's Jupyter server does not say which kernel it has.", hint=_ASK_AGAIN
            ) from error

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        """Return a JSON answer. Errors: BackendUnavailable, SessionNotFound, Unauthorized, BadAnswer."""
        import aiohttp

        assert self._http is not None  # noqa: S101
        xsrf = self._xsrf()
        headers = {"X-XSRFToken": xsrf} if xsrf else {}
        try:
            async with self._http.request(
                method, self._url(path), json=body, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status == 403 and not xsrf and method == "POST":
                    await self._ask("GET", "api/kernels")
                    if self._xsrf():
                        return await self._ask(method, path, body)
                if not answer.ok or answer.status >= 300:
                    raise _refusal(answer.status)
                return None if answer.status == 204 else await _content(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unreachable() from error

    def _xsrf(self) -> str:
        """Return the token against cross-site requests, which a server without authentication gives in a cookie."""
        assert self._http is not None  # noqa: S101
        return next((one.value for one in self._http.cookie_jar if one.key == "_xsrf"), "")

    def _url(self, path: str) -> URL:
        base = URL(self._endpoint.url)
        return (base / path).with_query(base.query)

    # The WebSocket.

    async def _connect(self) -> aiohttp.ClientWebSocketResponse[bool]:
        import aiohttp

        assert self._http is not None  # noqa: S101
        path = f"api/kernels/{quote(self._kernel)}/channels"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                socket = await self._http.ws_connect(
                    self._url(path).update_query(session_id=self._session_id),
                    protocols=[websocket_messages.V1],
                    max_msg_size=MOST_FROM_SERVER,
                    heartbeat=_HEARTBEAT_SECONDS,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status) from error
        except aiohttp.TooManyRedirects as error:
            raise BadAnswer(
                "The session's Jupyter server redirects to another address.", hint=_ASK_AGAIN
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable() from error
        self._v1 = socket.protocol == websocket_messages.V1
        return socket

    async def _write(self) -> None:
        while True:
            data = await self._waiting.get()
            while self._socket is None or self._socket.closed:  # noqa: ASYNC110 - `_read` connects again
                await asyncio.sleep(_PAUSES[0])
            with suppress(ConnectionError):  # It may have arrived: sent twice it would run twice.
                await (
                    self._socket.send_bytes(data) if isinstance(data, bytes) else self._socket.send_str(data)
                )

    async def _read(self) -> None:
        """Receive messages, and tell the listener once nothing more can come, so that no cell waits for it."""
        try:
            await self._receive_all()
        except SessionError as error:
            self._listener.gone(error.message)
        except Exception:
            log.exception("A connection to a Jupyter server broke off.")
            self._listener.gone("The connection to the session's Jupyter server broke off.")

    async def _receive_all(self) -> None:
        """Receive messages, and connect again whenever the connection was cut. Errors: SessionError."""
        import aiohttp

        while self._socket is not None:
            async for message in self._socket:
                if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                    self._receive(message.data)
            replaced = await self._reach()
            self._listener.reconnected(replaced=replaced)

    def _receive(self, data: bytes | str) -> None:
        try:
            channel, parts = websocket_messages.decode(data, v1=self._v1)
        except ValueError:
            log.warning("A Jupyter server sent a message that no kernel sends.")
            return
        guarded(self._listener.take, channel, parts)

    async def _reach(self) -> bool:
        """Connect, and return whether the kernel is another one than before.

        A server may still start. Errors: SessionError; BackendUnavailable only after CONNECT_SECONDS.
        """
        deadline = asyncio.get_running_loop().time() + CONNECT_SECONDS
        pauses = iter(_PAUSES)
        while True:
            try:
                kernel = await self._find()
                replaced, self._kernel = kernel != self._kernel, kernel
                self._socket = await self._connect()
                return replaced
            except BackendUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(next(pauses, _PAUSES[-1]))


async def _content(answer: aiohttp.ClientResponse) -> Any:
    """Return the JSON of an answer. Errors: BadAnswer; BackendUnavailable for another type."""
    if answer.content_type != "application/json":  # A page of a proxy, while the server starts.
        raise _unreachable()
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadAnswer("The session's Jupyter server compresses its answers.", hint=_ASK_AGAIN)
    found = bytearray()
    async for piece in answer.content.iter_any():
        found += piece
        if len(found) > MOST_IN_ANSWER:
            raise BadAnswer(
                f"The session's Jupyter server answered with more than {human_size(MOST_IN_ANSWER)}.",
                hint=_ASK_AGAIN,
            )
    try:
        return untrusted.decode(bytes(found))
    except msgspec.DecodeError as error:
        raise BadAnswer(
            f"The session's Jupyter server did not answer as one: {error}.", hint=_ASK_AGAIN
        ) from error


def _refusal(status: int) -> SessionError:
    if status in (401, 403) or 300 <= status < 400:
        return Unauthorized("The session's Jupyter server refuses our token.", hint="Try again.")
    if status == 404:
        return SessionNotFound("The session's Jupyter server does not know its kernel any more.")
    if status in (502, 503, 504):
        return _unreachable()
    return BadAnswer(f"The session's Jupyter server answered with status {status}.", hint=_ASK_AGAIN)


def _unreachable() -> BackendUnavailable:
    return BackendUnavailable("The session's Jupyter server cannot be reached.", hint="Try again.")
