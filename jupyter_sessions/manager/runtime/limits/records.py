"""The records of limits groups on disk, by which every later manager finds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_sessions.manager.runtime.limits.part import LimitsError, PartRecord
from jupyter_sessions.manager.runtime.process import here
from jupyter_sessions.wire.files import load, remove, write_private


class LimitsRecord(msgspec.Struct, frozen=True):
    """The record of a limits group, written before the group is created and deleted after it is removed."""

    id: str
    boot_id: str
    pid_ns: int
    parts: list[PartRecord]

    @classmethod
    def new(cls, id: str, parts: list[PartRecord]) -> LimitsRecord:
        """Return a record of this boot and container."""
        host = here()
        return cls(id, host.boot_id, host.pid_ns, parts)

    def current(self) -> bool:
        """Return False if the machine was restarted or the container was replaced."""
        host = here()
        return (self.boot_id, self.pid_ns) == (host.boot_id, host.pid_ns)


class LimitsRecords:
    """One small file for each limits group, in a private folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, record: LimitsRecord) -> None:
        """Write a record atomically. Errors: LimitsError."""
        path = self._path(record.id)
        try:
            write_private(path, msgspec.json.encode(record))
        except OSError as error:
            raise LimitsError(f"{path} cannot be written: {error.strerror}.") from error

    def load(self, id: str) -> LimitsRecord | None:
        """Return the record of a session, or None if there is none or it is damaged."""
        return _load(self._path(id))

    def all(self) -> Iterator[LimitsRecord]:
        """Yield the records of all sessions, also of ended ones whose groups were not removed."""
        found = (_load(path) for path in sorted(self._folder.glob("*.json")))
        return (record for record in found if record)

    def delete(self, id: str) -> None:
        """Delete the record of a session."""
        for path in (self.marker(id), self.marker(id, "pids"), self._path(id)):
            remove(path)

    def marker(self, id: str, control: str = "mem") -> Path:
        """Return the path of the file that marks a session as over its memory, or over its number of processes."""
        return self._folder / (f"{id}.over" if control == "mem" else f"{id}.over-{control}")

    def cpus(self) -> list[int]:
        """Return the CPUs of limits groups, with one entry for each group and CPU."""
        parts = [part for record in self.all() for part in record.parts]
        return [number for part in parts for number in part.affinity or []]

    def _path(self, id: str) -> Path:
        return self._folder / f"{id}.json"


def _load(path: Path) -> LimitsRecord | None:
    try:
        found = load(path, LimitsRecord)
    except OSError:
        return None
    return found if found.id == path.stem else None
