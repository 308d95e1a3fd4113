"""How many processes the tests run in, and which tests stay together.

Tests spend most of their time waiting for kernels and servers, so all of them are run by several workers. A
single file is sooner done by this process.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

WORKERS = 2
_ALONE = ("benchmarks", "gallery", "interop", "renew_gallery")
"""Options with which tests run that measure or look, or that share a server which takes long to start."""
TOGETHER = (
    "tests/manager/core/test_minilang.py",
    "tests/manager/test_early_runs.py",
    "tests/manager/test_hostile_input.py",
    "tests/test_magics.py",
)
"""Files whose tests share a server, a kernel or the like. With groups, pytest-xdist 3.8 does not keep tests together
under pytest 9.2."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers that `-n auto`, which pyproject.toml asks for, stands for."""
    asked = {argument.partition("::")[0] for argument in config.args}
    is_one_file = len(asked) == 1 and Path(*asked).is_file()
    # Without capturing, somebody wants to see what tests print, which workers do not show.
    alone = is_one_file or config.getoption("capture") == "no" or config.getoption("collectonly")
    return 0 if alone or any(config.getoption(name) for name in _ALONE) else WORKERS


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Return what hands the tests to the workers."""
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):
    """Hands out each test by itself, but the files `TOGETHER` whole, and first, as they take longest."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path in TOGETHER else nodeid


def refuse_for_benchmarks(config: pytest.Config) -> None:
    """Stop if benchmarks would run beside each other. Errors: UsageError."""
    if config.getoption("benchmarks") and config.getoption("numprocesses"):
        raise pytest.UsageError("benchmarks run alone: leave out -n")
