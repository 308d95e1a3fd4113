"""How many processes the tests run in.

Tests spend most of their time waiting for kernels and servers, so all of them are run by several workers. A
single file is sooner done by this process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

WORKERS = 3
_ALONE = ("benchmarks", "gallery", "interop", "renew_gallery")
"""Options with which tests run that measure or look, or that share a server which takes long to start."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers that `-n auto`, which pyproject.toml asks for, stands for."""
    asked = {argument.partition("::")[0] for argument in config.args}
    is_one_file = len(asked) == 1 and Path(*asked).is_file()
    # Without capturing, somebody wants to see what tests print, which workers do not show.
    alone = is_one_file or config.getoption("capture") == "no" or config.getoption("collectonly")
    return 0 if alone or any(config.getoption(name) for name in _ALONE) else WORKERS


def refuse_for_benchmarks(config: pytest.Config) -> None:
    """Stop if benchmarks would run beside each other. Errors: UsageError."""
    if config.getoption("benchmarks") and config.getoption("numprocesses"):
        raise pytest.UsageError("benchmarks run alone: leave out -n")
