"""Tab in bash, zsh and fish, with the scripts that `jupyter session completion` prints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_sessions.commands import parse
from jupyter_sessions.errors import InvalidRequest

BASH = """
eval "$(jupyter session completion bash)"
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=($line)
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
    _jupyter_session jupyter
    echo "${COMPREPLY[*]}"
done
"""
LINES = {
    "jupyter session re": "restart renew rename",
    "jupyter-session create --name": "--name",
    "jupyter session create python:": ":".join(map(str, sys.version_info[:2])).replace(":", "."),
    "jupyter session kernel ": "add list rm",
    "jupyter session info 'a b' ": "",
    "jupyter lab --x": "",
}


@pytest.fixture
def path(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are found."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("path")
def test_bash() -> None:
    done = subprocess.run(["bash", "-c", BASH, "bash", *LINES], capture_output=True, text=True, timeout=90)
    assert done.stdout.splitlines() == [*LINES.values()], done


@pytest.mark.usefixtures("path")
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish() -> None:
    script = "jupyter session completion fish | source; complete -C 'jupyter session ren'"
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True, timeout=60)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["rename", "renew"], done


@pytest.mark.usefixtures("path")
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_its_script() -> None:
    script = 'eval "$(jupyter session completion zsh)"; print $_comps[jupyter-session] $_comps[jupyter]'
    done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["_jupyter_session"] * 2, done


def test_other_shells_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="takes one of bash, zsh, fish, not 'tcsh'"):
        parse("completion tcsh")
