"""WebSockets to a service: frames, sub-protocols, pings and close codes pass both ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from jupyter_server.auth.decorator import authorized, ws_authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from jupyter_sessions.wire.proxy.upstream import UpstreamWebSocket, client, patiently, sendable, url

from .base import ServiceProxyHandler
from .refusal import Refusal, broken_off

if TYPE_CHECKING:
    from jupyter_sessions.model import Endpoint

LARGEST = 512 * 1024 * 1024
"""Bytes of one message, which has to be held as a whole."""


class SocketHandler(WebSocketHandler, ServiceProxyHandler):
    """A client's WebSocket, tied to one that is opened to the service before the client's is."""

    _upstream: UpstreamWebSocket
    _pump: asyncio.Task[None] | None = None

    @property
    def navigates(self) -> bool:
        """Never: a WebSocket shows no page."""
        return False

    @property
    def max_message_size(self) -> int:
        """The largest message a client may send, in bytes."""
        return LARGEST

    def check_origin(self, origin: str = "") -> bool:
        """True: `admit` has refused foreign origins before this is asked."""
        return True

    async def prepare(self) -> None:  # type: ignore[override]
        """Admit the handshake; it is a GET, but guarded like a request that changes something."""
        await self.admit("execute", safe=False)

    @ws_authenticated
    @authorized(action="execute")  # type: ignore[untyped-decorator]
    async def get(self, **names: str) -> None:  # type: ignore[override]
        """Open the service's side, accept the client's and pass messages until one side ends."""
        endpoint = await self.locate()
        async with client(endpoint) as session:
            self._upstream = await self._connect(session, endpoint)
            try:
                await super().get(**names)
            finally:
                await self._close_upstream()

    async def _connect(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> UpstreamWebSocket:
        options: dict[str, Any] = {
            "protocols": self._offered(),
            "headers": self.upward_headers(),
            "autoclose": False,
            "autoping": False,
            "max_msg_size": LARGEST,
        }
        where = url(endpoint, self.target_at(endpoint))
        try:
            return await patiently(lambda: session.ws_connect(where, **options), self.patience)
        except aiohttp.ClientConnectorError as error:
            raise await self.not_listening() from error
        except aiohttp.WSServerHandshakeError as error:
            status = error.status if error.status >= 400 else 502
            raise Refusal(
                status, "The service takes no WebSocket here.", hint="Check the address."
            ) from error
        except aiohttp.ClientError as error:
            raise broken_off() from error

    def _offered(self) -> list[str]:
        """The client's sub-protocols, but for those that some clients make to carry a token."""
        names = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        stripped = (name.strip() for name in names)
        return [name for name in stripped if name and not self.credentials.occur_in(name)]

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """What the service chose from the client's list."""
        return self._upstream.protocol

    def open(self, *_: str, **__: str) -> None:
        """Begin to pass the service's messages down."""
        self.set_nodelay(True)
        self._pump = asyncio.create_task(self._pass_down())

    async def _pass_down(self) -> None:
        try:
            while await self._pass_message(await self._upstream.receive()):
                self.touch()
        except WebSocketClosedError:
            pass

    async def _pass_message(self, message: Any) -> bool:
        """Pass one message to the client; False if it was the last."""
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                await self.write_message(message.data)
            case aiohttp.WSMsgType.BINARY:
                await self.write_message(message.data, binary=True)
            case aiohttp.WSMsgType.PING:
                self.ping(message.data)
            case aiohttp.WSMsgType.PONG:
                pass
            case aiohttp.WSMsgType.CLOSE:
                self.close(message.data or None, message.extra or None)
                return False
            case aiohttp.WSMsgType.CLOSING:
                return False
            case _:
                self._cut()
                return False
        return True

    def _cut(self) -> None:
        """The service is gone without a word; so is the client's connection."""
        if self.ws_connection and self.ws_connection.stream:
            self.ws_connection.stream.close()

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message up; the next one is read when this one is on its way."""
        self.touch()
        self.heard()
        try:
            if isinstance(message, str):
                await self._upstream.send_str(message)
            else:
                await self._upstream.send_bytes(message)
        except aiohttp.ClientError:
            self.log.debug("a message came after the service had closed its WebSocket")

    def on_pong(self, data: bytes) -> None:
        """Pass the answer to the service's ping up."""
        self._send_control(self._upstream.pong(data))

    def on_ping(self, data: bytes) -> None:
        """Let the service see the ping that Tornado has answered already."""
        self._send_control(self._upstream.ping(data))

    def _send_control(self, sending: Any) -> None:
        task = asyncio.ensure_future(sending)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _close_upstream(self) -> None:
        if self._upstream.closed:
            return
        if self.close_code is None:
            await self._close_without_code()
        reason = (self.close_reason or "").encode()[:123]
        await self._upstream.close(code=sendable(self.close_code), message=reason)
        if self._pump:
            await asyncio.wait({self._pump})

    async def _close_without_code(self) -> None:
        """The client gave no code or just went; aiohttp's `close` would make a 1000 of it."""
        try:
            await self._upstream.send_frame(b"", aiohttp.WSMsgType.CLOSE)
        except aiohttp.ClientError:
            self.log.debug("the service had closed its WebSocket already")
