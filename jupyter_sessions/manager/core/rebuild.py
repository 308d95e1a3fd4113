"""Open the database; if it is damaged, keep it aside and rebuild it from the sessions' files."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from jupyter_sessions.manager.core import snapshots
from jupyter_sessions.manager.core.minilang import one_of
from jupyter_sessions.manager.core.record import folder_of
from jupyter_sessions.manager.core.store import Store, StoreDamaged
from jupyter_sessions.model import STATUSES, is_live
from jupyter_sessions.wire.files import remove

log = logging.getLogger("jupyter_sessions")

_MOST_KEPT = 3
_PARTS = ("", "-wal", "-shm")


def open_store(folder: Path) -> Store:
    """Open the database of a state folder. `Store.notice` tells what was lost. Errors: SessionError."""
    path = folder / "sessions.db"
    try:
        store = Store(path, check=True)
    except StoreDamaged as error:
        log.error("%s", error)
    else:
        _complete(store, folder)
        return store
    aside = _put_aside(path)
    store = Store(path)
    store.notice = f"The database of this machine's sessions was damaged. {_restore(store, folder)} The damaged file is kept as {aside}."
    log.error("%s", store.notice)
    return store


def _complete(store: Store, folder: Path) -> None:
    """Write the snapshots that an earlier version did not write."""
    if not snapshots.load_keys(folder):
        snapshots.save_keys(folder, store.keys)
    for one in store.ids(one_of("status", [name for name in STATUSES if is_live(name)])):
        if not snapshots.has_record(Path(folder_of(folder, one))) and (record := store.get(one)):
            snapshots.save_record(record)


def _put_aside(path: Path) -> Path:
    """Rename the database and its log, and delete the oldest of several damaged databases."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now().astimezone():%Y-%m-%dT%H%M%S}")
    for part in _PARTS:
        with suppress(FileNotFoundError):
            os.replace(f"{path}{part}", f"{aside}{part}")
    kept = sorted(
        one for one in path.parent.glob(f"{path.name}.damaged-*") if not one.name.endswith(_PARTS[1:])
    )
    for old in kept[:-_MOST_KEPT]:
        for part in _PARTS:
            remove(Path(f"{old}{part}"))
    return aside


def _restore(store: Store, folder: Path) -> str:
    """Fill an empty database from the snapshots. Return a sentence on what was restored and what is lost."""
    keys = snapshots.load_keys(folder)
    store.keys.restore(keys)
    if host := snapshots.load_host(folder):
        store.set_host(host)
    records, lost = snapshots.load_records(folder)
    for record in records:
        store.save(record)
    restored = f"{_sessions(len(records))} could be restored from their own files"
    missing = [f"{_sessions(len(lost))} could not, and count as ended"] if lost else []
    missing += [] if keys else ["the keys that were created are lost"]
    return f"{'; '.join([restored, *missing])}."


def _sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"
