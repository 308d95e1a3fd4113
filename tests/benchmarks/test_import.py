"""What `import jupyter_sessions` costs a kernel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

ROUNDS = 9
MOST = 0.3
"""Of the time of `import httpx`, both over a bare interpreter."""


def seconds(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def test_import_beside_httpx(report: Callable[[str], None]) -> None:
    times: dict[str, list[float]] = {"import jupyter_sessions": [], "import httpx": [], "pass": []}
    for _ in range(ROUNDS):
        for statement, taken in times.items():
            taken.append(seconds(statement))
    ours, httpx, bare = (median(taken) for taken in times.values())
    report(
        f"import: {1000 * (ours - bare):.0f} ms over a bare interpreter, httpx {1000 * (httpx - bare):.0f} ms: "
        f"{(ours - bare) / (httpx - bare):.2f}x"
    )
    assert (ours - bare) / (httpx - bare) <= MOST
