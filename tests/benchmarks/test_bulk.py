"""Very many rows and creates through a Jupyter server with the extension, and for how long its loop stops meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import httpx
import msgspec
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.manager.core import snapshots
from jupyter_sessions.manager.core.record import folder_of
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.wire.identity import here
from jupyter_sessions.wire.places import place
from tests import processes
from tests.manager.records import make_record
from tests.manager.world import contact, kill_manager, until

STORED, FIRST_MS, OF_READING = 10_000, 600, 4
"""On a slower machine: how many times as long as the same records take to be read off the disk alone."""
CREATES, AT_ONCE, CREATES_PER_SECOND, OF_BARE = 400, 200, 200, 0.25
"""On a slower machine: the share of what the server makes of requests that ask for next to nothing."""
STOP_MS = 100
"""Of CPU time, so that it is the same on a busy machine."""
WATCH = """
import asyncio.base_events, gc, os, time
turn, collecting, collected = asyncio.base_events.BaseEventLoop._run_once, [], [0.0]
def watched(loop):
    began, collected[0] = time.thread_time(), 0.0
    turn(loop)
    taken = time.thread_time() - began - collected[0]
    if taken > 0.01:
        with open(os.path.join(os.path.dirname(__file__), str(os.getpid())), "a") as file:
            print(time.time(), 1000 * taken, file=file)
def count(phase, info):
    if phase == "start":
        collecting.append(time.thread_time())
    elif info["generation"] == 2:
        collected[0] += time.thread_time() - collecting.pop()
asyncio.base_events.BaseEventLoop._run_once = watched
gc.callbacks.append(count)
"""
"""Without full collections of garbage: those look through all that the server has loaded, whoever asks for what."""


class Watched:
    """Notes the long turns of the loops of processes that are started meanwhile; what waits costs no time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(WATCH)
        self.env = {"PYTHONPATH": str(folder)}

    def longest(self, pid: int, since: float) -> float:
        """The longest turn of a process's loop since a moment, in ms."""
        file = self.folder / str(pid)
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return max((float(taken) for when, taken in lines if float(when) >= since), default=0.0)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """What is started by this process, or by one with `env`, is watched."""
    made = Watched(tmp_path / "watched")
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    return made


@pytest.fixture
def full(state: Path) -> Iterator[Path]:
    """A state folder as a manager with very many sessions leaves it when it crashes."""
    store = Store(state / "sessions.db")
    environ = {f"VARIABLE_{number}": "x" * 60 for number in range(60)}
    for number in range(STORED):
        record = make_record(f"stored-{number:05}")
        record.folder = folder_of(state, record.id)
        record.launch = msgspec.structs.replace(record.launch, env=environ)
        record.status = "ERROR"
        Path(record.folder).mkdir(parents=True)
        snapshots.save_record(record)
        store.save(record)
    store.set_host(here())
    store.close()
    place().live_file.touch()
    yield state
    asyncio.run(kill_manager())
    for path in (*state.glob("sessions.db*"), place().live_file):
        path.unlink(missing_ok=True)


def listed(server: processes.Server) -> tuple[float, list[SessionInfo]]:
    """How many ms a list takes, and its rows."""
    began = time.perf_counter()
    url = server.info["url"] + "jupyter-sessions/sessions"
    answer = httpx.get(url, headers=server.own, timeout=60, trust_env=False)
    taken = 1000 * (time.perf_counter() - began)
    said = msgspec.json.decode(answer.content)
    assert said["errors"] == {}, said["errors"]
    return taken, msgspec.convert(said["sessions"], list[SessionInfo])


