"""What limits are made of: the contract for a new driver.

A limits group (base.py) is put together of parts, since a machine may offer memory limits through control
groups but none for the CPU. Each part is made by a `Driver` from a
`PartRecord` that is on disk before anything is made, so that every later manager finds it again.
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
    """Limits could not be set; the message is a sentence that names the file and the reason."""


class LimitsGroupGone(LimitsError):
    """There is no such limits group any more, or never was."""


class Usage(msgspec.Struct, frozen=True):
    """CPU time in ms since the limits group was made, memory in bytes now and at most.

    Memory leaves out file contents that the kernel can drop at once; the peak may include them.
    """

    cpu_ms: int
    mem: int
    mem_peak: int


class PartRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a part of a limits group is: folders by controller, CPUs. `controls` are those it limits.

    `pids` is the most processes and threads at once, 0 in records of earlier versions.
    """

    driver: str
    controls: list[str] = []
    folders: dict[str, str] = {}
    affinity: list[int] | None = None
    pids: int = 0


class Part(ABC):
    """One driver's part of a limits group. What a part does not know it leaves to the next."""

    attach: Sequence[str] = ()
    most_pids = 0
    """How many processes and threads it allows; 0 if it does not limit them."""

    def cpu_ms(self) -> int | None:
        """CPU time used since the limits group was made."""
        return None

    def memory(self) -> tuple[int, int] | None:
        """Bytes in use now and at most."""
        return None

    def pids(self) -> list[int] | None:
        """The processes inside."""
        return None

    def over_memory(self) -> bool:
        """True when something inside was killed for its memory."""
        return False

    def over_pids(self) -> bool:
        """True when it was ended because it had too many processes and threads."""
        return False

    def adopt(self, process: Process) -> None:
        """Learn of a process that runs inside."""
        del process

    def service_attach(self, name: str) -> Sequence[str]:
        """Make what one service's processes are told apart by; the files into which they write their pids."""
        del name
        return self.attach

    def adopt_service(self, name: str, process: Process) -> None:
        """Learn of a process of a service that runs inside."""
        del name
        self.adopt(process)

    def service_over_memory(self, name: str) -> bool:
        """True when something of a service was killed for the session's memory, and not the session."""
        del name
        return False

    def remove_service(self, name: str) -> None:
        """Take away what `service_attach` made, once nothing of the service lives."""
        del name

    @abstractmethod
    def exists(self) -> bool:
        """False when it was removed behind our back."""

    @abstractmethod
    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to all inside, with `spare` not to resource trackers; True when none was left."""

    @abstractmethod
    def remove(self) -> bool:
        """Take it away; False while something lives in it."""


class Driver(ABC):
    """One means of limiting, found to work on this machine.

    `means` says for each of `CONTROLS` that it limits how it does, in words for people.
    """

    means: dict[str, str]

    @abstractmethod
    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """Decide where the part for a session will be; makes nothing."""

    @abstractmethod
    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Make it and set its limits: `cpu` in cores, `mem` in bytes, and those of the record. Errors: LimitsError."""

    def leftovers(self) -> Iterable[tuple[str, PartRecord]]:
        """Session id and part of all that is there under our name, by looking."""
        return ()
