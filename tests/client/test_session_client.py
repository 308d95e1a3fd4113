"""`Session` and `AsyncSession` as seed 004 has them: on this machine's backend, and straight at a Skaha server."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions import AsyncSession, Session
from jupyter_sessions.client.blocking import background
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    BackendUnavailable,
    InvalidRequest,
    NotRunning,
    SessionErrors,
    SessionNotFound,
    UnknownBackend,
)
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.access import VARIABLE, server_file
from tests.waiting import wait_until

SIGNATURES = {
    "create": {
        "name": ...,
        "image": ...,
        "cores": 2,
        "ram": 4,
        "kind": "headless",
        "gpu": None,
        "cmd": None,
        "args": None,
        "env": None,
        "replicas": 1,
    },
    "destroy": {"ids": ...},
    "destroy_with": {"prefix": ..., "kind": "headless", "status": "Succeeded"},
    "fetch": {"kind": None, "status": None, "view": None},
    "info": {"ids": ...},
    "logs": {"ids": ...},
    "stats": {},
}
"""The methods of seed 004, with the defaults of their parameters."""
KEYS = {
    "id",
    "userid",
    "image",
    "type",
    "status",
    "name",
    "startTime",
    "connectURL",
    "requestedRAM",
    "requestedCPUCores",
    "requestedGPUCores",
    "coresInUse",
    "ramInUse",
}
"""The keys of seed 004's rows."""
SLEEP = {"cores": 1, "ram": 1, "cmd": "sleep", "args": "600"}


