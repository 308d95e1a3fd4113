"""The most processes and threads of a session; the kernel counts each thread as a process.

Source: "Process Number Controller" and "Control Group v2" of the kernel's documentation; proc(5). RLIMIT_NPROC does
not help, because it counts all processes of a user.
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
    """Return the limit for a session with `cpu` CPUs, which is at most the limit of the machine."""
    wanted = configured or max(LEAST, math.ceil(EACH_CPU * cpu))
    places = [place for name, place in cgroup.own(root).items() if name in (cgroup.UNIFIED, "pids")]
    files = [folder / _FILE for place in places for folder in place.ancestors()]
    numbers = [cgroup.read_int(file) for file in [*(root / name for name in _OF_MACHINE), *files]]
    return min([wanted, *(number for number in numbers if number)])