@pytest.mark.timeout(300)
def test_first_list_of_very_many(
    full: Path, tmp_path: Path, watched: Watched, report: Callable[[str], None]
) -> None:
    began = time.perf_counter()
    with processes.server(full, tmp_path / "crashed", env=watched.env):
        while not local.find():
            time.sleep(0.01)
    started = 1000 * (time.perf_counter() - began)
    with processes.server(full, tmp_path / "again", env=watched.env) as server:
        moment = time.time()
        first, rows = listed(server)
        warm, _ = listed(server)
        time.sleep(3)  # Until the rows have gone out to all who listen.
        extension = watched.longest(server.process.pid, moment)
        manager = watched.longest(contact().identity.pid, moment)
    assert len(rows) == STORED
    began = time.perf_counter()
    store = Store(full / "sessions.db")
    assert len(store.live()) == STORED
    store.close()
    reading = 1000 * (time.perf_counter() - began)
    bound = max(FIRST_MS, OF_READING * reading)
    report(
        f"first list of {STORED} rows {first:.0f} ms (bound {bound:.0f}; reading them alone {reading:.0f}), then "
        f"{warm:.0f} ms; a server and a manager were there {started:.0f} ms after a crash"
    )
    report(
        f"meanwhile the extension's loop stopped for {extension:.0f} ms, the manager's for {manager:.0f} ms "
        f"(bound {STOP_MS})"
    )
    assert first <= bound
    assert max(extension, manager) <= STOP_MS


@pytest.mark.timeout(300)
def test_first_list_after_a_crash(full: Path, tmp_path: Path, report: Callable[[str], None]) -> None:
    """Whoever asks before the next manager is there waits for it, and gets all."""
    with processes.server(full, tmp_path / "server") as server:
        taken, rows = listed(server)
    report(f"first list of {STORED} rows with the start of a manager after a crash {taken:.0f} ms")
    assert len(rows) == STORED


@pytest.mark.timeout(300)
def test_many_creates(state: Path, tmp_path: Path, watched: Watched, report: Callable[[str], None]) -> None:
    with processes.server(state, tmp_path / "server", env=watched.env) as server:
        (this,) = server.ask("GET", "jupyter-sessions/backends?backend=local")["backends"]
        total = this["capacity"]["cpu"]["total"]
        taker = server.running("takes-all", resources={"cpu": total, "mem": "256m"})
        bare = asyncio.run(rate(server, 10, "GET", lambda number: None))
        ten = asyncio.run(rate(server, 10, "POST", spec("ten", total)))
        moment = time.time()
        many = asyncio.run(rate(server, AT_ONCE, "POST", spec("many", total)))
        asyncio.run(until(lambda: len(listed(server)[1]) == 2 * CREATES + 1))
        extension = watched.longest(server.process.pid, moment)
        manager = watched.longest(contact().identity.pid, moment)
        for row in [*listed(server)[1]]:
            if row.id != taker["id"]:
                server.ask("DELETE", f"jupyter-sessions/sessions/local/{row.id}?forced=true")
    bound = min(CREATES_PER_SECOND, OF_BARE * bare)
    report(
        f"{ten:.0f} creates a second by ten at once, {many:.0f} by {AT_ONCE} (bound {bound:.0f}; the server answers "
        f"{bare:.0f} requests for next to nothing); meanwhile the extension's loop stopped for {extension:.0f} ms, the "
        f"manager's for {manager:.0f} ms (bound {STOP_MS})"
    )
    assert ten >= bound
    assert max(extension, manager) <= STOP_MS


def spec(name: str, cpus: str) -> Callable[[int], object]:
    """What is asked for: all of the machine, so that it waits."""
    resources = {"cpu": cpus, "mem": "256m"}
    return lambda number: {"name": f"{name}-{number:04}", "image": "python3", "resources": resources}


async def rate(server: processes.Server, clients: int, method: str, body: Callable[[int], object]) -> float:
    """How many requests the extension answers a second."""
    numbers = iter(range(CREATES))
    url = server.info["url"] + ("jupyter-sessions/sessions" if method == "POST" else "jupyter-sessions")

    async def ask(client: aiohttp.ClientSession) -> None:
        for number in numbers:
            data = msgspec.json.encode(body(number)) if method == "POST" else None
            async with client.request(method, url, data=data) as answer:
                assert answer.ok, await answer.text()
                await answer.read()

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(headers=server.own, connector=connector) as client:
        began = time.perf_counter()
        await asyncio.gather(*(ask(client) for _ in range(clients)))
        return CREATES / (time.perf_counter() - began)