@pytest.fixture(params=["local", "backendai", "server"])
def arguments(
    request: pytest.FixtureRequest, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The arguments of a client: of this machine's backend, of one that has the manager for a remote one, and of Skaha."""
    if request.param == "local":
        return {"backend": "local"}

    async def environment() -> dict[str, str]:
        service = SessionService(JupyterSessions())
        try:
            return await service.backend("local").client_environment()
        finally:
            await service.close()

    found = asyncio.run(environment())
    if request.param == "server":
        return {"server": found["CANFAR_URL"].rpartition("/")[0], "token": found["CANFAR_TOKEN"]}
    lab = {
        "type": "backendai",
        "endpoint": found["BACKEND_ENDPOINT"],
        "access_key": found["BACKEND_ACCESS_KEY"],
        "secret_key": found["BACKEND_SECRET_KEY"],
    }
    config = {"JupyterSessions": {"backends": {"lab": lab}}}
    (tmp_path / "jupyter_sessions_config.json").write_text(json.dumps(config))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    return {"backend": "lab"}


@pytest.fixture
def image(arguments: dict[str, Any]) -> str:
    """An image by the name that the server has for it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return "python" if "backend" in arguments else f"local/jupyter/python:{version}"


@pytest.fixture
def session(arguments: dict[str, Any]) -> Iterator[Session]:
    """A client."""
    with Session(**arguments) as client:
        yield client


@pytest.mark.parametrize("kind", [Session, AsyncSession])
@pytest.mark.parametrize("method", SIGNATURES)
def test_the_signatures_are_those_of_the_seed(kind: type, method: str) -> None:
    function = getattr(kind, method)
    found = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.kind == one.POSITIONAL_OR_KEYWORD
    ]
    assert found.pop(0).name == "self"
    assert [one.name for one in found] == [*SIGNATURES[method]]
    defaults = {name: default for name, default in SIGNATURES[method].items() if default is not ...}
    assert {one.name: one.default for one in found if one.name in defaults} == defaults
    assert inspect.iscoroutinefunction(function) == (kind is AsyncSession) and inspect.getdoc(function)


def test_the_examples_of_the_seed(session: Session, image: str) -> None:
    ids = session.create(
        name="test",
        image=image,
        cores=1,
        ram=1,
        kind="headless",
        cmd="env",
        env={"TEST": "test"},
        replicas=2,
    )
    assert len(ids) == 2 and {type(one) for one in ids} == {str}
    wait_until(lambda: {row["status"] for row in session.info(ids)} == {"Completed"})
    rows = [row for row in session.fetch(kind="headless") if row["id"] in ids]
    assert {row["id"]: row["name"] for row in rows} == {ids[0]: "test-1", ids[1]: "test-2"}
    for row in rows:
        assert row.keys() >= KEYS and {type(row[key]) for key in KEYS} == {str}
        assert (row["type"], row["requestedRAM"], row["requestedCPUCores"]) == ("headless", "1G", "1")
        assert row["requestedGPUCores"] == "<none>" and row["startTime"].endswith("Z")
    assert {*map(tuple, session.fetch(kind="headless", view="all"))} == {
        ("userid", "type", "status", "startTime")
    }
    assert session.fetch(kind="desktop", view="all") == []
    assert [row["id"] for row in session.info(session_id=ids[0])] == ids[:1]
    assert [row["id"] for row in session.info(id=ids)] == ids
    logs = session.logs(id=ids)
    assert [
        {"TEST=test", f"REPLICA_ID={number}", "REPLICA_COUNT=2"} <= {*logs[one].split("\n")}
        for number, one in enumerate(ids, 1)
    ] == [True, True]
    assert [*session.logs(id=ids[1])] == ids[1:]
    ((one, events),) = [*session.events(ids[0])[0].items()]
    assert one == ids[0] and len(events.splitlines()) > 2
    assert session.destroy_with(prefix="test", kind="desktop") == {}
    assert session.destroy_with(prefix="test", kind="headless", status="Running") == {}
    assert session.destroy_with(prefix="test").items() >= dict.fromkeys(ids, True).items()


def test_sessions_that_run(session: Session, image: str) -> None:
    (made,) = session.create("run", image, **SLEEP)
    wait_until(lambda: session.fetch(status="Running"))
    (row,) = session.fetch("headless", "running")
    assert (row["id"], row["name"]) == (made, "run-1")
    stats = session.stats()
    assert stats["instances"] == {"session": 0, "desktopApp": 0, "headless": 1, "total": 1}
    assert stats["cores"]["requestedCPUCores"] == 1 <= stats["cores"]["coresAvailable"]
    assert stats["cores"]["maxCores"]["withRam"] == stats["ram"]["maxRAM"]["ram"]
    wait_until(lambda: session.info(made)[0]["ramInUse"] != "<none>")
    can_renew = session.backend != "lab"  # Managers of Backend.AI renew by use.
    assert session.renew([made, "zzzzzzzz"]) == {made: can_renew, "zzzzzzzz": False}
    assert session.destroy(ids=[made, "zzzzzzzz"]) == {made: True, "zzzzzzzz": False}
    wait_until(lambda: not session.fetch(status="Running"))


def test_all_are_tried_before_an_error(session: Session, image: str) -> None:
    (made,) = session.create("one", image, **SLEEP)
    with pytest.raises(SessionErrors, match="1 of 2 sessions failed") as caught:
        session.info([made, "zzzzzzzz"])
    assert [row["id"] for row in caught.value.results] == [made]
    assert isinstance(caught.value.errors["zzzzzzzz"], SessionNotFound)
    assert [row["id"] for row in session.info([made, "zzzzzzzz"], errors="ignore")] == [made]
    assert session.logs(["zzzzzzzz"]) == {"zzzzzzzz": ""}
    with pytest.raises(SessionErrors, match=r"1 of 2 sessions failed\. A session 'one-1' exists") as caught:
        session.create("one", image, replicas=2, **SLEEP)
    assert len(caught.value.results) == 1 and [*caught.value.errors] == [1]
    assert session.create("one", image, errors="ignore", **SLEEP) == []
    with pytest.raises(SessionErrors, match="no page") as caught:
        session.connect(made)
    assert isinstance(caught.value.errors[made], NotRunning)


def test_the_page_of_a_notebook(session: Session, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if session.server is None:
        pytest.skip("without a Jupyter server, sessions of a backend have no page")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    (made,) = session.create("note", image, cores=1, ram=1, kind="notebook")
    wait_until(lambda: session.info(made)[0]["status"] == "Running")
    session.connect(made)
    (row,) = session.fetch(kind="notebook")
    assert opened == [row["connectURL"]] and made in opened[0]


def test_a_prefix_in_another_case_is_told(session: Session, image: str) -> None:
    session.create("one", image, **SLEEP)
    wait_until(lambda: session.fetch(status="Running"))
    with pytest.warns(UserWarning, match="begins with 'One', but 'one-1'"):
        assert session.destroy_with("One", status="Running") == {}


def test_the_session_that_it_runs_in_is_left_out_of_bulk_ends(
    session: Session, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = session.create("some", image, replicas=2, **{**SLEEP, "cores": 0.5})
    wait_until(lambda: len(session.fetch(status="Running")) == 2)
    monkeypatch.setenv("BACKENDAI_SESSION_ID", here)
    assert session.destroy_with("some", status="Running") == {other: True}


@pytest.mark.asyncio
async def test_in_a_running_loop_and_awaited(arguments: dict[str, Any], image: str) -> None:
    with Session(**arguments) as session:
        (made,) = session.create("both", image, **SLEEP)  # As in a notebook, whose kernel runs a loop.
        async with AsyncSession(**arguments) as client:
            assert [row["id"] for row in await client.info(made)] == [made]
            assert [row["id"] for row in session.info(made)] == [made]
            assert await client.destroy(made) == {made: True}


def test_one_object_in_several_loops_and_threads(machine: Path) -> None:
    client, session = AsyncSession("local"), Session("local")
    assert [asyncio.run(client.fetch(status="Pending")) for _ in range(2)] == [[], []]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(session.fetch(status="Pending"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [[]] * 4


def test_it_does_not_wait_in_the_loop_that_does_the_work(machine: Path) -> None:
    session = Session("local")

    async def inside() -> None:
        session.fetch(status="Pending")

    with pytest.raises(RuntimeError, match=r"Session\.fetch cannot wait here"):
        background().run(inside())


@pytest.mark.asyncio
async def test_it_does_not_wait_in_the_loop_of_a_server(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session("local")
    monkeypatch.setenv(VARIABLE, str(machine / server_file(os.getpid())))
    with pytest.raises(RuntimeError, match="the asynchronous class"):
        session.fetch(status="Pending")
    assert await asyncio.to_thread(session.fetch, status="Pending") == []


def test_wrong_arguments_are_named(machine: Path) -> None:
    with pytest.raises(InvalidRequest, match="Both a backend and a server"):
        Session("local", server="http://127.0.0.1:9/skaha")
    with pytest.raises(UnknownBackend, match="nowhere"):
        Session("nowhere").fetch(status="Pending")
    with pytest.raises(InvalidRequest, match="0 replicas"):
        Session("local").create("zero", "python", replicas=0)
    with pytest.raises(TypeError, match="ids of sessions are missing"):
        Session("local").info()
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        Session(server="http://127.0.0.1:9/skaha", token="t").fetch(status="Pending")


SCRIPT = """
import os, sys
from jupyter_sessions import Session
session = Session()
assert session.fetch(status="Pending") == []
if os.fork() == 0:
    assert session.fetch(status="Pending") == []
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
print("done")
"""


def test_in_a_script_and_after_a_fork(machine: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
