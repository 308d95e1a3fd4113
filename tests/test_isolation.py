"""What keeps the tests away from the user's own sessions and sees that they leave none."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.wire.places import place
from tests import isolation


def test_what_a_test_does_not_set_is_in_a_home_of_the_run() -> None:
    home = Path.home()
    assert home.parent == Path(tempfile.gettempdir()) and place().folder.is_relative_to(home)
    assert local.find() is None
    assert not [name for name in os.environ if name.startswith(("BACKEND_", "CANFAR_", "JUPYTER_"))]


def test_variables_of_the_user_are_gone_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://manager.example")
    before = Path.home()
    with contextmanager(isolation.isolated)():
        assert "BACKEND_ENDPOINT" not in os.environ and Path.home() != before
    assert os.environ["BACKEND_ENDPOINT"] == "https://manager.example" and Path.home() == before


def test_a_process_that_stays_is_told_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "LEAVE_SECONDS", 0.2)
    code = "import sys; sys.stdin.read()"
    expected = pytest.raises(AssertionError, match="left these processes behind")
    with expected as told, contextmanager(isolation.isolated)():
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert f"{process.pid} {sys.executable} -c {code}" in str(told.value)
    process.communicate()
    assert process.returncode == -9
