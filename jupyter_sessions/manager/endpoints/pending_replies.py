"""Replies that notebooks wait for: noted for the manager after this one, and made up for those that are lost.

A kernel's reply is lost if it comes while no manager runs. The next one hears on iopub how a request
goes on, or, once the kernel has nothing to do, that it must be over.

Source: "Messaging in Jupyter", protocol 5.4: the kernel is busy, then idle, about every request; one
that it runs it repeats as `execute_input`, one that follows an error it aborts without.
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

MOST_KEPT = 1000
_BACK_SECONDS = 3.0
"""After that, front ends that came back have heard what was said in the last second."""
_decoder = msgspec.json.Decoder(list[UnansweredRequest])


class LateReply(msgspec.Struct, frozen=True):
    """What to say of a request: the content of a reply, unless it came by itself, and whether it went idle unheard."""

    asked: UnansweredRequest
    content: dict[str, Any] | None
    idle: bool


class PendingReplies:
    """The requests of a session that are not answered, in a file, and of `earlier` ones what was heard since."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._file: int | None = None
        self._kept: list[UnansweredRequest] = []
        self._times_busy = -1
        self._read_at = 0.0
        self.earlier: dict[str, _Heard] = {}

    # From one manager to the next.

    def keep(self, asked: list[UnansweredRequest]) -> None:
        """Note what is not answered now."""
        ids = {one.id for one in asked}
        for uid, heard in self.earlier.items():
            heard.answered = heard.answered or uid not in ids
        if asked == self._kept:
            return
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            # In place, for it may be done many times a second: what is longer stays behind the line.
            os.pwrite(self._file, msgspec.json.encode(asked[:MOST_KEPT]) + b"\n", 0)
        except OSError:
            log.exception("what the session %s has not answered cannot be kept", self._name)
        self._kept = asked

    def read(self) -> list[UnansweredRequest]:
        """What an earlier manager noted; from now on it is owed."""
        try:
            asked = _decoder.decode(read(self._path).split(b"\n", 1)[0])
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            asked = []
        asked = [one for one in asked if isinstance(one.header.get("msg_id"), str)]
        self.earlier = {one.id: _Heard(one, one.count) for one in asked}
        self._read_at = time.monotonic()
        return asked

    def remove(self) -> None:
        """Nothing is owed any more, not even by a later manager."""
        self.forget()
        self.close()
        remove(self._path)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # What an earlier one left.

    def forget(self) -> None:
        """The kernel that was asked is gone."""
        self.earlier.clear()

    def hear(self, message: Message) -> None:
        """Note what a kernel says on iopub of a request that an earlier manager passed on."""
        heard = self.earlier.get(message["parent_header"].get("msg_id", ""))
        if heard is not None:
            heard.take(message["header"]["msg_type"], message["content"])

    def due(self, link: KernelLink | None) -> list[LateReply]:
        """What to say now in the kernel's place; to be called about once a second.

        A reply gets that time to come by itself; and a kernel that had nothing to do for so long will
        not run anything that waits any more. `link` is the line to it, if it has answered.
        """
        quiet = link is not None and not link.busy and link.times_busy == self._times_busy
        self._times_busy = -1 if link is None else link.times_busy
        due = [one for one in self.earlier.values() if quiet or one.late]
        for one in self.earlier.values():
            one.late = one.ended or one.answered
            one.missed = one.missed or (one.late and time.monotonic() < self._read_at + _BACK_SECONDS)
        for one in due:
            del self.earlier[one.asked.id]
        return [one.answer(self._name) for one in due]


class _Heard(msgspec.Struct):
    """What was heard of a request; `late` if it was over a second ago, `missed` if front ends may not have been back.

    `count` is the kernel's number for it, once it runs.
    """

    asked: UnansweredRequest
    count: int | None
    begun: bool = False
    error: dict[str, Any] | None = None
    ended: bool = False
    answered: bool = False
    late: bool = False
    missed: bool = False

    def take(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "execute_input":
            self.count = content.get("execution_count")
        elif kind == "error":
            self.error = content
        elif kind == "status":
            self.begun = self.begun or content.get("execution_state") == "busy"
            self.ended = self.ended or content.get("execution_state") == "idle"

    def answer(self, name: str) -> LateReply:
        reply = None if self.answered else self.reply(name)
        return LateReply(self.asked, reply, idle=self.missed or not self.ended)

    def reply(self, name: str) -> dict[str, Any]:
        """The content of the reply, as the kernel will have said it, or that it is not known."""
        if self.ended and self.error is not None:
            return {**self.error, "status": "error", "execution_count": self.count}
        if self.ended and self.count is not None:
            return {"status": "ok", "execution_count": self.count, "user_expressions": {}, "payload": []}
        if self.ended and self.begun:
            return {"status": "aborted"}
        return _unknown(name, self.count)


def _unknown(name: str, count: int | None) -> dict[str, Any]:
    why = (
        f"The manager of the session '{name}' ended while this ran or waited, and the next one did not see "
        "what became of it. Look whether it has done its work, or run it again."
    )
    error = {"ename": "ReplyLost", "evalue": why, "traceback": [f"ReplyLost: {why}"]}
    return {"status": "error", "execution_count": count, **error}
