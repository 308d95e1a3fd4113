"""The database of sessions and keys, in SQLite. It outlives the manager."""

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
_VERSION_1 = """
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
_ALL_COLUMNS = ", ".join([*COLUMNS, "record"])
_SAVE = f"INSERT OR REPLACE INTO sessions ({_ALL_COLUMNS}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608
_STORED = "id, name, access_key, changed, record"
_EXPIRED = """SELECT id FROM sessions WHERE status IN ('TERMINATED', 'CANCELLED') AND (changed < ?1 OR id IN
(SELECT id FROM sessions WHERE status IN ('TERMINATED', 'CANCELLED') ORDER BY changed DESC, id LIMIT -1 OFFSET ?2))"""
_LATEST = "changed DESC, id"
_LOG_BYTES = 4 << 20
_REBUILD_HINT = (
    "The manager rebuilds it from the sessions' own files at its next start, which happens by itself."
)
_POSSIBLY_FULL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_CHECKPOINT_PAGES = 10_000
"""Pages of the write-ahead log after which a write itself runs the checkpoint, and waits for the disk."""


class StoreError(LaunchFailed):
    """The store cannot be read or written."""


class StoreDamaged(StoreError):
    """The database is damaged; the next manager rebuilds it (see `rebuild`)."""


def make_room(path: Path) -> str:
    """Return the hint for a full disk, which names the file system of a path."""
    return f"Make room on the file system at {mount_of(path)}."


def _store_error(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    """Return the error for a failed database call."""
    code = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else 0
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(f"The database {path} is damaged: {error}.", hint=_REBUILD_HINT)
    if code == sqlite3.SQLITE_FULL or (code in _POSSIBLY_FULL and is_full(path.parent)):
        return StoreError(f"The database {path} cannot be written: {error}.", hint=make_room(path))
    return StoreError(
        f"The database {path} cannot be written: {error}.",
        hint="Check the permissions of the file and of its folder.",
    )


class Store:
    """The manager's database. All methods except `tidy` are short, blocking, and for the manager's thread only."""

    def __init__(self, path: Path, *, check: bool = False) -> None:
        """Open or create the database; with `check`, verify its integrity.

        Errors: SessionError if a newer version wrote the database; StoreDamaged; StoreError.
        """
        self._path = path
        self.damaged = False
        self.notice = ""
        """What was lost when the database was rebuilt, in words for people."""
        if path.is_dir():
            raise StoreDamaged(f"The database {path} is damaged: it is a folder.", hint=_REBUILD_HINT)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._open(check)
        except sqlite3.DatabaseError as error:
            raise _store_error(path, error) from error

    def _open(self, check: bool) -> None:
        path = self._path
        version = self._version()
        if version > SCHEMA_VERSION:
            self._db.close()
            raise SessionError(
                f"{path} was written by a newer version of jupyter_sessions (schema {version}).",
                hint="Upgrade jupyter_sessions. The file is unchanged.",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        if version < SCHEMA_VERSION:
            self._migrate(version)
        if check and (problem := self._db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            self._db.close()
            raise StoreDamaged(f"The database {path} is damaged: {problem}.", hint=_REBUILD_HINT)
        self.keys = Keys(self._db, self._write, lambda keys: snapshots.save_keys(path.parent, keys))

    def _migrate(self, version: int) -> None:
        """Copy the database, and bring it up to date in one transaction."""
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
        """Write a session's record. Errors: StoreError, for example if the disk is full."""
        self._write(_SAVE, row_of(record))

    def get(self, id: str) -> Record | None:
        """Return the session with this id, live or ended."""
        rows = self._records(f"SELECT {_STORED} FROM sessions WHERE id = ?", (id,))  # noqa: S608
        return rows[0] if rows else None

    def latest(self, name: str, where: Clause = EVERYTHING) -> Record | None:
        """Return the most recently changed session with this name that matches a clause."""
        ids = self.ids(equals("name", name) & where, limit=1)
        return self.get(ids[0]) if ids else None

    def live(self) -> list[Record]:
        """Return all sessions that have not ended."""
        query = f"SELECT {_STORED} FROM sessions WHERE status NOT IN ('TERMINATED', 'CANCELLED')"  # noqa: S608
        return self._records(query, ())

    def page(
        self, statuses: Iterable[str] | None, limit: int, offset: int, access_key: str | None = None
    ) -> tuple[list[Record], int]:
        """Return a page of sessions, the most recently changed first, and the number of all."""
        where = EVERYTHING if statuses is None else one_of("status", list(statuses))
        if access_key is not None:
            where &= equals("access_key", access_key)
        found = [self.get(session_id) for session_id in self.ids(where, limit=limit, offset=offset)]
        return [record for record in found if record], self.count(where)

    def ids(self, where: Clause, *, order: str = _LATEST, limit: int = -1, offset: int = 0) -> list[str]:
        """Return the ids of sessions in `order` (of `minilang`), by default the most recently changed first."""
        query = f"SELECT id FROM sessions WHERE {where.sql} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        return [str(row[0]) for row in self._run(query, (*where.values, limit, offset))]

    def count(self, where: Clause) -> int:
        """Return the number of sessions that match a clause."""
        query = f"SELECT count(*) FROM sessions WHERE {where.sql}"  # noqa: S608
        return int(self._run(query, tuple(where.values))[0][0])

    def prune(self, most: int, before: datetime) -> list[str]:
        """Delete ended sessions beyond the `most` recent, and those that ended `before`. Return their ids.

        Errors: StoreError.
        """
        ids = [str(row[0]) for row in self._run(_EXPIRED, (before.timestamp(), most))]
        for session_id in ids:
            self._write("DELETE FROM sessions WHERE id = ?", (session_id,))
        return ids

    def tidy(self) -> None:
        """Checkpoint the write-ahead log once it is long. Waits for the disk: call it in a thread."""
        log = self._path.with_name(f"{self._path.name}-wal")
        with suppress(sqlite3.Error, OSError):
            if log.stat().st_size > _LOG_BYTES:
                with closing(sqlite3.connect(self._path, timeout=0)) as other:
                    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _write(self, query: str, params: tuple[object, ...]) -> None:
        self._run(query, params)

    def _run(self, query: str, params: tuple[object, ...]) -> list[Any]:
        """Return the rows of a statement. Errors: StoreError."""
        try:
            return self._db.execute(query, params).fetchall()
        except sqlite3.DatabaseError as error:
            failure = _store_error(self._path, error)
            self.damaged = self.damaged or isinstance(failure, StoreDamaged)
            raise failure from error

    def last_host(self) -> Host | None:
        """Return the host of the last manager that wrote here."""
        found = self._db.execute("SELECT hostname, boot_id, pid_ns FROM host").fetchone()
        return Host(*found) if found else None

    def set_host(self, host: Host) -> None:
        """Write the host of this manager."""
        snapshots.save_host(self._path.parent, host)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM host")
        self._db.execute("INSERT INTO host VALUES (?, ?, ?)", (host.hostname, host.boot_id, host.pid_ns))
        self._db.execute("COMMIT")

    def _records(self, query: str, params: tuple[object, ...]) -> list[Record]:
        """Return the records of a query; the copy in a session's folder stands in for a damaged record."""
        records = []
        for uid, name, access_key, changed, data in self._run(query, params):
            try:
                record = msgspec.json.decode(data, type=Record)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                log.error("the record of session %s in the database is damaged: %s", name, error)
                folder, ended = self._path.parent / "sessions" / uid, datetime.fromtimestamp(changed, UTC)
                record = snapshots.load_record(folder) or lost_record(
                    uid, name, access_key, str(folder), ended
                )
            records.append(record)
        return records


def _script(text: str) -> Callable[[sqlite3.Connection], None]:
    def run(db: sqlite3.Connection) -> None:
        for statement in text.split(";"):
            db.execute(statement)

    return run


def _add_columns(db: sqlite3.Connection) -> None:
    """Migrate from version 1: add a column for every field to filter and sort by."""
    db.execute("ALTER TABLE sessions RENAME TO old")
    db.execute("DROP INDEX by_change")
    db.execute("DROP INDEX by_name")
    _script(TABLE)(db)
    for (record,) in db.execute("SELECT record FROM old"):
        db.execute(_SAVE, row_of(msgspec.json.decode(record, type=Record)))
    db.execute("DROP TABLE old")
    _script(KEY_COLUMNS)(db)


_STEPS = (_script(_VERSION_1), _add_columns)
