"""The fixed addresses at which notebooks reach a session from its creation to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from jupyter_sessions.channels.backlog import Backlog
from jupyter_sessions.channels.relay import Relay
from jupyter_sessions.channels.relay_targets import ZmqBackEnd
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import NotRunning, NotSupported
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.endpoints.kernel_info import KernelInfos
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink, KernelSockets
from jupyter_sessions.manager.endpoints.pending_replies import PendingReplies
from jupyter_sessions.model import because, standing, waiting

log = logging.getLogger("jupyter_sessions")

SessionControlCallback = Callable[[Record, str, bool], None]
"""Called with "shutdown", or "interrupt" while no kernel runs, and whether the owner sent the request."""
_STATUSES = ("PENDING", "PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING")
_ENDS = {"CANCELLED": "was cancelled", "ERROR": "has failed"}


class SessionEndpoint:
    """The fixed addresses and key of a session's kernel; the relay listens there after `open`.

    `connect_kernel` connects the relay to the kernel; `end` ends it for good.
    """

    def __init__(
        self,
        record: Record,
        connection: KernelSockets,
        infos: KernelInfos,
        on_control: SessionControlCallback,
    ) -> None:
        self.connection = connection
        self.record = record
        self._infos = infos
        self._on_control = on_control
        self._relay: Relay | None = None
        self._connected = False
        self._link: KernelLink | None = None
        self._counts: dict[str, int] = {}
        self._backlog = Backlog(Path(record.folder) / "waiting.jsonl")
        self._pending_replies = PendingReplies(Path(record.folder) / "unanswered.json", record.name)
        self._save_handle: asyncio.Handle | None = None

    def open(self, *, again: bool = False) -> tuple[str, str]:
        """Listen for front ends. Return the common prefix of the sockets' paths, and the key.

        Errors: NotRunning if no code can run in the session any more; NotSupported for a batch session.
        """
        record = self.record
        check_kernel(record)
        if record.status not in _STATUSES:
            raise NotRunning(
                standing(record.name, record.status, record.status_info), hint="Create the session again."
            )
        if self._relay is None:
            self._relay = self._listen(again)
        return self.connection.front, self.connection.key().decode()

    def resume(self) -> None:
        """Listen again for the notebooks of an earlier manager. A failure does not end the session."""
        if self.record.status not in ("PENDING", "PREPARING"):
            self.connect_kernel()  # A busy kernel answers later.
        if self.record.notebook:
            try:
                self.open(again=True)
            except Exception:  # No error here may end the session.
                log.exception("notebooks cannot reach session %s", self.record.name)

    def _listen(self, again: bool) -> Relay:
        self.connection.prepare()
        call_soon = asyncio.get_running_loop().call_soon_threadsafe
        back = ZmqBackEnd(self.connection.stem)

        def on_control(request: str, owner: bool) -> None:
            call_soon(self._on_control, self.record, request, owner)

        relay = Relay(
            self.connection.front,
            self.connection.key(),
            back,
            on_control,
            backlog=self._backlog,
            earlier=self._pending_replies.read() if again else (),
        )
        if self._connected:
            relay.open(again=again)
            self._share_iopub(relay)
        else:
            relay.stand_in(self._infos.of(self.record.launch), self._why_waiting())
        return relay

    def update_waiting(self) -> None:
        """Tell waiting front ends why the session still waits."""
        if self._relay is not None:
            self._relay.say(self._why_waiting())

    def interrupt(self) -> None:
        """Abort the requests that wait to be run."""
        if self._relay is not None:
            self._relay.interrupt()

    def connect_kernel(self, link: KernelLink | None = None, info: dict[str, Any] | None = None) -> None:
        """Connect front ends to the kernel, now and after restarts.

        `link` is the manager's own link to the kernel, `info` the kernel's info reply.
        """
        self._link = link
        if info:
            self._infos.learn(self.record.launch, info)
        if self._relay is not None and self._connected and not self._relay.reachable():
            self.release()
            self._relay = self._listen(again=True)
        elif self._relay is not None:
            if not self._connected:
                self._relay.lead()
            self._share_iopub(self._relay)
        self._connected = True

    def _share_iopub(self, relay: Relay) -> None:
        """Let the manager's link read iopub through the relay, so that the kernel has one subscriber less."""
        if self._link is not None:
            self._link.read_iopub_from(relay.heard)

    def track(self, message: Message) -> None:
        """Track running requests by a message on iopub."""
        uid, content = message["parent_header"].get("msg_id", ""), message["content"]
        if message["header"]["msg_type"] == "execute_input":
            self._counts[uid] = content["execution_count"]
            self._save_soon()
        elif content.get("execution_state") == "idle" and self._counts.pop(uid, None) is not None:
            self._save_soon()
        self._pending_replies.track(message)

    def _save_soon(self) -> None:
        """Save the pending requests once for all messages of one batch, so that notebooks are not slowed."""
        if self._relay is not None and self._save_handle is None:
            self._save_handle = asyncio.get_running_loop().call_soon(self._save)

    def _save(self) -> None:
        """Save the requests without a reply for a later manager."""
        self._save_handle = None
        if self._relay is not None:
            self._pending_replies.save(self._relay.unanswered(self._counts))

    def tidy(self) -> None:
        """Trim buffers and send late replies. Call it about once a second."""
        if self._relay is None:
            return
        self._relay.tidy(deaf=self._link is None or self._link.closed.is_set())
        self._save()
        for late in self._pending_replies.due(self._link):
            self._relay.answer(late.request, late.content, idle=late.idle)
        if not self._pending_replies.earlier:
            self._relay.settle()

    def missing_sockets(self) -> str:
        """Return what to tell people about deleted sockets, or "" if all exist.

        Neither a kernel nor a relay in use can bind again. Connected clients stay connected, and `connect_kernel` binds
        new sockets for the next kernel.
        """
        whole = self._relay is None or self._relay.reachable()
        if whole and (self._link is None or not self._connected or self.connection.bound()):
            return ""
        return "its sockets were deleted: connected notebooks go on, new ones need a restart of the session"

    def forget(self) -> None:
        """Forget running requests, because the kernel is gone."""
        self._counts.clear()
        self._pending_replies.forget()
        if self._relay is not None:
            self._relay.forget()

    async def end(self) -> None:
        """Reply to all running and waiting requests with the reason of the session's end, and remove the sockets."""
        relay, self._relay = self._relay, None
        if relay is not None:
            ended = _ENDS.get(self.record.status, "has ended")
            why = f"The session '{self.record.name}' {ended}{because(self.record.status_info)}"
            await asyncio.to_thread(_end, relay, why, self._counts)
        self._backlog.clear()
        self._pending_replies.remove()
        self.connection.discard()

    def release(self) -> None:
        """Close the relay; a later manager opens it again."""
        if self._relay is not None:
            self._save()
            self._pending_replies.close()
            self._relay.close()
            self._relay = None

    def _why_waiting(self) -> str:
        record = self.record
        if record.status != "PENDING":
            return ""
        return (
            f"The session '{record.name}' is {waiting(record.status_info)}. Interrupt the kernel to give up."
        )


def _end(relay: Relay, why: str, counts: dict[str, int]) -> None:
    try:
        relay.end(why, counts)
    except (zmq.ZMQError, OSError):  # The folder is gone, or too many files are open.
        log.exception("notebooks cannot be told about the end: %s", why)
    finally:
        relay.close()


def check_kernel(record: Record) -> None:
    """Check that a session has a kernel. Errors: NotSupported for a batch session."""
    if record.batch:
        raise NotSupported(
            f"'{record.name}' is a batch session: it runs its startup command and takes no code.",
            hint="Its logs show what the command prints.",
            field="session",
        )
