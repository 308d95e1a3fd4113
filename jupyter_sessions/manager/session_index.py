"""Find live and ended sessions that a key may see."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from jupyter_sessions.errors import Ambiguous, SessionNotFound
from jupyter_sessions.manager.core.keys import ADMIN, SUPERADMIN, Key
from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.minilang import EVERYTHING, Clause, begins, equals, one_of, since
from jupyter_sessions.manager.core.record import Record, folder_of
from jupyter_sessions.manager.core.store import Store, StoreError, make_room
from jupyter_sessions.manager.endpoints.kernel_link import new_key
from jupyter_sessions.manager.schedule.placement import used
from jupyter_sessions.wire.files import remove

ENDED_MOST = 1000
ENDED_FOR = timedelta(days=30)


class SessionIndex:
    """Sessions by id and name. Live sessions are in memory, all sessions are in the store."""

    def __init__(self, store: Store, machine: SessionMachine, state_folder: Path) -> None:
        self.store = store
        self.machine = machine
        self.state_folder = state_folder
        self._live = machine.live

    @property
    def live(self) -> list[Record]:
        """The sessions that have not ended, oldest first."""
        return sorted(self._live.values(), key=lambda record: record.created)

    @property
    def in_care(self) -> bool:
        """Whether any session needs this manager, because it waits or has processes."""
        return any(record.status != "ERROR" for record in self._live.values())

    def pending(self, most: int) -> int:
        """Return the number of waiting sessions, at most `most`."""
        waiting = (record for record in self._live.values() if record.status == "PENDING")
        return len([*islice(waiting, most)])

    def used(self) -> dict[str, object]:
        """Return what the running sessions hold, by slot."""
        return dict(used(record for record in self._live.values() if record.holds_slots))

    def find(self, ref: str, who: Key) -> Record:
        """Return a live session by id or name that `who` may see, preferably an own one that is not terminating.

        Errors: SessionNotFound, Ambiguous.
        """
        if (record := self._live.get(ref)) and who.sees(record):
            return record
        matches = [record for record in self._live.values() if record.name == ref and who.sees(record)]
        matches = [record for record in matches if record.access_key == who.access_key] or matches
        matches = [record for record in matches if record.status != "TERMINATING"] or matches
        if not matches:
            raise SessionNotFound(
                f"There is no session '{ref}'.", hint="The list shows running sessions.", field="session"
            )
        if len(matches) > 1:
            ids = ", ".join(record.id for record in matches)
            raise Ambiguous(
                f"Several sessions are called '{ref}'.", hint=f"Use an id: {ids}.", field="session"
            )
        return matches[0]

    def find_any(self, ref: str, who: Key) -> Record:
        """Return a live session by id or name, or the one that ended last. Errors: SessionNotFound, Ambiguous."""
        try:
            return self.find(ref, who)
        except SessionNotFound:
            found = self.store.get(ref)
            if found and who.sees(found):
                return found
            own = self.store.latest(ref, equals("access_key", who.access_key))
            record = own or self.store.latest(ref, visible_to(who))
            if record is None:
                raise
            return record

    def named(self, name: str, access_key: str) -> Record | None:
        """Return the live session of a key with this name. Terminating sessions do not count."""
        mine = self._namesakes(name, access_key)
        return next((record for record in mine if record.status != "TERMINATING"), None)

    def ending(self, name: str, access_key: str) -> Record | None:
        """Return the terminating session of a key with this name; a new session with the same name waits for it."""
        mine = self._namesakes(name, access_key)
        return next((record for record in mine if record.status == "TERMINATING"), None)

    def _namesakes(self, name: str, access_key: str) -> list[Record]:
        live = self._live.values()
        return [record for record in live if record.name == name and record.access_key == access_key]

    def page(self, where: Clause, **how: Any) -> tuple[list[Record], int]:
        """Return a page of the sessions that match a clause (see `Store.ids`), and the number of all."""
        found = [self.known(one) for one in self.store.ids(where, **how)]
        return [record for record in found if record], self.store.count(where)

    def beginning(self, text: str, who: Key, most: int) -> list[Record]:
        """Return sessions that `who` may see whose id or name begins with a text, the most recently changed first."""
        where = visible_to(who) & (begins("id", text) | begins("name", text))
        return self.page(where, limit=most)[0]

    def is_live(self, id: str) -> bool:
        """Return whether the session with this full id is live."""
        return id in self._live

    def ended_since(self, moment: datetime, who: Key) -> list[str]:
        """Return the ids of sessions that `who` may see and that ended after a moment, newest first."""
        where = one_of("status", ["TERMINATED"]) & since("changed", moment) & visible_to(who)
        return [one for one in self.store.ids(where) if one not in self._live]

    def known(self, id: str) -> Record | None:
        """Return a session by its full id, live or ended."""
        return self.machine.get(id)

    # Storage.

    def _add(self, record: Record) -> None:
        """Add a new session with its folders, keys and record, all or none. Errors: StoreError."""
        folder, cwd = Path(record.folder), Path(record.launch.cwd)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if cwd.parent == folder:
                cwd.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {folder} cannot be created: {error.strerror}.", hint=make_room(folder)
            ) from error
        try:
            self.machine.add(record, [new_key() for _ in record.member_ids])
        except StoreError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _forget_old(self) -> None:
        with suppress(StoreError):
            for one in self.store.prune(ENDED_MOST, datetime.now(UTC) - ENDED_FOR):
                remove(Path(folder_of(self.state_folder, one)))


def visible_to(who: Key) -> Clause:
    """Return the clause for what a key may see (see `Key.sees`)."""
    if who.role == SUPERADMIN:
        return EVERYTHING
    own = equals("access_key", who.access_key)
    return own | equals("domain_name", who.domain) if who.role == ADMIN else own
