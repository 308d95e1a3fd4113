"""How many processes and threads a session may have at once: the kernel counts each thread as a process.

Source: "Process Number Controller" and "Control Group v2" of the kernel's documentation; proc(5). RLIMIT_NPROC is of
no use here, as it counts all processes of a user.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

from jupyter_sessions.manager.runtime.limits import cgroup

LEAST = 4096
EACH_CPU = 256
_OF_MACHINE = ("proc/sys/kernel/pid_max", "proc/sys/kernel/threads-max")
_FILE = "pids.max"


def most_pids(cpu: Decimal, configured: int = 0, root: Path = Path("/")) -> int:
    """Return the most that a session of so many CPUs may have: as configured, but no more than the machine can have."""
    wanted = configured or max(LEAST, math.ceil(EACH_CPU * cpu))
    return min([wanted, *_of_machine(root)])


def _of_machine(root: Path) -> list[int]:
    """Return the limits of the machine and of the control groups that this process is in."""
    places = [place for name, place in cgroup.own(root).items() if name in (cgroup.UNIFIED, "pids")]
    files = [folder / _FILE for place in places for folder in place.ancestors()]
    numbers = [cgroup.read_int(file) for file in [*(root / name for name in _OF_MACHINE), *files]]
    return [number for number in numbers if number]
