"""What outlives the manager: sessions and keys, in SQLite."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from jupyter_sessions.errors import LaunchFailed, SessionError
from jupyter_sessions.manager.record import Record
from jupyter_sessions.wire.identity import Host
from jupyter_sessions.wire.signing import Keypair

SCHEMA_VERSION = 1
_SCHEMA = """
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
CREATE TABLE host (hostname TEXT, boot_id TEXT, pid_ns INTEGER);
"""

_SOME = """ FROM sessions
WHERE (?1 IS NULL OR status IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR access_key = ?2)"""
_COUNT = "SELECT count(*)" + _SOME
_PAGE = "SELECT record" + _SOME + " ORDER BY changed DESC, id LIMIT ?3 OFFSET ?4"
_OLD = """SELECT id FROM sessions WHERE status IN ('TERMINATED', 'CANCELLED') AND (changed < ?1 OR id IN
(SELECT id FROM sessions WHERE status IN ('TERMINATED', 'CANCELLED') ORDER BY changed DESC, id LIMIT -1 OFFSET ?2))"""


class StoreError(LaunchFailed):
    """The store cannot be written."""


class Store:
    """The manager's database. All calls are short and block; only the manager's thread makes them."""

    def __init__(self, path: Path) -> None:
        """Open or make the database. Errors: SessionError if a newer version wrote it."""
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            self._db.close()
            raise SessionError(
                f"{path} was written by a newer version of jupyter_sessions (schema {version}).",
                hint="Upgrade jupyter_sessions; the file has been left as it is.",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def save(self, record: Record) -> None:
        """Keep a session as it is now. Errors: StoreError, for example if the disk is full."""
        row = (
            record.id,
            record.name,
            record.access_key,
            record.status,
            record.changed.timestamp(),
            msgspec.json.encode(record),
        )
        self._write("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)

    def get(self, id: str) -> Record | None:
        """A session by its id, live or ended."""
        rows = self._records("SELECT record FROM sessions WHERE id = ?", (id,))
        return rows[0] if rows else None

    def latest(self, name: str) -> Record | None:
        """The most recently changed session of that name."""
        query = "SELECT record FROM sessions WHERE name = ? ORDER BY changed DESC LIMIT 1"
        rows = self._records(query, (name,))
        return rows[0] if rows else None

    def live(self) -> list[Record]:
        """All sessions that have not ended."""
        query = "SELECT record FROM sessions WHERE status NOT IN ('TERMINATED', 'CANCELLED')"
        return self._records(query, ())

    def page(
        self, statuses: Iterable[str] | None, limit: int, offset: int, access_key: str | None = None
    ) -> tuple[list[Record], int]:
        """A page of sessions, most recently changed first, and how many there are in all."""
        wanted = None if statuses is None else msgspec.json.encode(list(statuses)).decode()
        count = self._db.execute(_COUNT, (wanted, access_key)).fetchone()[0]
        return self._records(_PAGE, (wanted, access_key, limit, offset)), count

    def prune(self, most: int, before: datetime) -> list[str]:
        """Forget ended sessions beyond the `most` recent, and those that ended `before`. Gives their ids.

        Errors: StoreError.
        """
        ids = [str(row[0]) for row in self._db.execute(_OLD, (before.timestamp(), most))]
        for one in ids:
            self._write("DELETE FROM sessions WHERE id = ?", (one,))
        return ids

    def _write(self, query: str, params: tuple[object, ...]) -> None:
        try:
            self._db.execute(query, params)
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"Nothing can be kept in {self._path}: {error}.", hint="Make room there."
            ) from error

    def keypair(self) -> Keypair:
        """The first key, a superadmin's; made on first use."""
        found = self._db.execute("SELECT access_key, secret_key FROM keys LIMIT 1").fetchone()
        if found:
            return Keypair(*found)
        pair = Keypair("AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30))
        self._db.execute("INSERT INTO keys VALUES (?, ?, 'superadmin')", (pair.access_key, pair.secret_key))
        return pair

    def secret_of(self, access_key: str) -> str | None:
        """The secret of a key."""
        query = "SELECT secret_key FROM keys WHERE access_key = ?"
        found = self._db.execute(query, (access_key,)).fetchone()
        return str(found[0]) if found else None

    def last_host(self) -> Host | None:
        """Where the manager ran that wrote here last."""
        found = self._db.execute("SELECT hostname, boot_id, pid_ns FROM host").fetchone()
        return Host(*found) if found else None

    def set_host(self, host: Host) -> None:
        """Note where this manager runs."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM host")
        self._db.execute("INSERT INTO host VALUES (?, ?, ?)", (host.hostname, host.boot_id, host.pid_ns))
        self._db.execute("COMMIT")

    def _records(self, query: str, params: tuple[object, ...]) -> list[Record]:
        rows = self._db.execute(query, params)
        return [msgspec.json.decode(row[0], type=Record) for row in rows]
