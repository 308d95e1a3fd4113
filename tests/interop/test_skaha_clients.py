"""The real `skaha` and `canfar` clients, unmodified, against the manager's Skaha face.

Each runs in its own environment as a process of its own, pointed here by `jupyter session env` alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_sessions import Session
from tests.interop.venvs import CANFAR, SKAHA, Venv
from tests.waiting import wait_until

IMAGE = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
WORDS = "print(*map(__import__('os').environ.get,('REPLICA_ID','REPLICA_COUNT','WORD','skaha_sessionid')))"
PRELUDE = f"""
import asyncio, json, os, sys, time
IMAGE = {IMAGE!r}
SAYS = {WORDS!r}
SLEEP = "__import__('time').sleep(600)"

def wait(true):
    deadline = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found

def names(rows):
    return sorted(row["name"] for row in rows)
"""


@pytest.fixture
def environ(machine: Path, tmp_path: Path) -> dict[str, str]:
    """A shell's environment after `eval "$(jupyter session env)"`, with a home and a browser of its own."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", 'eval "$(jupyter session env)"; env -0'],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    variables = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {tmp_path}/visited\n')
    browser.chmod(0o700)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "BROWSER": f"{browser} %s",
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "200",
        **{name: value for name, value in variables.items() if name.startswith("CANFAR_")},
    }


