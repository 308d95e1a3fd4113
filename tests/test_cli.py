"""`jupyter session` as a person types it, as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def session(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command, found beside this Python as `jupyter session` finds it."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("jupyter-session")), *words]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, cwd=tmp_path)

    return run


def test_sessions(session: Run) -> None:
    made = session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines()[-1] == "demo is RUNNING: python3 · 0.5 CPU · 256 MiB on this machine"
    assert "demo" in session("ps").stdout
    (row,) = json.loads(session("ps", "--json").stdout)
    assert row["name"] == "demo"
    assert session("rm", "demo").stdout == "demo is TERMINATED.\n"
    assert session("ps").stdout == "There are no sessions. `jupyter session create python` makes one.\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["info", "nowhere"], 1, "There is no session 'nowhere'. `jupyter session ps` lists"),
        (["frob"], 2, "jupyter session: there is no 'frob'."),
        (["kernel"], 2, "There are: kernel add, kernel list, kernel rm."),
        (["kernel", "add"], 2, "usage: jupyter session kernel add"),
        (["kernel", "add", "A b"], 2, "name: 'A b' cannot be a kernel's name."),
        (["kernel", "add", "some", "--image", "pyton"], 2, "The nearest is 'python'."),
        (["kernel", "add", "some", "--session", "nowhere"], 1, "There is no session 'nowhere'."),
        (["kernel", "rm", "python3"], 1, "There is no kernel 'python3' on a session."),
    ],
)
def test_refusals(session: Run, words: list[str], code: int, said: str) -> None:
    done = session(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_kernels(session: Run, tmp_path: Path) -> None:
    assert session("kernel", "list").stdout.startswith("No kernel runs in sessions.")
    made = session("kernel", "add", "small", "--image", "python", "--cpu", "1", "--mem", "1g")
    assert (made.returncode, made.stdout) == (0, "The kernel small is there: Python · 1 CPU · 1 GiB\n")
    session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m")
    assert session("kernel", "add", "visit", "--session", "demo", "--display-name", "Mine").returncode == 0
    listed = {kernel["name"]: kernel for kernel in json.loads(session("kernel", "list", "--json").stdout)}
    assert listed["small"]["resources"] == {"cpu": "1", "mem": "1g"}
    assert (listed["visit"]["display_name"], listed["visit"]["session"]) == ("Mine", "local/demo")
    seen = subprocess.run(
        [sys.executable, "-m", "jupyter_client.kernelspecapp", "list", "--json"],
        capture_output=True,
        text=True,
    )
    spec = json.loads(seen.stdout)["kernelspecs"]["small"]["spec"]
    assert spec["metadata"]["kernel_provisioner"]["provisioner_name"] == "jupyter-sessions"
    assert session("kernel", "rm", "small", "visit").returncode == 0
    assert json.loads(session("kernel", "list", "--json").stdout) == []


def test_the_console_visits_a_session(session: Run, tmp_path: Path) -> None:
    pytest.importorskip("jupyter_console")
    session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m")
    leader, follower = pty.openpty()
    program = [sys.executable, "-m", "jupyter_sessions.cli", "console", "demo"]
    env = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
    process = subprocess.Popen(
        program, stdin=follower, stdout=follower, stderr=follower, cwd=tmp_path, env=env
    )
    os.close(follower)
    type_in(
        leader, "In [", b"print(6 * 7)\r", "42\r\n", "In [", b"\x04", "exit", b"y\r", "keeping kernel alive"
    )
    assert process.wait(30) == 0
    assert json.loads(session("info", "demo", "--json").stdout)["status"] == "RUNNING"


def type_in(terminal: int, *script: str | bytes) -> None:
    """Wait for each text and type each bytes."""
    shown = ""
    for step in script:
        if isinstance(step, bytes):
            os.write(terminal, step)
            continue
        while step not in shown:
            shown += os.read(terminal, 65536).decode(errors="replace")
        shown = shown.partition(step)[2]
