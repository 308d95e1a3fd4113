"""The contract, of our Skaha backend on this machine's own Skaha face."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.model import SessionSpec
from tests.backends.contract import BackendContract


class TestSkahaFace(BackendContract):
    """Batch sessions, for a notebook server takes seconds to begin."""

    image = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
    resources = {"cpu": "0.1", "mem": "128m"}
    bad_names = ("", "a_b", "-abc", "x" * 64)
    unknown_id = "zzzzzzzz"

    @pytest.fixture
    def backend(self, machine: Path) -> Backend:
        """As a person would configure it."""
        contact = local.find() or local.start()
        made = Skaha("lab", url=f"{contact.url}/skaha", token=contact.bearer())
        made.poll_seconds = 0.2
        return made

    def spec(self, backend: Backend, name: str = "", **changes: object) -> SessionSpec:
        """Something that runs on."""
        return super().spec(backend, name, type="batch", startup_command="sleep 600", **changes)
