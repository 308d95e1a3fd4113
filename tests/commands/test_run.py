"""`jupyter session run` as people type it: what it prints, what it reads, how it ends. On real sessions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.commands import run_code
from tests.waiting import wait_until

PROGRAM = str(Path(sys.executable).with_name("jupyter-session"))
SMALL = ("--cpu", "0.5", "--mem", "256m")
Run = Callable[..., subprocess.CompletedProcess[str]]

ECHO = """
import sys
name = input("name? ")
print("hello", name, sys.argv, __name__)
print("bye", file=sys.stderr)
sys.exit(7)
"""
PATIENT = """
import time
print("begun", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `jupyter session …`."""
    monkeypatch.setenv("COLUMNS", "200")

    def typed(*words: str, typed: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words], input=typed, capture_output=True, text=True, timeout=60, cwd=tmp_path, **more
        )

    return typed


def names(run: Run) -> list[str]:
    """The live sessions."""
    return [row["name"] for row in json.loads(run("ps", "--json").stdout)]


def test_code_is_run_and_its_session_removed(run: Run) -> None:
    done = run("run", "--rm", "-t", "once", "-c", 'print("hello world")', *SMALL, "python")
    assert (done.returncode, done.stdout) == (0, "hello world\n")
    assert done.stderr.splitlines() == [
        "once is running: python3 · 0.5 CPU · 256 MiB on this machine",
        "once has ended.",
    ]
    assert names(run) == []


def test_exit_codes_files_and_input(run: Run, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(ECHO)
    (tmp_path / "fails.py").write_text("def f():\n    1 / 0\nf()\n")
    keep = ("run", "-q", "-t", "keep", *SMALL)
    done = run(*keep, "python", "fails.py", "main.py", typed="Ada\n")
    path = str(tmp_path / "main.py")
    assert (done.returncode, done.stdout, done.stderr) == (7, f"hello Ada ['{path}'] __main__\n", "bye\n")
    failed = run(*keep, "python", "fails.py")
    assert failed.returncode == 1 and failed.stdout == ""
    assert failed.stderr.startswith("Traceback (most recent call last):\n") and "runpy" not in failed.stderr
    assert failed.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    no_input = run(*keep, "python", "main.py")
    assert no_input.returncode == 1 and no_input.stderr.endswith("EOFError\n")
    code = run(*keep, "-c", "import sys; print(1); sys.exit(5)", "python")
    assert (code.returncode, code.stdout, code.stderr) == (5, "1\n", "")
    error = run(*keep, "-c", "1/0", "python")
    assert (
        error.returncode == 1
        and error.stderr.endswith("ZeroDivisionError: division by zero\n")
        and "jupyter_sessions" not in error.stderr
    )
    assert "\x1b" not in error.stderr
    assert names(run) == ["keep"]


def test_commands_read_write_and_exit(run: Run) -> None:
    keep = ("run", "-q", "-t", "keep", *SMALL)
    command = "tr a-z A-Z; echo oops >&2; exit 9"
    done = run(*keep, "--exec", command, "python", typed="one\ntwo\n")
    assert (done.returncode, done.stdout, done.stderr) == (9, "ONE\nTWO\n", "oops\n")
    silent = run(*keep, "--exec", "echo grüße; kill -TERM $$", "python")
    assert (silent.returncode, silent.stdout) == (143, "grüße\n"), silent
    words = [PROGRAM, *keep, "--exec", "sleep 0.2; echo unasked", "python"]
    reading, writing = os.pipe()  # Nobody types anything, nor ends the input.
    open_ = subprocess.run(words, stdin=reading, capture_output=True, text=True, timeout=30)
    os.close(reading), os.close(writing)
    assert (open_.returncode, open_.stdout) == (0, "unasked\n")
    again = run("run", "--rm", "-t", "keep", *SMALL, "-c", "6 * 7", "python")
    assert again.stdout == "42\n" and again.stderr.splitlines()[-1] == "keep was there before, and stays."
    assert names(run) == ["keep"]


def test_who_only_enqueues_or_waits_too_long_runs_nothing(run: Run) -> None:
    done = run("run", "--enqueue-only", "-t", "queued", "-c", "print('never')", *SMALL, "python")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "queued is created. Nothing was run, because of `--enqueue-only`.\n"
    all_cpus = str(len(os.sched_getaffinity(0)))
    big = ("--cpu", all_cpus, "--mem", "64m", "-c", "print('never')", "python")
    late = run("run", "--max-wait", "0.3", "-t", "late", *big)
    assert (late.returncode, late.stdout) == (3, ""), late
    assert late.stderr.splitlines()[-2:] == [
        "late stays in the queue. `jupyter session rm late` cancels it.",
        "Nothing was run.",
    ]
    assert sorted(names(run)) == ["late", "queued"]
    assert run("rm", "late", "queued").returncode == 0


@pytest.fixture
def patient(machine: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that has begun and takes a minute."""
    (tmp_path / "patient.py").write_text(PATIENT)
    words = [PROGRAM, "run", "-q", "-t", "patient", *SMALL, "python", "patient.py"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_an_interrupt_reaches_the_code_and_a_second_one_ends_the_session(
    patient: subprocess.Popen[str], run: Run
) -> None:
    assert patient.stdout is not None and patient.stderr is not None
    patient.send_signal(signal.SIGINT)
    assert patient.stdout.readline() == "interrupted\n"
    assert names(run) == ["patient"]
    patient.send_signal(signal.SIGINT)
    assert patient.wait(30) == 130 and patient.stderr.read() == "patient has ended.\n"
    wait_until(lambda: names(run) == [])


def test_mistakes_are_found_before_anything_is_created(run: Run) -> None:
    for words, said in (
        (["python"], "There is nothing to run."),
        (["python", "absent.py"], "There is no file 'absent.py'."),
        (["-c", "1", "--exec", "x", "python"], "--exec cannot be combined with --code."),
    ):
        done = run("run", *words)
        assert done.returncode == 2 and said in done.stderr, done
    assert names(run) == []


def test_which_file_is_run() -> None:
    assert run_code.main_file(["b.py", "a/main.py", "c.py"], "python") == "a/main.py"
    assert run_code.main_file(["data.csv"], "python") == "data.csv"
    assert run_code.main_file(["data.csv", "x.R", "y.py"], "R") == "x.R"
    assert run_code.main_file(["data.csv", "x.txt"], "fortran") == "data.csv"
    assert run_code.script_code("x.R", "print(1)", "R") == "print(1)"
