"""Answers as server-sent events: the outputs of a cell, and changes of sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_sessions.backends.base import Output
from jupyter_sessions.errors import SessionError
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.bodies import ExecuteRequest, Problem
from jupyter_sessions.server.operation import Stream, operation
from jupyter_sessions.service import Batch, Position
from jupyter_sessions.wire import sse

STREAMS = "jupyter_sessions_streams"
FIRST_SECONDS = 1.0
MOST_BEHIND = 1000
CODE_BYTES = 32 * 1024**2
"""The most bytes of code; this machine's manager accepts as much."""

NamedEvent = tuple[str, object]


class StreamHandler(BaseHandler):
    """A handler that answers with server-sent events, until they end or the client disconnects."""

    _sending: asyncio.Task[None] | None = None

    async def stream(self, events: sse.Patient[NamedEvent], first: NamedEvent | None = None) -> None:
        """Send the head of the answer, and then each event as it arrives."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        self._sending = asyncio.create_task(self._send_all(events, first))
        streams: set[asyncio.Task[None]] = self.settings[STREAMS]
        streams.add(self._sending)
        await asyncio.wait({self._sending})
        streams.discard(self._sending)
        await events.close()
        if not self._sending.cancelled():
            self._sending.result()

    async def _send_all(self, events: sse.Patient[NamedEvent], first: NamedEvent | None) -> None:
        event = first
        try:
            while True:
                self.write(sse.frame(*event) if event else sse.KEEP_ALIVE)
                if not await events.over():  # The last event is sent together with the end.
                    await self.flush()
                event = await events.next(sse.KEEP_ALIVE_SECONDS)
        except StopAsyncIteration:
            self.write(sse.frame(sse.CLOSE, {}))
        except SessionError as error:
            self.write(sse.frame("error", Problem(**error.to_wire())))
            self.write(sse.frame(sse.CLOSE, {}))
        except StreamClosedError:
            return

    def on_connection_close(self) -> None:
        """Stop sending, because the client has disconnected."""
        if self._sending is not None:
            self._sending.cancel()
        super().on_connection_close()

    def finish(self, *args: Any, **kwargs: Any) -> asyncio.Future[None]:
        """End the answer; the head of a stream has been sent already."""
        if self._sending is not None:
            kwargs["set_content_type"] = "text/event-stream"
        return super().finish(*args, **kwargs)


class ExecuteHandler(StreamHandler):
    """Runs code in a session."""

    @web.authenticated
    @authorized
    @operation({200: Stream({"output": Output, "error": Problem})}, body=ExecuteRequest)
    async def post(self, backend: str, id: str) -> None:
        """Run code in a session; every message is an `output` event.

        An error after the first event is an `error` event.
        """
        cell = self.read(ExecuteRequest, most=CODE_BYTES)
        events = sse.Patient(self._outputs(backend, id, cell))
        first = await events.next(FIRST_SECONDS)
        await self.stream(events, first)

    async def _outputs(self, backend: str, id: str, cell: ExecuteRequest) -> AsyncIterator[NamedEvent]:
        async for output in self.service.execute(backend, id, cell.code, stdin=cell.stdin, ref=cell.ref):
            yield "output", output


class EventsHandler(StreamHandler):
    """Changes of sessions, for clients other than browsers."""

    @web.authenticated
    @authorized
    @operation({200: Stream({"hello": Position, "sessions": Batch, "error": Problem})})
    async def get(self) -> None:
        """Follow changes: a `hello` event with the position of the stream, then a `sessions` event for each batch."""
        feed = self.service.feed
        batches: asyncio.Queue[Batch] = asyncio.Queue()
        stop = feed.listen(batches.put_nowait)
        try:
            with self.service.looked_at():
                await self.stream(sse.Patient(_changes(batches)), ("hello", feed.position))
        finally:
            stop()


async def _changes(batches: asyncio.Queue[Batch]) -> AsyncIterator[NamedEvent]:
    """Yield batches until the client is far behind, and has to read the list again."""
    while batches.qsize() < MOST_BEHIND:
        yield "sessions", await batches.get()
