"""The end of the server that tests have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_sessions.wire.places import STATE_VARIABLE

if TYPE_CHECKING:
    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension


async def test_it_ends_in_the_environment_of_the_test(
    rest: Rest, extension: SessionsExtension, machine: Path
) -> None:
    """Else what it watches is the user's own state folder."""
    server = extension.serverapp
    end = server._cleanup

    async def look_and_end() -> None:
        assert os.environ.get(STATE_VARIABLE) == str(machine)
        await end()

    server._cleanup = look_and_end  # Not by monkeypatch, which may be undone by then.
