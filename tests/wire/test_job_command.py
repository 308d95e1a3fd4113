"""A command that waits for its files and for its results to be fetched, run by a real shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from jupyter_sessions.wire.job_command import unwrapped, wrapped
from tests.waiting import wait_until

COMMANDS = ["true", "a\nb", "(\nx\n)", "echo '\n)\ncode=$?\n'", "printf '%s' \"50%\"", "exit 3"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fetches", [True, False])
def test_the_command_that_was_given_is_found_again(command: str, fetches: bool) -> None:
    assert unwrapped(wrapped(command, ".mark", fetches=fetches)) == command
    assert unwrapped(command) == command


def test_it_begins_with_its_files_and_ends_once_its_results_are_fetched(tmp_path: Path) -> None:
    command = wrapped("cat input > output; exit 7", ".m", fetches=True)
    env = os.environ | {"REPLICA_ID": "2"}
    with subprocess.Popen(["/bin/sh", "-c", command], cwd=tmp_path, env=env) as process:
        (tmp_path / "input").write_text("sent")
        assert not (tmp_path / "output").exists()
        (tmp_path / ".m-sent-2").touch()
        done = tmp_path / ".m-done-2"
        wait_until(lambda: done.exists() and done.read_text() == "7\n", 20)
        assert (tmp_path / "output").read_text() == "sent" and process.poll() is None
        (tmp_path / ".m-fetched-2").touch()
        assert process.wait(20) == 7
    assert not [*tmp_path.glob(".m-*")]
