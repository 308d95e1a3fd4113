"""The contract for drivers of limits.

A limits group (base.py) consists of parts, because a machine may offer control groups for memory but not for the CPU.
A `Driver` creates each part from a `PartRecord` that is on disk before anything is created, so that every later
manager finds the part again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.manager.runtime.process import Process

CONTROLS = ("cpu", "mem", "pids")


class LimitsError(LaunchFailed):
    """Limits could not be set. The message is a sentence with the file and the reason."""


class LimitsGroupGone(LimitsError):
    """The limits group does not exist."""


class Usage(msgspec.Struct, frozen=True):
    """The CPU time in ms since the limits group was created, and the current and peak memory in bytes.

    Memory excludes file contents that the kernel can drop at once; the peak may include them.
    """

    cpu_ms: int
    mem: int
    mem_peak: int


class PartRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The place of a part of a limits group: folders by controller, and CPUs. `controls` names what the part limits.

    `pids` is the most processes and threads at a time, 0 in records of early versions.
    """

    driver: str
    controls: list[str] = []
    folders: dict[str, str] = {}
    affinity: list[int] | None = None
    pids: int = 0


class Part(ABC):
    """One driver's part of a limits group. A method returns None if the next part should answer."""

    attach: Sequence[str] = ()
    most_pids = 0
    """The most processes and threads, 0 if the part does not limit them."""

    def cpu_ms(self) -> int | None:
        """Return the CPU time since the limits group was created."""
        return None

    def memory(self) -> tuple[int, int] | None:
        """Return the current and the peak memory in bytes."""
        return None

    def pids(self) -> list[int] | None:
        """Return the processes inside."""
        return None

    def over_memory(self) -> bool:
        """Return whether a process inside was killed for its memory."""
        return False

    def over_pids(self) -> bool:
        """Return whether the group was ended because it had too many processes and threads."""
        return False

    def adopt(self, process: Process) -> None:
        """Register a process that runs inside."""
        del process

    def service_attach(self, name: str) -> Sequence[str]:
        """Create what distinguishes a service's processes. Return the files into which they write their pids."""
        del name
        return self.attach

    def adopt_service(self, name: str, process: Process) -> None:
        """Register a process of a service that runs inside."""
        del name
        self.adopt(process)

    def service_over_memory(self, name: str) -> bool:
        """Return whether a process of a service, and not the session, was killed for the session's memory."""
        del name
        return False

    def remove_service(self, name: str) -> None:
        """Remove what `service_attach` created, after all processes of the service have ended."""
        del name

    @abstractmethod
    def exists(self) -> bool:
        """Return False if the part was removed by another program."""

    @abstractmethod
    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to everything inside, except resource trackers with `spare`. Return True if nothing was left."""

    @abstractmethod
    def remove(self) -> bool:
        """Remove the part. Return False while processes live in it."""


class Driver(ABC):
    """A way to limit resources that works on this machine.

    `means` describes for people how it limits each of its `CONTROLS`.
    """

    means: dict[str, str]

    @abstractmethod
    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """Return the record of a session's part without creating anything."""

    @abstractmethod
    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Create a part and set its limits: `cpu` in cores, `mem` in bytes, others by the record. Errors: LimitsError."""

    def leftovers(self) -> Iterable[tuple[str, PartRecord]]:
        """Return session id and part of everything that exists under this manager's name."""
        return ()
