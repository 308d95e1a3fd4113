"""Where notebooks meet one session, from its being queued to its end, whoever answers them meanwhile."""

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
"""Called with "shutdown", or while there is no kernel "interrupt", and whether the owner asked for it."""
_STATUSES = ("PENDING", "PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING")
_ENDS = {"CANCELLED": "was cancelled", "ERROR": "has failed"}


class Front:
    """The fixed addresses and key of a session's kernel; nobody listens there before `open`.

    `lead` says that there is a kernel, `end` that there will be none any more.
    """

    def __init__(
        self, record: Record, connection: KernelSockets, infos: KernelInfos, asked: SessionControlCallback
    ) -> None:
        self.connection = connection
        self.record = record
        self._infos = infos
        self._asked = asked
        self._relay: Relay | None = None
        self._leads = False
        self._link: KernelLink | None = None
        self._counts: dict[str, int] = {}
        self._backlog = Backlog(Path(record.folder) / "waiting.jsonl")
        self._pending_replies = PendingReplies(Path(record.folder) / "unanswered.json", record.name)
        self._noting: asyncio.Handle | None = None

    def open(self, *, again: bool = False) -> tuple[str, str]:
        """Let front ends in, or back in: what the paths of the sockets begin with, and the key.

        Errors: NotRunning with the status and its reason, if nothing can be run in it any more;
        NotSupported for a batch session.
        """
        record = self.record
        check_kernel(record)
        if record.status not in _STATUSES:
            raise NotRunning(
                standing(record.name, record.status, record.status_info), hint="Create it again."
            )
        if self._relay is None:
            self._relay = self._listen(again)
        return self.connection.front, self.connection.key().decode()

    def resume(self) -> None:
        """Go on after an earlier manager, which had let notebooks in; if they cannot be, the session goes on without."""
        if self.record.status not in ("PENDING", "PREPARING"):
            self.lead()  # However busy the kernel is.
        if self.record.notebook:
            try:
                self.open(again=True)
            except Exception:  # Whatever it is, it must not end the session.
                log.exception("notebooks cannot reach session %s", self.record.name)

    def _listen(self, again: bool) -> Relay:
        self.connection.prepare()
        tell = asyncio.get_running_loop().call_soon_threadsafe
        back = ZmqBackEnd(self.connection.stem)

        def asked(request: str, owner: bool) -> None:
            tell(self._asked, self.record, request, owner)

        relay = Relay(
            self.connection.front,
            self.connection.key(),
            back,
            asked,
            backlog=self._backlog,
            earlier=self._pending_replies.read() if again else (),
        )
        if self._leads:
            relay.open(again=again)
            self._listen_in(relay)
        else:
            relay.stand_in(self._infos.of(self.record.launch), self._why_waiting())
        return relay

    def tell(self) -> None:
        """Let those who wait know how it stands with the session."""
        if self._relay is not None:
            self._relay.say(self._why_waiting())

    def interrupt(self) -> None:
        """Let nothing come of what waits to be run."""
        if self._relay is not None:
            self._relay.interrupt()

    def lead(self, link: KernelLink | None = None, info: dict[str, Any] | None = None) -> None:
        """Pass front ends on to the kernel, now and after restarts.

        `link` is the manager's own line to it, `info` what it says of itself.
        """
        self._link = link
        if info:
            self._infos.learn(self.record.launch, info)
        if self._relay is not None and self._leads and not self._relay.reachable():
            self.release()
            self._relay = self._listen(again=True)
        elif self._relay is not None:
            if not self._leads:
                self._relay.lead()
            self._listen_in(self._relay)
        self._leads = True

    def _listen_in(self, relay: Relay) -> None:
        """Where notebooks hear the kernel the manager does, too, not by a line of its own beside them."""
        if self._link is not None:
            self._link.hear_through(relay.heard)

    def hear(self, message: Message) -> None:
        """Note what runs, from a message on iopub."""
        uid, content = message["parent_header"].get("msg_id", ""), message["content"]
        if message["header"]["msg_type"] == "execute_input":
            self._counts[uid] = content["execution_count"]
            self._note_soon()
        elif content.get("execution_state") == "idle" and self._counts.pop(uid, None) is not None:
            self._note_soon()
        self._pending_replies.hear(message)

    def _note_soon(self) -> None:
        """Once for all that was read together: a notebook must not feel it."""
        if self._relay is not None and self._noting is None:
            self._noting = asyncio.get_running_loop().call_soon(self._note)

    def _note(self) -> None:
        """Keep for a later manager what is not answered yet."""
        self._noting = None
        if self._relay is not None:
            self._pending_replies.keep(self._relay.unanswered(self._counts))

    def tidy(self) -> None:
        """Keep what it has in memory within bounds; to be called about once a second."""
        if self._relay is None:
            return
        self._relay.tidy(deaf=self._link is None or self._link.closed.is_set())
        self._note()
        for one in self._pending_replies.due(self._link):
            self._relay.answer(one.asked, one.content, idle=one.idle)
        if not self._pending_replies.earlier:
            self._relay.settle()

    def missing(self) -> str:
        """What is to be said of sockets that somebody deleted; "" if all are there.

        Neither a kernel nor a relay that is in use can listen again. Who is connected stays so, and `lead` mends
        it once there is another kernel.
        """
        whole = self._relay is None or self._relay.reachable()
        if whole and (self._link is None or not self._leads or self.connection.bound()):
            return ""
        return "its sockets were deleted: what is connected goes on, all else needs a restart of the session"

    def forget(self) -> None:
        """Nothing runs any more, for the kernel is gone."""
        self._counts.clear()
        self._pending_replies.forget()
        if self._relay is not None:
            self._relay.forget()

    async def end(self) -> None:
        """Say that the session has ended, and why, to those whose code runs or waits; then let go of all."""
        relay, self._relay = self._relay, None
        if relay is not None:
            await asyncio.to_thread(_end, relay, self._why_ended(), self._counts)
        self._backlog.clear()
        self._pending_replies.remove()
        self.connection.discard()

    def release(self) -> None:
        """Let go of front ends; a later manager lets them back in."""
        if self._relay is not None:
            self._note()
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

    def _why_ended(self) -> str:
        record = self.record
        ended = _ENDS.get(record.status, "has ended")
        return f"The session '{record.name}' {ended}{because(record.status_info)}"


def _end(relay: Relay, why: str, counts: dict[str, int]) -> None:
    try:
        relay.end(why, counts)
    except (zmq.ZMQError, OSError):  # Its folder is gone, or there are too many open files.
        log.exception("notebooks cannot be told: %s", why)
    finally:
        relay.close()


def check_kernel(record: Record) -> None:
    """Errors: NotSupported for a batch session, which has none."""
    if record.batch:
        raise NotSupported(
            f"'{record.name}' is a batch session: it runs its startup command and takes no code.",
            hint="Its logs show what the command prints.",
            field="session",
        )
