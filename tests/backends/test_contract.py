"""The contract, of the backends there are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.local import Local
from jupyter_sessions.testing import BackendContract


class TestLocal(BackendContract):
    """This machine."""

    other_image = sys.executable
    resources = {"cpu": "0.1", "mem": "128m"}
    bad_names = ("", "abc", "a b c", "-abc", "x" * 65)
    lasting = {"time_limit": "1h"}

    @pytest.fixture
    def backend(self, machine: Path) -> Backend:
        """This machine."""
        return Local("local")


class TestToy(BackendContract):
    """A third party's, with the four methods alone."""

    runs_commands = False
    bad_names = ("", "Upper", "x" * 21)
    kind = "Toy"

    @pytest.fixture
    def backend(self, toys: Path) -> Backend:
        """The toy."""
        made: Backend = getattr(importlib.import_module("toy_sessions"), self.kind)("toybox")
        return made


class TestForgetful(TestToy):
    """One that knows nothing of sessions that have ended."""

    kind = "Forgetful"


class TestOutside(BackendContract):
    """One that also says where its kernels are."""

    runs_commands = False
    bad_names = ("",)

    @pytest.fixture
    def backend(self, outside: Path, state: Path) -> Backend:
        """The backend of an author from outside."""
        made: Backend = importlib.import_module("outside_sessions").Outside("outside", folder=str(outside))
        return made
