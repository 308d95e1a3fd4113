"""Access keys, each with a role, a domain, a group and limits.

The domains and groups are those of the keys. The first key belongs to a superadmin in domain and group
``default``. Source of the roles and their rights: Backend.AI managers 23.09 to 26.8.
"""

from __future__ import annotations

import getpass
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID, uuid5

import msgspec

from jupyter_sessions.amounts import slot_label
from jupyter_sessions.errors import Forbidden, InvalidRequest, NotEnough, NotFound
from jupyter_sessions.wire.signing import Keypair

USER, ADMIN, SUPERADMIN = "user", "admin", "superadmin"
ROLES = (USER, ADMIN, SUPERADMIN)
DEFAULT = "default"
_NAMES = UUID("6f3c2f0e-5b0c-4a57-9d55-8a5ad4c1b0a3")
_COLUMNS = "access_key, secret_key, role, domain, group_name, email, max_sessions, max_slots, created"

SCHEMA = """
ALTER TABLE keys ADD COLUMN domain TEXT NOT NULL DEFAULT 'default';
ALTER TABLE keys ADD COLUMN group_name TEXT NOT NULL DEFAULT 'default';
ALTER TABLE keys ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN max_sessions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN max_slots TEXT NOT NULL DEFAULT '{}';
ALTER TABLE keys ADD COLUMN created REAL NOT NULL DEFAULT 0
"""


class Owned(Protocol):
    """Something that a key owns: a session, or an event of a session."""

    @property
    def access_key(self) -> str:
        """The key that owns it."""

    @property
    def domain(self) -> str:
        """The domain it is in."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key and its rights. `max_sessions` and `max_slots` limit what runs at the same time; 0 and {} mean no limit."""

    access_key: str
    secret_key: str
    role: str = USER
    domain: str = DEFAULT
    group: str = DEFAULT
    email: str = ""
    max_sessions: int = 0
    max_slots: dict[str, Decimal] = {}
    created: datetime = datetime.fromtimestamp(0, UTC)

    def __repr__(self) -> str:
        return f"Key({self.access_key!r}, {self.role!r})"

    @property
    def user_id(self) -> str:
        """The id of the key's user; every key is a user of its own."""
        return id_of(self.access_key)

    @property
    def is_admin(self) -> bool:
        """Whether the key may act for other keys."""
        return self.role in (ADMIN, SUPERADMIN)

    @property
    def pair(self) -> Keypair:
        """The key pair that signs requests."""
        return Keypair(self.access_key, self.secret_key)

    def sees(self, what: Owned) -> bool:
        """Return whether the key may see and change something."""
        if self.role == SUPERADMIN or what.access_key == self.access_key:
            return True
        return self.role == ADMIN and what.domain == self.domain

    def check(self, slots: dict[str, Decimal]) -> None:
        """Check requested slots against the limits of the key. Errors: NotEnough."""
        for name, amount in slots.items():
            if name in self.max_slots and amount > self.max_slots[name]:
                most = slot_label(name, self.max_slots[name])
                requested = slot_label(name, amount)
                raise NotEnough(
                    f"You asked for {requested}, but this key may have at most {most}.",
                    hint="Ask for less, or ask an administrator to raise the limit.",
                    field=name,
                )


