"""What of limits groups is on disk, so that every later manager finds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_sessions.manager.runtime.limits.part import LimitsError, PartRecord
from jupyter_sessions.manager.runtime.process import here
from jupyter_sessions.wire.files import load, remove, write_private


class LimitsRecord(msgspec.Struct, frozen=True):
    """A limits group on disk, written before it is made and deleted after it is gone."""

    id: str
    boot_id: str
    pid_ns: int
    parts: list[PartRecord]

    @classmethod
    def new(cls, id: str, parts: list[PartRecord]) -> LimitsRecord:
        """One of this boot and container."""
        host = here()
        return cls(id, host.boot_id, host.pid_ns, parts)

    def current(self) -> bool:
        """False when the machine was restarted, or the container is another."""
        host = here()
        return (self.boot_id, self.pid_ns) == (host.boot_id, host.pid_ns)


class LimitsRecords:
    """One small file for each limits group, in a folder of the user's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, record: LimitsRecord) -> None:
        """Write it in one step."""
        path = self._path(record.id)
        try:
            write_private(path, msgspec.json.encode(record))
        except OSError as error:
            raise LimitsError(f"{path} cannot be written: {error.strerror}.") from error

    def load(self, id: str) -> LimitsRecord | None:
        """That of a session; None when there is none, or it is no record."""
        return _load(self._path(id))

    def all(self) -> Iterator[LimitsRecord]:
        """Those of all sessions, ended ones that were not removed included."""
        found = (_load(path) for path in sorted(self._folder.glob("*.json")))
        return (record for record in found if record)

    def delete(self, id: str) -> None:
        """Forget it."""
        for path in (self.marker(id), self.marker(id, "pids"), self._path(id)):
            remove(path)

    def marker(self, id: str, control: str = "mem") -> Path:
        """The file that is there once a session was over its memory, or had too many processes."""
        return self._folder / (f"{id}.over" if control == "mem" else f"{id}.over-{control}")

    def cpus(self) -> list[int]:
        """The CPUs that limits groups hold, one entry for each limits group and CPU."""
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
