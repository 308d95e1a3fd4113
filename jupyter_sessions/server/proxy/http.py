"""Stream HTTP requests to a service and back, with back-pressure in both directions."""

from __future__ import annotations

import asyncio
from asyncio import Future
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from jupyter_server.auth.decorator import authorized
from jupyter_server.auth.utils import HTTP_METHOD_TO_AUTH_ACTION
from tornado import web

from jupyter_sessions.wire.proxy import headers, target
from jupyter_sessions.wire.proxy.credentials import KEY_COOKIE
from jupyter_sessions.wire.proxy.origin import SAFE_METHODS
from jupyter_sessions.wire.proxy.rebase import Rebase
from jupyter_sessions.wire.proxy.upstream import client, patiently, url

from . import key_page
from .base import ServiceProxyHandler
from .body import StreamedBody
from .contract import ROOT
from .refusal import broken_off

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1Connection

    from jupyter_sessions.model import Endpoint

# Header fields that the server adds to, or sets in place of, the service's.
_OURS = ("content-security-policy", "x-content-type-options")
# Time before people see the waiting page, which would otherwise flash by.
_GRACE = 0.5
_UNLIMITED = 1 << 60


@web.stream_request_body
class HttpHandler(ServiceProxyHandler):
    """Passes on a request and its answer while they arrive.

    Tornado calls the verbs only after the whole body has arrived, so the request to the service starts in
    `prepare`, in a task; otherwise a body larger than the queue would wait forever.
    """

    _body: StreamedBody | None = None
    _exchange: asyncio.Task[None] | None = None
    _failure: Exception | None = None
    _answering = False

    async def prepare(self) -> None:  # type: ignore[override]
        """Admit the request and start the exchange with the service."""
        method = self.request.method or ""
        action = HTTP_METHOD_TO_AUTH_ACTION.get(method)
        if action is None:
            raise web.HTTPError(405)
        self._unify_length()
        if not await self.admit(action, safe=method in SAFE_METHODS):
            return
        if self._moved():
            return
        endpoint = await self.locate()
        self._note_input()
        self._connection.set_max_body_size(_UNLIMITED)
        self._body = StreamedBody() if self._has_body() else None
        self._exchange = asyncio.create_task(self._run(endpoint))

    def _unify_length(self) -> None:
        """Merge several identical Content-Length fields into one, as Tornado does later (RFC 9110, 8.6)."""
        sent = self.request.headers
        if "Content-Length" not in sent:
            return
        length, *others = {part.strip() for part in sent["Content-Length"].split(",")}
        if others or not (length.isascii() and length.isdigit()):
            raise web.HTTPError(400, "The Content-Length is not a number.")
        sent["Content-Length"] = length

    def _note_input(self) -> None:
        if self.navigates or self.request.method not in SAFE_METHODS:
            self.heard()

    def _moved(self) -> bool:
        """Redirect to the service's root, to its path with the key, or away from a URL that shows the token."""
        query = target.clean_query(self.request.query, self.credentials)
        shown = self.navigates and self.token_authenticated and query != self.request.query
        prefix = self.proper_prefix
        if self.rest and prefix == self.prefix and not shown:
            return False
        self.set_header("Cache-Control", "no-store")
        place = self.rest[1:] + (f"?{query}" if query else "")
        unsaid = "Sec-Fetch-Mode" not in self.request.headers
        if unsaid and self._key and not (self._has_key or self._caller().by_token):
            self._send_key_page(place)
        else:
            self.redirect(prefix + place, status=307)
        return True

    def _send_key_page(self, place: str) -> None:
        """Let the browser find the key itself, because a navigation cannot be told from other requests."""
        self.set_cookie(
            KEY_COOKIE,
            self._key,
            path=self.prefix.rstrip("/"),
            max_age=key_page.COOKIE_SECONDS,
            samesite="Strict",
            secure=self.request.protocol == "https",
        )
        self.set_header("Content-Security-Policy", key_page.POLICY)
        self.finish(key_page.draw(self.base_url + ROOT, "/".join(self.names) + "/" + place))

    @property
    def _connection(self) -> HTTP1Connection:
        return cast("HTTP1Connection", self.request.connection)

    def _has_body(self) -> bool:
        sent = self.request.headers
        return "Transfer-Encoding" in sent or sent.get("Content-Length", "0") != "0"

    async def data_received(self, chunk: bytes) -> None:
        """Pass on a piece of the body; returning late holds the sender back."""
        if self._body:
            self._note_input()
            await self._body.feed(chunk)

    def on_connection_close(self) -> None:
        """Cancel the request to the service, because the client has disconnected."""
        if self._exchange:
            self._exchange.cancel()
        super().on_connection_close()

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """End the answer, and the connection as well if the body has not been read."""
        if self._exchange is None:
            self.set_header("Connection", "close")
        return super().finish(chunk)

    async def _run(self, endpoint: Endpoint) -> None:
        try:
            async with client(endpoint) as session:
                await self._relay(session, endpoint)
        except Exception as error:
            self._failure = error
            if self._answering:
                unforeseen = not isinstance(error, aiohttp.ClientError)
                self.log.warning("A service's answer broke off.", exc_info=unforeseen)
                # Closing is the only way left to signal that the answer is incomplete.
                self._connection.close()
        finally:
            if self._body:
                self._body.abandon()

    async def _relay(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        where, sent = url(endpoint, self.target_at(endpoint)), self.upward_headers(endpoint)
        rebase = Rebase(endpoint.base_url, self.prefix) if endpoint.base_url else None
        if rebase:
            sent["Accept-Encoding"] = "identity"
        method = self.request.method

        async def ask() -> aiohttp.ClientResponse:
            return await session.request(
                method or "GET", where, headers=sent, data=self._body, allow_redirects=False
            )

        patience = min(_GRACE, self.patience) if self.navigates else self.patience
        async with await patiently(ask, patience) as answer:
            if answer.status < 200:
                raise aiohttp.ClientError("an upgrade that nobody asked for")
            await self._answer(answer, self.prefix if endpoint.at_root else "/", rebase)

    async def _answer(self, answer: aiohttp.ClientResponse, root: str, rebase: Rebase | None) -> None:
        fields = list(headers.downward(answer.raw_headers, self.prefix, self.credentials))
        text = rebase is not None and rebase.is_text(answer.status, fields)
        if rebase:
            fields = list(rebase.fields(fields, text=text))
        self._write_head(answer, fields, root)
        self._answering = True
        await self.flush()
        async for chunk in answer.content.iter_any():
            self.write(rebase.feed(chunk) if rebase and text else chunk)
            await self.flush()
        if rebase:
            self.write(rebase.end())
        self.touch()

    def _write_head(self, answer: aiohttp.ClientResponse, fields: list[tuple[str, str]], root: str) -> None:
        # The server may be configured to compress, but a service's answer must stay unchanged.
        self._transforms = []
        self.set_status(answer.status, answer.reason or None)
        for name in {"Server", "Date", "Content-Type", *(name for name, _ in fields)}:
            if name.lower() not in _OURS:
                self.clear_header(name)
        for name, value in fields:
            translated = value.startswith(self.prefix)
            self._add(
                name, headers.located(value, root) if name.lower() == "location" and not translated else value
            )

    def _add(self, name: str, value: str) -> None:
        if name.lower() == "x-content-type-options":
            return
        try:
            self.add_header(name, value)
        except ValueError:
            self.log.debug("a service sent an unusable header field %r", name)

    async def _finish_exchange(self) -> None:
        """Wait for the exchange; the return of the verb then ends the answer."""
        if self._body:
            await self._body.feed(None)
        if self._exchange:
            await asyncio.wait({self._exchange})
        if self._failure and not self._answering:
            raise await self._refusal(self._failure)

    async def _refusal(self, error: Exception) -> Exception:
        if isinstance(error, aiohttp.ClientConnectorError):
            return await self.not_listening()
        if isinstance(error, (aiohttp.ClientError, OSError)):
            self.log.warning("a service broke off: %s", type(error).__name__)
            return broken_off()
        return error

    @web.authenticated
    @authorized
    async def get(self, **_: str) -> None:
        """Pass on a GET."""
        await self._finish_exchange()

    @web.authenticated
    @authorized
    async def head(self, **_: str) -> None:
        """Pass on a HEAD."""
        await self._finish_exchange()

    @web.authenticated
    @authorized
    async def options(self, **_: str) -> None:
        """Pass on an OPTIONS."""
        await self._finish_exchange()

    @web.authenticated
    @authorized
    async def post(self, **_: str) -> None:
        """Pass on a POST."""
        await self._finish_exchange()

    @web.authenticated
    @authorized
    async def put(self, **_: str) -> None:
        """Pass on a PUT."""
        await self._finish_exchange()

    @web.authenticated
    @authorized
    async def patch(self, **_: str) -> None:
        """Pass on a PATCH."""
        await self._finish_exchange()

    @web.authenticated
    @authorized
    async def delete(self, **_: str) -> None:
        """Pass on a DELETE."""
        await self._finish_exchange()
