"""A client of one kernel: code that it runs for us, and how that ends.

Source: "Messaging in Jupyter", wire protocol 5.4.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from jupyter_client.session import Session

from jupyter_sessions.channels.output_buffer import OutputBuffer
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import NotRunning

UNREAD_SECONDS = 600.0
_REPLIES = ("execute_reply", "complete_reply", "kernel_info_reply")


class Run:
    """Code running in a kernel: its messages in order, and its reply."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.reply: Message | None = None
        self.replied = asyncio.Event()
        self.idle = False
        self.waiting_input = False
        self.password = False
        self.messages = OutputBuffer()

    @property
    def finished(self) -> bool:
        """Whether the kernel has replied and gone idle, so that no more messages come."""
        return self.reply is not None and self.idle

    def put(self, message: Message) -> None:
        """Add a message of the kernel."""
        if self.finished:
            return
        kind = message["header"]["msg_type"]
        if kind == "status":
            self.idle = self.idle or message["content"]["execution_state"] == "idle"
        elif kind in _REPLIES:
            self.reply = message["content"]
            self.replied.set()
        elif kind != "execute_input":
            if kind == "input_request":
                self.waiting_input, self.password = True, bool(message["content"].get("password"))
            self.messages.put_nowait(message)
        if self.finished:
            self.messages.put_nowait(None)

    def abandon(self, why: str, name: str = "SessionEnded") -> None:
        """End the run, because the kernel is gone."""
        if not self.finished:
            self.reply = {"status": "error", "ename": name, "evalue": why, "traceback": [why]}
            self.idle = True
            self.replied.set()
            self.messages.put_nowait(None)


class KernelClient(ABC):
    """The runs of one client of a kernel; subclasses carry its messages.

    A subclass passes each message of the kernel to `_route`, and calls `_output_arrives` once iopub is connected.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._runs: dict[str, Run] = {}
        self._iopub_connected = asyncio.Event()
        self._unsent: list[Message] = []
        self._why_closed = ""
        self.closed = asyncio.Event()

    @abstractmethod
    def _send(self, channel: str, message: Message) -> None:
        """Send a message to the kernel."""

    def execute(self, code: str, *, stdin: bool = False) -> Run:
        """Run code, whether or not its output is read."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": stdin,
            "stop_on_error": False,
        }
        return self._request("execute_request", content)

    def complete(self, code: str, cursor: int) -> Run:
        """Request completions of code at a cursor position; `Run.reply` will have them."""
        return self._request("complete_request", {"code": code, "cursor_pos": cursor})

    def add(self, run: Run) -> None:
        """Add a run that is not the kernel's own, so that it ends with the session, too."""
        self._runs[run.id] = run

    def run(self, id: str) -> Run:
        """Return a run by its id. Errors: NotRunning if it has ended and its output was read."""
        try:
            return self._runs[id]
        except KeyError:
            raise NotRunning(
                f"There is no run '{id}' in this session any more.",
                hint="Its output is in the session's journal.",
                field="runId",
            ) from None

    def forget(self, run: Run) -> None:
        """Drop a run whose output was read to its end."""
        self._runs.pop(run.id, None)

    def drop_unread_output(self) -> None:
        """Drop runs that no client has read for a while; the journal has their output."""
        for run in [*self._runs.values()]:
            if run.messages.idle_seconds() > UNREAD_SECONDS:
                self.forget(run)

    def input(self, run: Run, text: str) -> None:
        """Answer the input request of a run."""
        run.waiting_input = False
        self._send("stdin", self._session.msg("input_reply", {"value": text}))

    def close(self, why: str) -> None:
        """Disconnect and end all unfinished runs."""
        for run in self._runs.values():
            run.abandon(why)
        self._unsent, self._why_closed = [], why
        self.closed.set()

    def _request(self, kind: str, content: dict[str, Any]) -> Run:
        """Begin a run. The request is sent only after iopub is connected, so that no message of the run is missed."""
        message, run = self._begin(kind, content)
        if self.closed.is_set():
            run.abandon(self._why_closed)
        else:
            self._unsent.append(message)
            self._send_early()
        return run

    def _send_early(self) -> None:
        while self._unsent and self._iopub_connected.is_set():
            self._send_request(self._unsent.pop(0))

    def _begin(self, kind: str, content: dict[str, Any]) -> tuple[Message, Run]:
        message = self._session.msg(kind, content)
        run = self._runs[message["header"]["msg_id"]] = Run(message["header"]["msg_id"])
        return message, run

    def _send_request(self, message: Message) -> None:
        self._send("shell", message)

    def _output_arrives(self) -> None:
        self._iopub_connected.set()
        if self._unsent:
            asyncio.get_running_loop().call_soon(self._send_early)

    def _route(self, message: Message) -> None:
        run = self._runs.get(message["parent_header"].get("msg_id", ""))
        if run is not None:
            run.put(message)
