"""Requests of notebooks without a reply: saved for the next manager, which makes up for lost replies.

A kernel's reply is lost if it comes while no manager runs. The next manager learns on iopub how a request goes
on, or concludes from an idle kernel that it is over.

Source: "Messaging in Jupyter", protocol 5.4: the kernel publishes busy and idle for every request, repeats an
executed request as `execute_input`, and aborts a request after an error without it.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.channels.unanswered import UnansweredRequest
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink
from jupyter_sessions.wire.files import read, remove

log = logging.getLogger("jupyter_sessions")

MOST_SAVED = 1000
_RECONNECT_SECONDS = 3.0
"""Seconds after which returning front ends have received the messages of the last second."""
_decoder = msgspec.json.Decoder(list[UnansweredRequest])


class LateReply(msgspec.Struct, frozen=True):
    """What to send for a request: the content of a reply, unless it was sent, and whether to send "idle", too."""

    request: UnansweredRequest
    content: dict[str, Any] | None
    idle: bool


class PendingReplies:
    """The requests of a session without a reply, kept in a file; `earlier` tracks those of an earlier manager."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._file: int | None = None
        self._saved: list[UnansweredRequest] = []
        self._times_busy = -1
        self._read_at = 0.0
        self.earlier: dict[str, _TrackedRequest] = {}

    # From one manager to the next.

    def save(self, requests: list[UnansweredRequest]) -> None:
        """Save the requests without a reply."""
        ids = {one.id for one in requests}
        for uid, tracked in self.earlier.items():
            tracked.answered = tracked.answered or uid not in ids
        if requests == self._saved:
            return
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            # Overwrites in place, as this happens many times a second; the newline ends the current content.
            os.pwrite(self._file, msgspec.json.encode(requests[:MOST_SAVED]) + b"\n", 0)
        except OSError:
            log.exception("the pending requests of session %s cannot be saved", self._name)
        self._saved = requests

    def read(self) -> list[UnansweredRequest]:
        """Load the requests that an earlier manager saved, and track them from now on."""
        try:
            requests = _decoder.decode(read(self._path).split(b"\n", 1)[0])
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            requests = []
        requests = [one for one in requests if isinstance(one.header.get("msg_id"), str)]
        self.earlier = {one.id: _TrackedRequest(one, one.count) for one in requests}
        self._read_at = time.monotonic()
        return requests

    def remove(self) -> None:
        """Forget all requests and delete the file."""
        self.forget()
        self.close()
        remove(self._path)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # Requests of an earlier manager.

    def forget(self) -> None:
        """Forget the requests, because their kernel is gone."""
        self.earlier.clear()

    def track(self, message: Message) -> None:
        """Track a request of an earlier manager by a message on iopub."""
        tracked = self.earlier.get(message["parent_header"].get("msg_id", ""))
        if tracked is not None:
            tracked.update(message["header"]["msg_type"], message["content"])

    def due(self, link: KernelLink | None) -> list[LateReply]:
        """Return the replies to send in the kernel's place. Call it about once a second.

        The interval leaves time for a real reply, and a kernel that was idle throughout will not run a waiting request
        any more. `link` is the link to the kernel once that has replied.
        """
        quiet = link is not None and not link.busy and link.times_busy == self._times_busy
        self._times_busy = -1 if link is None else link.times_busy
        due = [one for one in self.earlier.values() if quiet or one.late]
        for one in self.earlier.values():
            one.late = one.ended or one.answered
            one.missed = one.missed or (one.late and time.monotonic() < self._read_at + _RECONNECT_SECONDS)
        for one in due:
            del self.earlier[one.request.id]
        return [one.answer(self._name) for one in due]


class _TrackedRequest(msgspec.Struct):
    """The tracked state of a request: `late` if it ended over a second ago, `missed` if front ends may have missed that.

    `count` is its execution count once it runs.
    """

    request: UnansweredRequest
    count: int | None
    begun: bool = False
    error: dict[str, Any] | None = None
    ended: bool = False
    answered: bool = False
    late: bool = False
    missed: bool = False

    def update(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "execute_input":
            self.count = content.get("execution_count")
        elif kind == "error":
            self.error = content
        elif kind == "status":
            self.begun = self.begun or content.get("execution_state") == "busy"
            self.ended = self.ended or content.get("execution_state") == "idle"

    def answer(self, name: str) -> LateReply:
        reply = None if self.answered else self.reply(name)
        return LateReply(self.request, reply, idle=self.missed or not self.ended)

    def reply(self, name: str) -> dict[str, Any]:
        """Return the reply as the kernel will have sent it, or an error if that cannot be known."""
        if self.ended and self.error is not None:
            return {**self.error, "status": "error", "execution_count": self.count}
        if self.ended and self.count is not None:
            return {"status": "ok", "execution_count": self.count, "user_expressions": {}, "payload": []}
        if self.ended and self.begun:
            return {"status": "aborted"}
        why = (
            f"The manager of the session '{name}' ended while this code ran or waited, so its result is not known. "
            "Check whether the code has done its work, or run it again."
        )
        error = {"ename": "ReplyLost", "evalue": why, "traceback": [f"ReplyLost: {why}"]}
        return {"status": "error", "execution_count": self.count, **error}
