"""What outlives the manager: sessions and keys, in SQLite."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.errors import LaunchFailed, SessionError
from jupyter_sessions.manager.core import snapshots
from jupyter_sessions.manager.core.columns import COLUMNS, TABLE, row_of
from jupyter_sessions.manager.core.keys import SCHEMA as KEY_COLUMNS
from jupyter_sessions.manager.core.keys import Keys
from jupyter_sessions.manager.core.minilang import EVERYTHING, Clause, equals, one_of
from jupyter_sessions.manager.core.record import Record, lost_record
from jupyter_sessions.wire.files import is_full, mount_of
from jupyter_sessions.wire.identity import Host

log = logging.getLogger("jupyter_sessions")

SCHEMA_VERSION = 2
_FIRST = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    access_key TEXT NOT NULL,
    status TEXT NOT NULL,
    changed REAL NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_change ON sessions (changed DESC, id);
CREATE INDEX by_name ON sessions (name, status);
CREATE TABLE keys (
    access_key TEXT PRIMARY KEY,
    secret_key TEXT NOT NULL,
    role TEXT NOT NULL
);
CREATE TABLE host (hostname TEXT, boot_id TEXT, pid_ns INTEGER)
"""
_NAMES = ", ".join([*COLUMNS, "record"])
_SAVE = f"INSERT OR REPLACE INTO sessions ({_NAMES}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608
_WHOLE = "id, name, access_key, changed, record"
_OLD = """SELECT id FROM sessions WHERE status IN ('TERMINATED', 'CANCELLED') AND (changed < ?1 OR id IN
(SELECT id FROM sessions WHERE status IN ('TERMINATED', 'CANCELLED') ORDER BY changed DESC, id LIMIT -1 OFFSET ?2))"""
_LATEST = "changed DESC, id"
_LOG_BYTES = 4 << 20
_NEXT = "It is made again from the sessions' own files when the manager starts next, which it does by itself."
_MAYBE_FULL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_MOST_PAGES = 10_000
"""Of the write-ahead log: if nobody tidies up, a write does it, and waits for the disk."""


class StoreError(LaunchFailed):
    """The store cannot be read or written."""


class StoreDamaged(StoreError):
    """The database is damaged; the next manager makes it again (see `rebuild`)."""


def make_room(path: Path) -> str:
    """What to do when nothing more can be written to a path: names its file system."""
    return f"Make room on the file system at {mount_of(path)}."


