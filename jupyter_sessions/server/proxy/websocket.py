"""Pass WebSockets to a service: frames, sub-protocols, pings and close codes in both directions."""

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
"""The most bytes of a message, which has to be held as a whole."""


class SocketHandler(WebSocketHandler, ServiceProxyHandler):
    """A client's WebSocket, tied to one to the service, which is opened first."""

    _upstream: UpstreamWebSocket
    _pump: asyncio.Task[None] | None = None

    @property
    def navigates(self) -> bool:
        """Return False: a WebSocket shows no page."""
        return False

    @property
    def max_message_size(self) -> int:
        """Return the most bytes of a client's message."""
        return LARGEST

    def check_origin(self, origin: str = "") -> bool:
        """Return True: `admit` has refused foreign origins already."""
        return True

    async def prepare(self) -> None:  # type: ignore[override]
        """Admit the handshake, which is a GET but guarded like a request that changes something."""
        await self.admit("execute", safe=False)

    @ws_authenticated
    @authorized(action="execute")  # type: ignore[untyped-decorator]
    async def get(self, **names: str) -> None:  # type: ignore[override]
        """Connect to the service, accept the client, and pass messages until either side ends."""
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
            "headers": self.upward_headers(endpoint),
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
                status, "The service accepts no WebSocket at this address.", hint="Check the address."
            ) from error
        except aiohttp.ClientError as error:
            raise broken_off() from error

    def _offered(self) -> list[str]:
        """Return the client's sub-protocols, except those that only carry a token."""
        names = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        stripped = (name.strip() for name in names)
        return [name for name in stripped if name and not self.credentials.occur_in(name)]

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Return the sub-protocol that the service chose from the client's list."""
        return self._upstream.protocol

    def open(self, *_: str, **__: str) -> None:
        """Start to pass on the service's messages."""
        self.set_nodelay(True)
        self._pump = asyncio.create_task(self._pass_down())

    async def _pass_down(self) -> None:
        try:
            while await self._pass_message(await self._upstream.receive()):
                self.touch()
        except WebSocketClosedError:
            pass

    async def _pass_message(self, message: Any) -> bool:
        """Pass a message to the client; return False for the last message."""
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
        """Drop the client's connection, because the service's broke without a close frame."""
        if self.ws_connection and self.ws_connection.stream:
            self.ws_connection.stream.close()

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message to the service; the next is read once this one has been sent."""
        self.touch()
        self.heard()
        try:
            if isinstance(message, str):
                await self._upstream.send_str(message)
            else:
                await self._upstream.send_bytes(message)
        except aiohttp.ClientError:
            self.log.debug("A message came after the service had closed its WebSocket.")

    def on_pong(self, data: bytes) -> None:
        """Pass the answer to the service's ping on."""
        self._send_control(self._upstream.pong(data))

    def on_ping(self, data: bytes) -> None:
        """Pass on a ping that Tornado has already answered."""
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
        """Close the service's side without a code, as the client did; aiohttp's `close` would send 1000."""
        try:
            await self._upstream.send_frame(b"", aiohttp.WSMsgType.CLOSE)
        except aiohttp.ClientError:
            self.log.debug("The service had closed its WebSocket already.")