def play(venv: Venv, environ: dict[str, str], script: str, *words: str) -> Any:
    """What a script prints last, as JSON."""
    command = [venv.program("python"), "-c", PRELUDE + script, *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


SKAHA_SCRIPT = """
from skaha.context import Context
from skaha.images import Images
from skaha.overview import Overview
from skaha.session import AsyncSession, Session

# Its own default is version v0.
at = {"server": os.environ["CANFAR_URL"].rpartition("/")[0], "token": os.environ["CANFAR_TOKEN"]}
session = Session(**at)
said = {}
job = {"image": IMAGE, "cores": 1, "ram": 1, "kind": "headless", "cmd": "python"}
ids = session.create(name="Job", args="-c " + SAYS, env={"WORD": "a=b&c d"}, replicas=3, **job)
bad = session.create(name="bad", args="-c exit(3)", **job)
wait(lambda: len(session.fetch(kind="headless", status="Succeeded")) == 3)
wait(lambda: session.fetch(kind="headless", status="Error"))
said["ids"], said["bad"] = ids, bad
said["logs"] = session.logs(ids)
said["events"] = session.events(ids[0])
said["info"] = session.info([*ids, "zzzzzzzz"])
said["failed"] = names(session.fetch(status="Error"))
said["all"] = session.fetch(view="all")
said["stats"] = session.stats()
said["images"] = Images(**at).fetch(kind="notebook")
said["resources"] = Context(**at).resources()
said["up"] = Overview(**at).availability()
long = session.create(name="long", args="-c " + SLEEP, **job)
wait(lambda: session.fetch(status="Running"))
said["running"] = names(session.fetch(kind="headless", status="Running"))
said["pending_logs"] = session.logs(long)
said["destroyed"] = list(session.destroy(long + ["zzzzzzzz"]).values())
said["with"] = list(session.destroy_with("job").values())
wait(lambda: names(session.fetch()) == ["bad-1"])
said["with_error"] = list(session.destroy_with("bad", status="Error").values())
said["left"] = session.fetch()

async def more():
    session = AsyncSession(**at)
    (quick,) = await session.create(name="quick", args="-c " + SAYS, env={"WORD": "x"}, **job)
    while not (rows := await session.fetch(kind="headless", status="Succeeded")):
        await asyncio.sleep(0.1)
    logs, events = await session.logs(quick), await session.events(quick)
    stats, gone = await session.stats(), await session.destroy_with("qui")
    said["quick"] = [names(rows), logs[quick], events[0][quick], stats["cores"], gone == {quick: True}, quick]
    ids = await session.create(name="many", args="-c " + SLEEP, replicas=6, **job)
    found = await session.info(ids)
    gone = await session.destroy_with("many-", status="Running")
    gone |= await session.destroy_with("many-", status="Pending")
    gone |= await session.destroy_with("many-", status="Running")  # One may have begun in between.
    return [len(set(ids)), names(found), list(gone.values())]

said["many"] = asyncio.run(more())
wait(lambda: session.fetch() == [])
print(json.dumps(said))
"""


def test_skaha_with_every_method(environ: dict[str, str]) -> None:
    said = play(SKAHA, environ, SKAHA_SCRIPT)
    ids = said["ids"]
    assert len(ids) == 3 and all(len(one) == 8 for one in ids)
    assert said["logs"] == {one: f"{n} 3 a=b&c d {one}\n" for n, one in enumerate(ids, 1)}
    (events,) = said["events"]
    assert "Started" in events[ids[0]] and events[ids[0]].startswith("TYPE ")
    assert [row["name"] for row in said["info"]] == ["job-1", "job-2", "job-3"]
    first = said["info"][0]
    assert (first["id"], first["image"], first["type"]) == (ids[0], IMAGE, "headless")
    assert (first["status"], first["connectURL"], first["requestedRAM"]) == ("Completed", "", "1.07")
    assert said["failed"] == ["bad-1"] and {"userid", "type", "status"} <= said["all"][0].keys()
    assert said["stats"]["cores"]["cpuCoresAvailable"] > 0 and "maxRAM" in said["stats"]["ram"]
    assert IMAGE in said["images"] and said["up"] is True
    assert 1 in said["resources"]["cores"]["options"]
    assert said["running"] == ["long-1"] and list(said["pending_logs"].values()) == [""]
    assert said["destroyed"] == [True, True] and said["with"] == [True] * 3
    assert said["with_error"] == [True] and said["left"] == []
    assert said["many"] == [6, [f"many-{n}" for n in range(1, 7)], [True] * 6]
    check_quick(said["quick"], "quick-1")


def check_quick(said: list[Any], name: str) -> None:
    """What the asynchronous client said of a job that was soon done."""
    names, logs, events, cores, gone, one = said
    assert (names, logs, gone) == ([name], f"1 1 x {one}\n", True)
    assert "Started" in events and cores["cpuCoresAvailable"] > 0


SAME_SCRIPT = """
from skaha.session import Session
session = Session(server=os.environ["CANFAR_URL"].rpartition("/")[0], token=os.environ["CANFAR_TOKEN"])
ids = sys.argv[1:]
rows = session.fetch(kind="headless")
stats, everyone = session.stats(), session.fetch(view="all")
print(json.dumps([rows, session.logs(ids), session.info(ids), stats, everyone, session.destroy(ids)]))
"""


def test_our_client_says_what_skaha_says(environ: dict[str, str]) -> None:
    """Today's servers spell amounts in another way than seed 004 and our client."""
    job = {
        "image": IMAGE,
        "cores": 1,
        "ram": 1,
        "cmd": "python",
        "args": f"-c {WORDS}",
        "env": {"WORD": "a=b c"},
    }
    at = {"server": environ["CANFAR_URL"].rpartition("/")[0], "token": environ["CANFAR_TOKEN"]}
    with Session(**at) as session:
        ids = session.create(name="Job", replicas=2, **job)
        wait_until(lambda: len(session.fetch(kind="headless", status="Succeeded")) == 2)
        ours = [session.fetch(kind="headless"), session.logs(ids), session.info(ids), session.stats()]
        everyone = session.fetch(view="all")
        theirs = play(SKAHA, environ, SAME_SCRIPT, *ids)
        assert theirs[5] == dict.fromkeys(ids, True) and session.fetch(kind="headless") == []
    same = ("id", "userid", "image", "type", "status", "name", "startTime", "connectURL", "requestedCPUCores")
    for mine, other in ((ours[0], theirs[0]), (ours[2], theirs[2])):
        told = [sorted([row[key] for key in same] for row in rows) for rows in (mine, other)]
        assert told[0] == told[1]
        assert all(row.keys() >= other[0].keys() for row in mine)
    assert ours[1] == theirs[1] == {one: f"{n} 2 a=b c {one}\n" for n, one in enumerate(ids, 1)}
    assert ours[3]["cores"]["maxCores"]["cores"] == theirs[3]["cores"]["maxCores"]["cores"]
    assert {key: {*part} for key, part in ours[3].items()} == {
        key: {*part} for key, part in theirs[3].items()
    }
    assert sorted(map(str, everyone)) == sorted(map(str, theirs[4]))


CANFAR_SCRIPT = """
from canfar.context import Context
from canfar.images import Images
from canfar.overview import Overview
from canfar.sessions import AsyncSession, Session

said = {}
job = {"image": IMAGE, "kind": "headless", "cmd": "python"}
with Session() as session:
    ids = session.create(name="job", args="-c " + SAYS, env={"WORD": "x"}, replicas=2, **job)
    wait(lambda: len(session.fetch(kind="headless", status="Completed")) == 2)
    said["logs"] = [session.logs(ids)[one] for one in ids]
    said["events"] = session.events(ids[:1])[0][ids[0]]
    said["info"] = session.info(ids)
    (note,) = session.create(name="note", image="jupyter/python", kind="notebook")
    (long,) = session.create(name="long", args="-c " + SLEEP, **job)
    wait(lambda: session.fetch(kind="notebook", status="Running"))
    said["note"] = session.info(note)[0]
    session.connect(note)
    wait(lambda: session.info(long)[0]["status"] == "Running")
    time.sleep(1.1)  # Times are whole seconds.
    said["renewed"] = list(session.renew([note, long, "zzzzzzzz"]).values())
    said["after"] = session.info(note)[0]
    said["stats"] = session.stats()
    said["regex"] = list(session.destroy_with("^jo.*-2$"))
    said["prefix"] = list(session.destroy_with("jo"))
    said["ids"] = ids
    said["both"] = list(session.destroy([note, long]).values())
    wait(lambda: session.fetch() == [])
    try:
        session.create(name="no way", image=IMAGE, kind="headless", cmd="true", errors="raise")
    except Exception as error:
        said["refused"] = type(error).__name__

said["up"] = Overview().availability()
said["images"] = Images().fetch()
said["resources"] = Context().resources()

async def more():
    async with AsyncSession() as session:
        (quick,) = await session.create(name="quick", args="-c " + SAYS, env={"WORD": "x"}, **job)
        while not (rows := await session.fetch(kind="headless", status="Completed")):
            await asyncio.sleep(0.1)
        logs, events = await session.logs(quick), await session.events(quick)
        stats, gone = await session.stats(), await session.destroy_with("qui")
        said["quick"] = [names(rows), logs[quick], events[0][quick], stats["cores"], gone == {quick: True}, quick]
        ids = await session.create(name="many", args="-c " + SLEEP, replicas=6, **job)
        found = await session.info(ids)
        gone = await session.destroy(ids)
        return [names(found), list(gone.values())]

said["many"] = asyncio.run(more())
print(json.dumps(said, default=str))
"""


def test_canfar_with_every_method(environ: dict[str, str], tmp_path: Path) -> None:
    said = play(CANFAR, environ, CANFAR_SCRIPT)
    assert said["logs"] == [f"{n} 2 x {one}\n" for n, one in enumerate(said["ids"], 1)]
    assert said["events"].splitlines()[0].split() == ["TYPE", "REASON", "MESSAGE", "FIRST-TIME", "LAST-TIME"]
    assert {row["status"] for row in said["info"]} == {"Completed"}
    assert (said["note"]["image"], said["note"]["type"]) == (IMAGE, "notebook")
    assert said["renewed"] == [True, True, False]
    assert said["after"]["expiryTime"] > said["note"]["expiryTime"]
    assert said["regex"] == [said["ids"][1]] and said["prefix"] == [said["ids"][0]]
    assert said["both"] == [True, True] and said["refused"] == "SessionRequestError"
    assert said["up"] is True and said["resources"]["gpus"]["options"] is not None
    assert said["many"] == [[f"many-{n}" for n in range(1, 7)], [True] * 6]
    check_quick(said["quick"], "quick")
    assert (tmp_path / "visited").read_text().split() == [said["note"]["connectURL"]]


def test_canfar_s_command_line(environ: dict[str, str], tmp_path: Path) -> None:
    def canfar(*words: str, code: int = 0) -> str:
        command = [CANFAR.program("canfar"), *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def rows(*words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(canfar("ps", *words, "-o", "json").partition("]\n")[0] + "]")
        return found

    assert "No pending or running sessions" in canfar("ps")
    job = ["create", "headless", IMAGE, "-n", "cli", "-r", "2", "-c", "1", "-m", "1", "-e", "W=a=b"]
    dry = canfar(*job, "--dry-run", "--", "env")
    assert "Dry run complete" in dry and "CPUs: 1" in dry and "Memory: 1GB" in dry
    assert rows("-a") == []
    ids = json.loads(canfar(*job, "-o", "json", "--", "env"))
    wait_until(lambda: [row["status"] for row in rows("-a")] == ["Completed"] * 2)
    asked = {(row["requestedCPUCores"], row["requestedRAM"]) for row in rows("-a")}
    assert asked == {("1", "1.07")}
    assert {row["id"] for row in rows("-a", "-s", "Succeeded", "-k", "headless")} == set(ids)
    assert canfar("ps", "-a", "-q").split()[-2:] == [row["id"] for row in rows("-a")]
    assert "REPLICA_ID=2" in canfar("logs", ids[1]) and "W=a=b" in canfar("logs", ids[1])
    assert "Completed" in canfar("info", ids[0]) and "Started" in canfar("events", ids[0])
    assert "python:3" in canfar("image", "ls") and "python:3" in canfar("image", "ls", "-k", "notebook")
    assert "Total" in canfar("stats") and "1.5.2" in canfar("version")
    canfar("create", "headless", "local/jupyter/nothing", "-n", "no", "--", "env", code=1)
    canfar("create", "desktop", IMAGE, "-n", "no", code=1)

    (note,) = json.loads(canfar("create", "notebook", IMAGE, "-n", "note", "-o", "json"))
    wait_until(lambda: [row["status"] for row in rows("-k", "notebook")] == ["Running"])
    canfar("open", note)
    url = (tmp_path / "visited").read_text().strip()
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=30) as browser:
        page = browser.get(url, headers={"Accept": "text/html"})
        assert page.status_code == 200 and "<title>JupyterLab</title>" in page.text
        assert "token" not in str(page.url) and httpx.get(str(page.url), trust_env=False).status_code == 403
    assert "note" in canfar("info", note) and "Running" in canfar("ps")
    before = rows("-k", "notebook")[0]["expiryTime"]
    assert "Successfully renewed 1" in canfar("renew", note)
    assert rows("-k", "notebook")[0]["expiryTime"] > before
    canfar("delete", "-f", note)
    canfar("prune", "cli")
    wait_until(lambda: rows("-a") == [])
