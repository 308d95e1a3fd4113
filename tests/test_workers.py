"""Which tests run beside each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """What pytest says when it is asked for this."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_one_file_needs_no_workers() -> None:
    ran = run("tests/test_durations.py::test_spans_of_time")
    assert ran.returncode == 0 and "workers" not in ran.stdout, ran.stdout


def test_benchmarks_run_alone() -> None:
    ran = run("tests/benchmarks", "--benchmarks", "-n", "2")
    assert ran.returncode == 4 and "benchmarks run alone: leave out -n" in ran.stderr, ran.stderr
