"""The contract, of our Skaha backend on this machine's own Skaha face."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.testing import BackendContract


class TestSkahaFace(BackendContract):
    """Batch sessions, for a notebook server takes seconds to begin."""

    image = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
    resources = {"cpu": "0.1", "mem": "128m"}
    bad_names = ("", "a_b", "-abc", "x" * 64)
    unknown_id = "zzzzzzzz"
    with_kernel = {"type": "interactive", "startup_command": None, "resources": {"cpu": "1", "mem": "1g"}}
    logs_cells = False

    @pytest.fixture
    def backend(self, machine: Path) -> Backend:
        """As a person would configure it."""
        contact = local.find() or local.start()
        made = Skaha("lab", url=f"{contact.url}/skaha", token=contact.bearer())
        made.poll_seconds = 0.2
        return made

    def spec(self, backend: Backend, name: str = "", **changes: object) -> SessionSpec:
        """Something that runs on."""
        given = {"type": "batch", "startup_command": "sleep 600"} | changes
        return super().spec(backend, name, **given)

    @pytest.mark.asyncio
    async def test_a_shell_command_is_run_by_a_shell(self, place: Backend) -> None:
        command = "echo $TEST 'c  d'; exit 3"
        row = await self.create(place, startup_command=command, environ={"TEST": "a=b"})
        ended = await self.ended(place, row.id)
        assert ended is not None and ended.result == "FAILURE"
        assert (await place.logs(row.id)).splitlines()[-1] == "a=b c  d"
