"""Resource trackers: helpers of Python's multiprocessing and of joblib that remove shared memory at the end.

A tracker ignores SIGTERM and SIGINT, and cleans up when all processes that use it have ended. So these processes end
first, and the tracker gets some time.

Sources: multiprocessing/resource_tracker.py in CPython 3.8 to 3.14; joblib/externals/loky/backend/resource_tracker.py
in joblib 1.5.
"""

from __future__ import annotations

SECONDS = 2.0
"""The time that trackers get after all other processes have ended."""
_COMMAND = b"resource_tracker import main"


def is_tracker(pid: int) -> bool:
    """Return whether a process is a resource tracker; False without /proc."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as file:
            return _COMMAND in file.read(1 << 16)
    except OSError:
        return False
