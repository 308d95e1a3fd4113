"""Tell people about their sessions: started after waiting, about to end, ended, failed.

One message tells of a group of replicas. What has not been delivered when the process ends is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import USABLE, is_live, reason, standing, status_word
from jupyter_sessions.wire.message_targets import SMTP_SERVER, SessionMessage, deliver, parse_target

log = logging.getLogger("jupyter_sessions")

WAITED_SECONDS = 5.0
"""How long a session must have waited for people to be told that it runs."""
GATHER_SECONDS = 2.0
PAUSES = (1.0, 5.0)
"""Seconds to wait after the first and after the second try."""
_OVER = ("ended", "failed")
_FAILURES = ("FAILURE", "failure")
_ON_PURPOSE = ("user-requested", "idle-timeout", "time-limit")


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """What messages about a session depend on.

    `group` is the name of its replicas without numbers, and `ends` says in words when it ends, if that is near.
    """

    name: str
    status: str
    info: str = ""
    result: str = ""
    exit_code: int | None = None
    created: datetime | None = None
    group: str = ""
    ends: str = ""


class _Followed(msgspec.Struct):
    targets: Sequence[str]
    state: SessionState
    waited: float | None = None
    has_run: bool = False


class Notifier:
    """Sends messages about the sessions that it follows. `smtp` returns the address of the mail server."""

    def __init__(self, smtp: Callable[[], str] = lambda: SMTP_SERVER) -> None:
        self._smtp = smtp
        self._followed: dict[str, _Followed] = {}
        self._gathered: dict[tuple[str, str], list[SessionMessage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, id: str, targets: Sequence[str], state: SessionState) -> None:
        """Tell of a session from now on."""
        if targets and id not in self._followed:
            self._followed[id] = _Followed(targets, state, has_run=state.status in USABLE)

    def follows(self, id: str) -> bool:
        """Return whether somebody is told of a session."""
        return id in self._followed

    def see(self, id: str, state: SessionState) -> None:
        """Take note of a session's state, and tell what is new."""
        followed = self._followed.get(id)
        if followed is None:
            return
        news = _news(followed, state)
        followed.state = state
        followed.has_run = followed.has_run or state.status in USABLE
        if not is_live(state.status):
            del self._followed[id]
        if news:
            self._gather(id, followed, news)

    def _gather(self, id: str, followed: _Followed, news: SessionMessage) -> None:
        """Keep a message until all of its group have come to an end, or for a moment."""
        kind, group = "over" if news.event in _OVER else news.event, followed.state.group
        self._gathered.setdefault((group or id, kind), []).append(news)
        if kind == "over" and group and any(one.state.group == group for one in self._followed.values()):
            return
        task = asyncio.create_task(self._send(followed.targets, (group or id, kind), group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, targets: Sequence[str], key: tuple[str, str], group: str) -> None:
        if group:
            await asyncio.sleep(GATHER_SECONDS)
        messages = self._gathered.pop(key, [])
        if not messages:
            return  # Another task has sent them.
        message = messages[0] if len(messages) == 1 else _joined(group, messages)
        await asyncio.gather(*(self._deliver(target, message) for target in targets))

    async def _deliver(self, target: str, message: SessionMessage) -> None:
        for pause in (*PAUSES, None):
            try:
                return await deliver(target, message, self._smtp())
            except Exception as error:  # smtplib, aiohttp and the system have many.
                # The text of others' errors may hold the target, which may be a secret.
                why = str(error) if isinstance(error, SessionError) else type(error).__name__
            if pause is not None:
                await asyncio.sleep(pause)
        log.warning("a message by %s about %s failed: %s", parse_target(target)[0], message.session, why)

    async def close(self) -> None:
        """Stop at once."""
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _news(followed: _Followed, now: SessionState) -> SessionMessage | None:
    """Return the message about what is new in a session's state, or None."""
    before, name = followed.state, now.name
    if status_word(before.status) == "waiting" and status_word(now.status) != "waiting" and now.created:
        followed.waited = (datetime.now(UTC) - now.created).total_seconds()
    if now.status in USABLE and not followed.has_run and (followed.waited or 0) >= WAITED_SECONDS:
        waited = human_time(followed.waited or 0)
        return SessionMessage(
            event="started", session=name, title=f"{name} is running after {waited} in the queue."
        )
    if now.ends and now.ends != before.ends:
        return SessionMessage(event="ending", session=name, title=f"{name} ends {now.ends}.")
    if before.status == "ERROR":
        return None
    by_itself = not now.info.startswith(_ON_PURPOSE)
    failed = now.result in _FAILURES or (by_itself and bool(now.exit_code))
    if now.status == "ERROR" or (not is_live(now.status) and failed):
        said = reason(now.info).rstrip(".") or f"exit status {now.exit_code}"
        return SessionMessage(event="failed", session=name, title=f"{name} has failed: {said}.")
    if not is_live(now.status):
        return SessionMessage(event="ended", session=name, title=standing(name, now.status, now.info, name))
    return None


def _joined(group: str, messages: Sequence[SessionMessage]) -> SessionMessage:
    """Return one message for a group: how many have come to what, and what went wrong."""
    counts = Counter(message.event for message in messages)
    words = {"started": "running", "ending": "about to end"}
    title = f"{group}: {', '.join(f'{count} {words.get(event, event)}' for event, count in counts.items())}."
    told = [message.title for message in messages if message.event in ("failed", "ending")]
    event = "failed" if "failed" in counts else messages[0].event
    return SessionMessage(event=event, session=group, title=title, text="\n".join(told))
