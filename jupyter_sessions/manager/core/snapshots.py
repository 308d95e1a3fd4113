"""Copies of the database in small files beside it: each session's record, the keys, the host."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from jupyter_sessions.manager.core.keys import SUPERADMIN, Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.wire.files import load, write_private
from jupyter_sessions.wire.identity import Host
from jupyter_sessions.wire.signing import Keypair

log = logging.getLogger("jupyter_sessions")

_RECORD, _KEYS, _HOST = "record.json", "keys.json", "host.json"


class _ContactKeypair(msgspec.Struct):
    keypair: Keypair


def save_record(record: Record) -> None:
    """Write a session's record into its folder, and ignore a full disk."""
    with suppress(OSError):
        write_private(Path(record.folder) / _RECORD, msgspec.json.encode(record))


def has_record(folder: Path) -> bool:
    """Return whether a session's folder holds a record of it."""
    return os.path.exists(os.path.join(folder, _RECORD))


def load_record(folder: Path) -> Record | None:
    """Return the record in a session's folder, or None if it cannot be read."""
    try:
        return msgspec.structs.replace(load(folder / _RECORD, Record), folder=str(folder))
    except OSError as error:
        log.error("%s", error)
        return None


def load_records(state_folder: Path) -> tuple[list[Record], list[Path]]:
    """Return the records in all sessions' folders, and the folders without a readable record."""
    found, lost = list[Record](), list[Path]()
    for folder in sorted((state_folder / "sessions").glob("*/")):
        record = load_record(folder)
        found.append(record) if record else lost.append(folder)
    return found, lost


def save_keys(state_folder: Path, keys: Iterable[Key]) -> None:
    """Write all keys, with their secrets."""
    try:
        write_private(state_folder / _KEYS, msgspec.json.encode(list(keys)), durable=True)
    except OSError as error:
        log.error("the keys cannot be kept beside the database: %s", error)


def load_keys(state_folder: Path) -> list[Key]:
    """Return all keys in order; if the file is lost, the first key from a contact file, or none."""
    with suppress(OSError):
        if keys := load(state_folder / _KEYS, list[Key]):
            return keys
    for path in state_folder.glob("jupyter_sessions-*.json"):
        with suppress(OSError):
            pair = load(path, _ContactKeypair).keypair
            return [Key(access_key=pair.access_key, secret_key=pair.secret_key, role=SUPERADMIN)]
    return []


def save_host(state_folder: Path, host: Host) -> None:
    """Write the host of the manager."""
    with suppress(OSError):
        write_private(state_folder / _HOST, msgspec.json.encode(host))


def load_host(state_folder: Path) -> Host | None:
    """Return the host of the last manager, or None if it is not known."""
    with suppress(OSError):
        return load(state_folder / _HOST, Host)
    return None
