"""Verbs that reach out of the list: a browser, the session manager, and the end of it all. As processes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.backends.relay_client import start_helper
from tests import processes
from tests.waiting import wait_until

PROGRAM = str(Path(sys.executable).with_name("jupyter-session"))
SMALL = ("--cpu", "0.5", "--mem", "256m")


def session(env: dict[str, str], folder: Path, *words: str, typed: str = "") -> Any:
    """What `jupyter session …` does."""
    return subprocess.run(
        [PROGRAM, *words], env=env, input=typed, capture_output=True, text=True, timeout=90, cwd=folder
    )


def test_open_leads_a_browser_to_the_service(machine: Path, tmp_path: Path) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\ncat "${{1#file://}}" > {seen}\n')
    browser.chmod(0o700)
    env = processes.environment(machine, tmp_path, BROWSER=str(browser), COLUMNS="200")
    assert session(env, tmp_path, "create", "python", "-t", "demo", *SMALL).returncode == 0
    without = session(env, tmp_path, "open", "demo")
    assert without.returncode == 1 and "`jupyter lab` starts one" in without.stderr
    with processes.server(machine, tmp_path) as server:
        done = session(env, tmp_path, "open", "demo", "jupyter")
        address = done.stdout.rstrip("\n").partition("browser: ")[2]
        assert address.startswith(server.info["url"]) and processes.TOKEN not in done.stdout, done
        wait_until(seen.exists)
        target = seen.read_text().partition("href='")[2].partition("'")[0]
        assert target == f"{address}?token={processes.TOKEN}"
        page = httpx.get(target, follow_redirects=True, timeout=60, trust_env=False)
        assert page.status_code == 200, page.text
    pages = [*(tmp_path / "runtime").glob("jupyter_sessions-open-*.html")]
    assert [page.stat().st_mode & 0o777 for page in pages] == [0o600]


@pytest.mark.usefixtures("state")
def test_manager_and_uninstall(state: Path, tmp_path: Path) -> None:
    env = processes.environment(state, tmp_path, COLUMNS="200", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "No session manager runs." in session(env, tmp_path, "manager", "status").stdout
    session(env, tmp_path, "create", "python", "-t", "demo", *SMALL)
    session(env, tmp_path, "kernel", "add", "mine", "--session", "demo")
    before = json.loads(session(env, tmp_path, "manager", "status", "--json").stdout)
    assert before["running"] and before["sessions"] == 1 and Path(before["log"]).exists()
    done = session(env, tmp_path, "manager", "restart")
    after = json.loads(session(env, tmp_path, "manager", "status", "--json").stdout)
    assert done.stdout == f"The session manager runs as process {after['pid']} now.\n"
    assert after["pid"] != before["pid"] and after["sessions"] == 1
    answer = session(env, tmp_path, "run", "-q", "-t", "demo", "-c", "6 * 7", "python")
    assert answer.stdout == "42\n", "the session goes on"

    refused = session(env, tmp_path, "uninstall", typed="n\n")
    assert refused.stdout.endswith("Nothing is removed.\n") and local.find() is not None
    for line in ("the session demo, which ends", "the kernel mine", str(state)):
        assert line in refused.stdout
    done = session(env, tmp_path, "uninstall", typed="yes\n")
    assert done.returncode == 0 and "Your own configuration files" in done.stdout, done
    assert not state.exists() and not (tmp_path / "data" / "kernels" / "mine").exists()
    assert "Nothing is left here" in session(env, tmp_path, "uninstall").stdout
    state.mkdir(mode=0o700, exist_ok=True)


def test_uninstall_leaves_peoples_own_files(state: Path, tmp_path: Path) -> None:
    env = processes.environment(state, tmp_path, COLUMNS="200", XDG_CACHE_HOME=str(tmp_path / "cache"))
    work = state / "sessions" / str(uuid4()) / "work"
    for own in (state / "thesis.tex", state / "sessions" / "mine" / "notes", work / "result.csv"):
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("precious")
    (work.parent / "record.json").touch()
    (state / "sessions" / str(uuid4()) / "work").mkdir(parents=True)
    (tmp_path / "cache" / "jupyter_sessions" / "environments" / "one").mkdir(parents=True)
    page = tmp_path / "runtime" / "jupyter_sessions-open-1.html"
    page.touch()
    session(env, tmp_path, "create", "python", "-t", "demo", *SMALL)
    done = session(env, tmp_path, "uninstall", "--yes")
    assert done.returncode == 0 and f"Files of a session stay: {work}\n" in done.stdout, done
    assert "environments that were built" in done.stdout
    left = [str(path.relative_to(state)) for path in state.rglob("*") if path.is_file()]
    name = work.parent.name
    assert sorted(left) == sorted(["thesis.tex", "sessions/mine/notes", f"sessions/{name}/work/result.csv"])
    assert {path.name for path in (state / "sessions").iterdir()} == {"mine", name}
    assert not (tmp_path / "cache" / "jupyter_sessions" / "environments").exists() and not page.exists()
    assert "Nothing is left here" in session(env, tmp_path, "uninstall").stdout


def test_uninstall_ends_the_process_that_relays_notebooks(state: Path, tmp_path: Path) -> None:
    env = processes.environment(state, tmp_path, COLUMNS="200", XDG_CACHE_HOME=str(tmp_path / "cache"))
    contact = start_helper()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(contact.socket)  # A helper with a client does not end by itself.
        done = session(env, tmp_path, "uninstall", "--yes")
    assert done.returncode == 0 and "the process that relays notebooks" in done.stdout, done
    assert not contact.identity.alive() and not state.exists()
    state.mkdir(mode=0o700)
