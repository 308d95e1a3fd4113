"""Pass requests of browsers to a session's notebook server: ``/skaha/session/notebook/ID/…``.

A client with the token of the session's `connectURL` gets a cookie for this path alone. The server itself sees
neither the token nor any cookie of this host (see `wire.proxy`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from jupyter_sessions.errors import BackendUnavailable, Forbidden, InvalidRequest, NotFound
from jupyter_sessions.manager.api.bearer import same
from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.skaha.connect_urls import NOTEBOOK_SERVERS
from jupyter_sessions.manager.skaha.lookup import live
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.proxy import headers, target
from jupyter_sessions.wire.proxy.credentials import ServerCredentials, cookie_pairs
from jupyter_sessions.wire.proxy.origin import SAFE_METHODS, Caller, why_not_act, why_not_read
from jupyter_sessions.wire.proxy.rebase import Rebase
from jupyter_sessions.wire.proxy.upstream import UpstreamWebSocket, client, sendable, url

T = TypeVar("T")
LARGEST = 512 * 1024**2
"""The most bytes of a message, which has to be held as a whole."""

_LOOK_SECONDS = 1.0
_Downstream = web.WebSocketResponse[bool]


async def serve(request: web.Request) -> web.StreamResponse:
    """Pass on a request or WebSocket. Errors: Forbidden, NotFound, NotRunning, BackendUnavailable."""
    visit = Visit(request)
    visit.admit()
    if visit.by_token and visit.navigates:
        return visit.without_token()
    endpoint = await request.app[NOTEBOOK_SERVERS].endpoint(visit.record)
    if visit.navigates or request.method not in SAFE_METHODS:
        visit.touch()
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await visit.talk(endpoint)
    return await visit.pass_on(endpoint)


class Visit:
    """A request to a notebook server."""

    def __init__(self, request: web.Request) -> None:
        """Find the session. Errors: Forbidden without its token or cookie, also if there is no such session."""
        self.request = request
        self.servers = request.app[NOTEBOOK_SERVERS]
        found = live(request, request.match_info["id"])
        self.name = f"skaha-{request.match_info['id']}"
        self.fields = list(request.headers.items())
        secret = self.servers.secret(found) if found else ""
        self.by_token = same(request.query.get("token", ""), secret or "-")
        given = [value for name, value in cookie_pairs(self.fields) if name == self.name]
        if found is None or not (self.by_token or any(same(value, secret) for value in given)):
            raise Forbidden(
                "This page needs the token of its session.", hint="Open it by the session's connectURL."
            )
        self.record: Record = found
        self.secret = secret
        self.credentials = ServerCredentials(self.name, frozenset({secret}))
        self.prefix = self.servers.prefix(found)

    @property
    def navigates(self) -> bool:
        """Return whether a person sees the answer as a page."""
        sent = self.request.headers
        page = "text/html" in sent.get("Accept", "") and self.request.method == "GET"
        return page and sent.get("Sec-Fetch-Mode", "navigate") == "navigate"

    def admit(self) -> None:
        """Check the request.

        Errors: Forbidden if another site's page sent it, NotFound once the session has ended.
        """
        socket = "Upgrade" in self.request.headers
        safe = self.request.method in SAFE_METHODS and not socket
        caller = Caller(self.request.headers, by_token=self.by_token)
        if why := (why_not_read if safe else why_not_act)(caller):
            raise Forbidden(why, hint="Open the session by its connectURL.")
        if target.climbs(self.request.rel_url.raw_path.removeprefix(self.prefix)):
            raise InvalidRequest("The path leaves the session's pages.", hint="Leave out the '..'.")
        if not self.record.live:
            raise NotFound("The session has ended.")

    def touch(self) -> None:
        """Record use of the session; requests that pages repeat by themselves do not count."""
        self.request.app[SESSIONS].touch(self.record)

    def without_token(self) -> web.Response:
        """Redirect to the same page without the token, which browsers would keep and show."""
        query = target.clean_query(self.request.rel_url.raw_query_string, self.credentials)
        path = self.request.rel_url.raw_path
        answer = web.Response(status=302, headers={"Location": f"{path}?{query}" if query else path})
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        self._give_cookie(answer)
        return answer

    def _give_cookie(self, answer: web.StreamResponse) -> None:
        answer.set_cookie(self.name, self.secret, path=self.prefix, httponly=True, samesite="Lax")

    # HTTP.

    async def pass_on(self, endpoint: Endpoint) -> web.StreamResponse:
        """Pass on the request and the answer while they arrive."""
        data = self.request.content if self.request.can_read_body else None

        rebase, sent = self._rebase(endpoint), self._up()
        sent["Accept-Encoding"] = "identity"

        async def ask() -> aiohttp.ClientResponse:
            return await session.request(
                self.request.method,
                self._where(endpoint),
                headers=sent,
                data=data,
                allow_redirects=False,
            )

        async with client(endpoint) as session, await self._reach(ask) as upstream:
            if upstream.status < 200:
                raise BackendUnavailable("The session's notebook server sent an unexpected upgrade.")
            answer = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            fields = list(headers.downward(upstream.raw_headers, self.prefix, self.credentials))
            text = rebase.is_text(upstream.status, fields)
            for name, value in rebase.fields(fields, text=text):
                answer.headers.add(name, value)
            if self.by_token:
                self._give_cookie(answer)
            await answer.prepare(self.request)
            await self._copy(upstream, answer, rebase if text else None)
        return answer

    async def _copy(
        self, upstream: aiohttp.ClientResponse, answer: web.StreamResponse, rebase: Rebase | None
    ) -> None:
        try:
            while chunk := await self._next(upstream):
                await answer.write(rebase.feed(chunk) if rebase else chunk)
            if rebase and (rest := rebase.end()):
                await answer.write(rest)
            await answer.write_eof()
        except ConnectionError:
            return  # The browser has disconnected.
        except aiohttp.ClientError:
            if self.request.transport:  # The only way left to signal that the answer is incomplete.
                self.request.transport.close()

    async def _next(self, upstream: aiohttp.ClientResponse) -> bytes:
        """Return the next piece of the answer, b"" at the end.

        Errors: ConnectionError once the browser has disconnected, which nothing else reports while it only listens.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    return await upstream.content.readany()
            if self.request.transport is None or self.request.transport.is_closing():
                raise ConnectionResetError

    def _where(self, endpoint: Endpoint) -> URL:
        asked = self.request.rel_url
        wanted = target.target(asked.raw_path, asked.raw_query_string, self.credentials)
        return url(endpoint, self._rebase(endpoint).target(wanted))

    def _rebase(self, endpoint: Endpoint) -> Rebase:
        return Rebase(endpoint.base_url or self.prefix, self.prefix)

    def _up(self) -> CIMultiDict[str]:
        sender = headers.Sender(self.request.host, self.request.remote or "", self.request.scheme)
        return headers.upward(self.fields, sender, self.credentials)

    async def _reach(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try a request, and try again with a restarted server if nobody listened.

        Errors: BackendUnavailable.
        """
        try:
            try:
                return await attempt()
            except aiohttp.ClientConnectorError:
                self.servers.lost(self.record)
                await self.servers.endpoint(self.record)  # The new server listens at the same address.
                return await attempt()
        except (aiohttp.ClientError, OSError) as error:
            raise BackendUnavailable("The session's notebook server broke off.", hint="Try again.") from error

    # WebSockets.

    async def talk(self, endpoint: Endpoint) -> web.StreamResponse:
        """Pass messages in both directions until either side ends."""
        names = [name.strip() for name in self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")]

        async def ask() -> UpstreamWebSocket:
            return await session.ws_connect(
                self._where(endpoint),
                headers=self._up(),
                protocols=[name for name in names if name and not self.credentials.occur_in(name)],
                max_msg_size=LARGEST,
            )

        async with client(endpoint) as session, await self._reach(ask) as upstream:
            chosen = [upstream.protocol] if upstream.protocol else []
            downstream = _Downstream(protocols=chosen, max_msg_size=LARGEST, compress=False)
            await downstream.prepare(self.request)
            await asyncio.gather(
                _pump(upstream, downstream, lambda: None), _pump(downstream, upstream, self.touch)
            )
        return downstream


async def _pump(
    source: UpstreamWebSocket | _Downstream, sink: UpstreamWebSocket | _Downstream, touch: Callable[[], None]
) -> None:
    """Pass on the messages of one side, and its end."""
    with suppress(ConnectionError, aiohttp.ClientError):
        async for message in source:
            touch()
            if message.type is aiohttp.WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
    with suppress(ConnectionError, aiohttp.ClientError):
        await sink.close(code=sendable(source.close_code))