class Keys:
    """All keys, stored in the manager's database."""

    def __init__(
        self,
        db: sqlite3.Connection,
        write: Callable[[str, tuple[object, ...]], None],
        changed: Callable[[Iterable[Key]], None],
    ) -> None:
        self._write = write
        self._changed = changed
        rows = db.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY rowid")  # noqa: S608
        found = [_key(row) for row in rows]
        self._keys = {key.access_key: key for key in found}

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._keys.values()))

    @property
    def first(self) -> Key:
        """The superadmin key of this machine, created on first use."""
        return next(iter(self)) if self._keys else self.add(role=SUPERADMIN, email=f"{_login()}@localhost")

    def get(self, access_key: str) -> Key | None:
        """Return a key by its access key."""
        return self._keys.get(access_key)

    def add(
        self,
        *,
        role: str = USER,
        domain: str = DEFAULT,
        group: str = DEFAULT,
        email: str = "",
        max_sessions: int = 0,
        max_slots: dict[str, Decimal] | None = None,
    ) -> Key:
        """Create a key. Errors: InvalidRequest for an unknown role; StoreError."""
        if role not in ROLES:
            raise InvalidRequest(
                f"There is no role '{role}'.", hint=f"Choose from: {', '.join(ROLES)}.", field="role"
            )
        access_key = "AKIA" + secrets.token_hex(8).upper()
        key = Key(
            access_key=access_key,
            secret_key=secrets.token_urlsafe(30),
            role=role,
            domain=domain,
            group=group,
            email=email or f"{access_key.lower()}@localhost",
            max_sessions=max_sessions,
            max_slots=max_slots or {},
            created=datetime.now(UTC),
        )
        self._insert(key)
        self._changed(self)
        return key

    def restore(self, keys: Iterable[Key]) -> None:
        """Add keys that exist already. Errors: StoreError."""
        for key in keys:
            self._insert(key)

    def _insert(self, key: Key) -> None:
        *values, slots, created = msgspec.structs.astuple(key)
        row = (*values, msgspec.json.encode(slots).decode(), created.timestamp())
        self._write(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        self._keys[key.access_key] = key

    def remove(self, access_key: str) -> None:
        """Delete a key. Errors: NotFound; InvalidRequest for this machine's own key; StoreError."""
        if access_key not in self._keys:
            raise NotFound(
                f"There is no key '{access_key}'.",
                hint="`jupyter session keys list` lists the keys.",
                field="key",
            )
        if access_key == self.first.access_key:
            raise InvalidRequest("This machine's own key cannot be removed.", field="key")
        self._write("DELETE FROM keys WHERE access_key = ?", (access_key,))
        del self._keys[access_key]
        self._changed(self)

    def acting_for(self, who: Key, owner: str | None) -> Key:
        """Return the key that a request of `who` acts for: its own, or for admins that of `owner` with a user's rights.

        Errors: Forbidden; InvalidRequest for an unknown owner. Source: managers 23.09 to 26.8.
        """
        if owner in (None, "", who.access_key):
            return who
        if not who.is_admin:
            raise Forbidden("Only admins can perform operations on behalf of other users.")
        other = self._keys.get(str(owner))
        if other is None or (who.role == ADMIN and other.domain != who.domain):
            raise InvalidRequest(
                f"There is no key '{owner}'.",
                hint="`jupyter session keys list` lists the keys.",
                field="owner_access_key",
            )
        if who.role == ADMIN and other.role == SUPERADMIN:
            raise Forbidden("Domain-admins cannot perform operations on behalf of super-admins.")
        return msgspec.structs.replace(other, role=USER)

    def groups(self, who: Key, domain: str) -> list[str]:
        """Return the groups of a domain in which a key may have sessions."""
        if not who.is_admin:
            return [who.group]
        return sorted({key.group for key in self if key.domain == domain} or {DEFAULT})

    def domains(self, who: Key) -> list[str]:
        """Return the domains in which a key may have sessions."""
        return sorted({key.domain for key in self}) if who.role == SUPERADMIN else [who.domain]

    def place(self, who: Key, domain: str | None, group: str | None) -> tuple[str, str]:
        """Return the domain and group of a new session, by default those of the key.

        Errors: InvalidRequest for a domain or group that the key may not use.
        """
        domain = _one_of("domain", domain or who.domain, self.domains(who))
        group = group or (who.group if domain == who.domain else DEFAULT)
        return domain, _one_of("group", group, self.groups(who, domain))


def _one_of(field: str, wanted: str, there: list[str]) -> str:
    if wanted not in there:
        raise InvalidRequest(
            f"There is no {field.replace('_', ' ')} '{wanted}'.",
            hint=f"Choose from: {', '.join(there)}.",
            field=field,
        )
    return wanted


def id_of(*names: str) -> str:
    """Return the stable id of a key's user, or of a group by its domain and name."""
    return str(uuid5(_NAMES, "/".join(names)))


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # A user without a name.
        return "owner"


def _key(row: tuple[str, str, str, str, str, str, int, str, float]) -> Key:
    access_key, secret_key, role, domain, group, email, most, slots, created = row
    return Key(
        access_key=access_key,
        secret_key=secret_key,
        role=role,
        domain=domain,
        group=group,
        email=email or f"{_login()}@localhost",
        max_sessions=most,
        max_slots=msgspec.json.decode(slots, type=dict[str, Decimal]),
        created=datetime.fromtimestamp(created, UTC),
    )
