"""The REST API at ``/jupyter-sessions/``: each handler reads, calls one thing, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_sessions.backends.base import Output
from jupyter_sessions.errors import InvalidRequest, NotSupported, SessionError
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.service import Batch
from jupyter_sessions.wire import sse

KEEP_ALIVE_SECONDS = 8.0


class Patch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a PATCH: an action, or a new name."""

    action: str | None = None
    name: str | None = None


class Cell(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an execute request."""

    code: str
    stdin: bool = False


class Input(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an answer to an input request."""

    run: str
    text: str


class SessionsHandler(BaseHandler):
    """All sessions."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them, or with `since` and `epoch` what has changed."""
        feed = self.service.feed
        since, epoch = self.get_query_argument("since", ""), self.get_query_argument("epoch", "")
        changes = feed.since(epoch, _number("since", since)) if since and epoch else None
        head = {"epoch": feed.epoch, "rev": feed.rev}
        if changes is not None:
            self.answer(head | {"changes": changes, "errors": feed.errors})
            return
        listing = await self.service.list(
            status=self.get_query_argument("status", "live"),
            backend=self.get_query_argument("backend", None),
            limit=_number("limit", limit) if (limit := self.get_query_argument("limit", "")) else None,
            offset=_number("offset", self.get_query_argument("offset", "0")),
        )
        self.answer(head | {"sessions": listing.sessions, "errors": listing.errors})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Ask for one: 202 with its row and place at once."""
        row = await self.service.create(self.read(SessionSpec))
        self.set_header("Location", f"{self.base_url}jupyter-sessions/sessions/{row.backend}/{row.id}")
        self.answer(row, 202)


class SessionHandler(BaseHandler):
    """One session."""

    @web.authenticated
    @authorized
    async def get(self, backend: str, id: str) -> None:
        """What it is, also after its end."""
        self.answer(await self.service.get(backend, id))

    @web.authenticated
    @authorized
    async def patch(self, backend: str, id: str) -> None:
        """Restart or rename it."""
        asked = self.read(Patch)
        if asked.name is not None and asked.action is None:
            self.answer(await self.service.rename(backend, id, asked.name))
        elif asked.action == "restart" and asked.name is None:
            self.answer(await self.service.restart(backend, id))
        elif asked.action == "renew":
            raise NotSupported(f"The backend '{backend}' cannot renew sessions.", field="action")
        else:
            raise InvalidRequest("Say what to do.", hint='Give {"action": "restart"} or {"name": …}.', field="action")

    @web.authenticated
    @authorized
    async def delete(self, backend: str, id: str) -> None:
        """End it: 202 while it ends, 200 if it was cancelled before it began."""
        flags = {name: self.get_query_argument(name, "false") == "true" for name in ("forced", "recursive")}
        row = await self.service.destroy(backend, id, **flags)
        self.answer(row, 202 if row.live else 200)


class BackendsHandler(BaseHandler):
    """The backends, what they can do, and what is free."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Describe them all."""
        config = self.service.config
        self.answer(
            {
                "default_backend": config.default_backend,
                "presets": config.presets,
                "backends": await self.service.describe(),
            }
        )


class LogsHandler(BaseHandler):
    """What a session printed."""

    @web.authenticated
    @authorized
    async def get(self, backend: str, id: str) -> None:
        """Its newest part."""
        self.answer({"logs": await self.service.logs(backend, id)})


class InterruptHandler(BaseHandler):
    """Interrupts what runs in a session."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str) -> None:
        """Interrupt it."""
        await self.service.interrupt(backend, id)
        self.set_status(204)
        self.finish()


class InputHandler(BaseHandler):
    """Answers to code that asks for input."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str) -> None:
        """Answer a run."""
        asked = self.read(Input)
        await self.service.input(backend, id, asked.run, asked.text)
        self.set_status(204)
        self.finish()


class StreamHandler(BaseHandler):
    """A handler that answers with server-sent events."""

    async def begin(self) -> None:
        """Send the head of the answer."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        await self.flush()

    async def send(self, name: str, data: object) -> None:
        """Send one event."""
        self.write(sse.frame(name, data))
        await self.flush()


class ExecuteHandler(StreamHandler):
    """Runs code in a session."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str) -> None:
        """Run it; every message as an `output` event, an error after the first as an `error` event."""
        cell = self.read(Cell)
        outputs = self.service.execute(backend, id, cell.code, stdin=cell.stdin)
        first = await anext(aiter(outputs))
        await self.begin()
        try:
            await self.send("output", first)
            await self._follow(outputs)
        except StreamClosedError:
            return
        except SessionError as error:
            await self.send("error", error.to_wire())
        await self.send(sse.CLOSE, {})

    async def _follow(self, outputs: AsyncIterator[Output]) -> None:
        async for output in outputs:
            await self.send("output", output)


class EventsHandler(StreamHandler):
    """Changes of sessions, for clients that are no browser."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Follow: `hello` with epoch and revision, then every batch."""
        queue: asyncio.Queue[Batch] = asyncio.Queue()
        stop = self.service.feed.listen(queue.put_nowait)
        try:
            await self.begin()
            feed = self.service.feed
            await self.send("hello", {"epoch": feed.epoch, "rev": feed.rev})
            while True:
                await self._next(queue)
        except StreamClosedError:
            return
        finally:
            stop()

    async def _next(self, queue: asyncio.Queue[Batch]) -> None:
        try:
            await self.send("sessions", await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS))
        except TimeoutError:
            self.write(sse.KEEP_ALIVE)
            await self.flush()


def _number(field: str, text: str) -> int:
    if not text.isdecimal():
        raise InvalidRequest(f"{field}: '{text}' is no number.", hint="Give a whole number.", field=field)
    return int(text)


_ONE = r"(?P<backend>[\w.-]+)/(?P<id>[\w-]+)"
ROUTES: list[tuple[str, type[BaseHandler]]] = [
    (r"/sessions", SessionsHandler),
    (rf"/sessions/{_ONE}", SessionHandler),
    (rf"/sessions/{_ONE}/logs", LogsHandler),
    (rf"/sessions/{_ONE}/execute", ExecuteHandler),
    (rf"/sessions/{_ONE}/interrupt", InterruptHandler),
    (rf"/sessions/{_ONE}/input", InputHandler),
    (r"/backends", BackendsHandler),
    (r"/events", EventsHandler),
]


def handlers(base_url: str) -> list[Any]:
    """Our routes for a server's application."""
    prefix = base_url.rstrip("/") + "/jupyter-sessions"
    return [(prefix + pattern, handler) for pattern, handler in ROUTES]
