"""Send messages to people about sessions of this manager."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from jupyter_sessions.durations import human_time
from jupyter_sessions.manager.core.changes import Warned
from jupyter_sessions.manager.core.expiry import WARN_SECONDS, Ending
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.transitions import Transition
from jupyter_sessions.model import REPLICA_COUNT
from jupyter_sessions.wire.notifier import Notifier, SessionState

_WHY = {"idle": "it is not used", "time_limit": "its time limit"}


class SessionNotifications(Notifier):
    """Notifies people of changes of sessions; `ending` returns when a session is going to be ended."""

    def __init__(self, ending: Callable[[Record], Ending | None], smtp: Callable[[], str]) -> None:
        super().__init__(smtp)
        self._ending = ending

    def take_in(self, record: Record) -> None:
        """Follow a session, new or from an earlier manager."""
        self.follow(record.id, record.notify, self._state(record))

    def changed(self, record: Record, transition: Transition) -> None:
        """Notify of a session's change."""
        if record.notify:
            self.see(record.id, self._state(record, warned=isinstance(transition, Warned)))

    def _state(self, record: Record, *, warned: bool = False) -> SessionState:
        return SessionState(
            name=record.name,
            status=record.status,
            info=record.status_info,
            result=record.result,
            exit_code=record.exit_code,
            created=record.created,
            group=record.name.rpartition("-")[0] if REPLICA_COUNT in record.environ else "",
            ends=self._ends(record) if warned else "",
        )

    def _ends(self, record: Record) -> str:
        ending = self._ending(record)
        left = (ending.at - datetime.now(UTC)).total_seconds() if ending else 0
        if ending is None or not 0 < left <= max(WARN_SECONDS) + 1:
            return ""
        return f"in {human_time(left, units=1)} ({_WHY.get(ending.why, ending.why)})"
