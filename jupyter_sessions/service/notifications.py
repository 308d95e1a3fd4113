"""Messages to people about sessions that run elsewhere: this server sends them, for as long as it runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.model import REPLICA_COUNT, SessionInfo, SessionSpec
from jupyter_sessions.service.changes import Batch, SessionPut
from jupyter_sessions.wire.message_targets import COMMAND, parse_target
from jupyter_sessions.wire.notifier import Notifier, SessionState

_WARN_SECONDS = 600.0


class RemoteNotifications(Notifier):
    """Follows rows of the feed, for backends that send no messages themselves."""

    def __init__(self, config: JupyterSessions) -> None:
        super().__init__(lambda: str(config.smtp))
        self._config = config
        self._warnings: dict[str, asyncio.TimerHandle] = {}

    def targets(self, backend: Backend, spec: SessionSpec, *, sends: bool) -> list[str]:
        """Return the targets that are told of a session, of which some may be given by names of the configuration.

        `sends` says whether this process can send messages later. Errors: InvalidRequest, NotSupported.
        """
        if spec.notify is None and (spec.owner or not (sends or backend.notifies)):
            return []
        given = self._config.notify if spec.notify is None else spec.notify
        found = [self._target(one) for one in given]
        if backend.notifies or not found:
            return found
        if not sends:
            raise NotSupported(
                f"Nobody can send messages about sessions on {backend.title} from here.",
                hint="Create the session in a Jupyter server, which sends them while it runs.",
                field="notify",
            )
        named = self._config.notifications.values()
        if any(parse_target(one)[0] == COMMAND and one not in named for one in found):
            raise InvalidRequest(
                "The Jupyter server runs no commands but those of its configuration.",
                hint="Add the command to JupyterSessions.notifications, and give its name.",
                field="notify",
            )
        return found

    def _target(self, given: str) -> str:
        if ":" in given or given in self._config.notifications:
            found = str(self._config.notifications.get(given, given))
            parse_target(found)
            return found
        known = ", ".join(self._config.notifications) or "none"
        raise InvalidRequest(
            f"The configuration has no notification '{given}'.",
            hint=f"It has: {known}. Or give slack:URL, ntfy:URL, mailto:ADDRESS or command:COMMAND.",
            field="notify",
        )

    def register(self, backend: Backend, row: SessionInfo, spec: SessionSpec) -> None:
        """Tell of a new session from now on, unless its backend does."""
        if spec.notify and not backend.notifies:
            several = spec.replicas > 1 or REPLICA_COUNT in spec.environ
            group = row.name.rpartition("-")[0] if several else ""
            self.follow(f"{row.backend}/{row.id}", spec.notify, _state(row, group))

    async def close(self) -> None:
        """Stop at once."""
        for warning in self._warnings.values():
            warning.cancel()
        await super().close()

    def hear(self, batch: Batch) -> None:
        """Tell of the changes of the sessions that are followed."""
        for change in batch.changes:
            if isinstance(change, SessionPut):
                self._hear(change.session)

    def _hear(self, row: SessionInfo) -> None:
        key = f"{row.backend}/{row.id}"
        if not self.follows(key):
            return
        group = self._followed[key].state.group
        self.see(key, _state(row, group))
        if warning := self._warnings.pop(key, None):
            warning.cancel()
        if row.live and row.ends_at:
            left = (row.ends_at - datetime.now(UTC)).total_seconds()
            if left > 0:
                ends = f"in {human_time(min(left, _WARN_SECONDS), units=1)}"
                state = _state(row, group, ends)
                pause = max(left - _WARN_SECONDS, 0)
                loop = asyncio.get_running_loop()
                self._warnings[key] = loop.call_later(pause, self.see, key, state)


def _state(row: SessionInfo, group: str, ends: str = "") -> SessionState:
    return SessionState(
        name=row.name,
        status=row.status,
        info=row.status_info,
        result=row.result,
        exit_code=row.exit_code,
        created=row.created_at,
        group=group,
        ends=ends,
    )