def _trouble(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    """What is wrong with the database, and what to do."""
    code = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else 0
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(f"The database {path} is damaged: {error}.", hint=_NEXT)
    if code == sqlite3.SQLITE_FULL or (code in _MAYBE_FULL and is_full(path.parent)):
        return StoreError(f"Nothing can be kept in {path}: {error}.", hint=make_room(path))
    return StoreError(
        f"Nothing can be kept in {path}: {error}.", hint="Look who may write to it, and to its folder."
    )


class Store:
    """The manager's database. All calls but `tidy` are short and block; only the manager's thread makes them."""

    def __init__(self, path: Path, *, check: bool = False) -> None:
        """Open or make the database, and `check` all of it.

        Errors: SessionError if a newer version wrote it; StoreDamaged; StoreError.
        """
        self._path = path
        self.damaged = False
        self.notice = ""
        """What was lost when the database was made again, in words for people."""
        if path.is_dir():
            raise StoreDamaged(f"The database {path} is damaged: it is a folder.", hint=_NEXT)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._open(check)
        except sqlite3.DatabaseError as error:
            raise _trouble(path, error) from error

    def _open(self, check: bool) -> None:
        path = self._path
        version = self._version()
        if version > SCHEMA_VERSION:
            self._db.close()
            raise SessionError(
                f"{path} was written by a newer version of jupyter_sessions (schema {version}).",
                hint="Upgrade jupyter_sessions; the file has been left as it is.",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_MOST_PAGES}")
        if version < SCHEMA_VERSION:
            self._migrate(version)
        if check and (said := self._db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            self._db.close()
            raise StoreDamaged(f"The database {path} is damaged: {said}.", hint=_NEXT)
        self.keys = Keys(self._db, self._write, lambda keys: snapshots.save_keys(path.parent, keys))

    def _migrate(self, version: int) -> None:
        """Bring the database up to date in one transaction, after a copy of what was there."""
        if version:
            copy = self._path.with_name(f"{self._path.name}.v{version}")
            copy.touch(mode=0o600)  # It holds secrets.
            with closing(sqlite3.connect(copy)) as other:
                self._db.backup(other)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for step in _STEPS[self._version() :]:  # Another process may have been first.
                step(self._db)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def save(self, record: Record) -> None:
        """Keep a session as it is now. Errors: StoreError, for example if the disk is full."""
        self._write(_SAVE, row_of(record))

    def get(self, id: str) -> Record | None:
        """A session by its id, live or ended."""
        rows = self._records(f"SELECT {_WHOLE} FROM sessions WHERE id = ?", (id,))  # noqa: S608
        return rows[0] if rows else None

    def latest(self, name: str, where: Clause = EVERYTHING) -> Record | None:
        """The most recently changed session of that name, of those that a clause lets through."""
        ids = self.ids(equals("name", name) & where, limit=1)
        return self.get(ids[0]) if ids else None

    def live(self) -> list[Record]:
        """All sessions that have not ended."""
        query = f"SELECT {_WHOLE} FROM sessions WHERE status NOT IN ('TERMINATED', 'CANCELLED')"  # noqa: S608
        return self._records(query, ())

    def page(
        self, statuses: Iterable[str] | None, limit: int, offset: int, access_key: str | None = None
    ) -> tuple[list[Record], int]:
        """A page of sessions, most recently changed first, and how many there are in all."""
        where = EVERYTHING if statuses is None else one_of("status", list(statuses))
        if access_key is not None:
            where &= equals("access_key", access_key)
        found = [self.get(one) for one in self.ids(where, limit=limit, offset=offset)]
        return [record for record in found if record], self.count(where)

    def ids(self, where: Clause, *, order: str = _LATEST, limit: int = -1, offset: int = 0) -> list[str]:
        """The ids of sessions, most recently changed first unless `order` (of `minilang`) says otherwise."""
        query = f"SELECT id FROM sessions WHERE {where.sql} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        return [str(row[0]) for row in self._run(query, (*where.values, limit, offset))]

    def count(self, where: Clause) -> int:
        """How many sessions a clause lets through."""
        query = f"SELECT count(*) FROM sessions WHERE {where.sql}"  # noqa: S608
        return int(self._run(query, tuple(where.values))[0][0])

    def prune(self, most: int, before: datetime) -> list[str]:
        """Forget ended sessions beyond the `most` recent, and those that ended `before`. Gives their ids.

        Errors: StoreError.
        """
        ids = [str(row[0]) for row in self._run(_OLD, (before.timestamp(), most))]
        for one in ids:
            self._write("DELETE FROM sessions WHERE id = ?", (one,))
        return ids

    def tidy(self) -> None:
        """Bring the write-ahead log into the database once it is long: waits for the disk, so call it in a thread."""
        log = self._path.with_name(f"{self._path.name}-wal")
        with suppress(sqlite3.Error, OSError):
            if log.stat().st_size > _LOG_BYTES:
                with closing(sqlite3.connect(self._path, timeout=0)) as other:
                    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _write(self, query: str, params: tuple[object, ...]) -> None:
        self._run(query, params)

    def _run(self, query: str, params: tuple[object, ...]) -> list[Any]:
        """The rows that a statement gives. Errors: StoreError."""
        try:
            return self._db.execute(query, params).fetchall()
        except sqlite3.DatabaseError as error:
            trouble = _trouble(self._path, error)
            self.damaged = self.damaged or isinstance(trouble, StoreDamaged)
            raise trouble from error

    def last_host(self) -> Host | None:
        """Where the manager ran that wrote here last."""
        found = self._db.execute("SELECT hostname, boot_id, pid_ns FROM host").fetchone()
        return Host(*found) if found else None

    def set_host(self, host: Host) -> None:
        """Note where this manager runs."""
        snapshots.save_host(self._path.parent, host)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM host")
        self._db.execute("INSERT INTO host VALUES (?, ?, ?)", (host.hostname, host.boot_id, host.pid_ns))
        self._db.execute("COMMIT")

    def _records(self, query: str, params: tuple[object, ...]) -> list[Record]:
        return [self._decoded(*row) for row in self._run(query, params)]

    def _decoded(self, id: str, name: str, access_key: str, changed: float, data: bytes) -> Record:
        """A record; of one that cannot be read, the one in its folder, or that it has ended."""
        try:
            return msgspec.json.decode(data, type=Record)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.error("the record of session %s in the database is damaged: %s", name, error)
        folder = self._path.parent / "sessions" / id
        return snapshots.load_record(folder) or lost_record(
            id, name, access_key, str(folder), datetime.fromtimestamp(changed, UTC)
        )


def _script(text: str) -> Callable[[sqlite3.Connection], None]:
    def run(db: sqlite3.Connection) -> None:
        for statement in text.split(";"):
            db.execute(statement)

    return run


def _columns(db: sqlite3.Connection) -> None:
    """From version 1: what is filtered and sorted by gets columns of its own."""
    db.execute("ALTER TABLE sessions RENAME TO old")
    db.execute("DROP INDEX by_change")
    db.execute("DROP INDEX by_name")
    _script(TABLE)(db)
    for (record,) in db.execute("SELECT record FROM old"):
        db.execute(_SAVE, row_of(msgspec.json.decode(record, type=Record)))
    db.execute("DROP TABLE old")
    _script(KEY_COLUMNS)(db)


_STEPS = (_script(_FIRST), _columns)
