"""Fixtures for all tests: each test that needs one gets a real manager of its own, and ends it.

* `state`: a state folder of its own, so that nothing touches the user's manager or sessions.
* `service`: all backends in this process, on that state folder; ends its sessions and manager.
* `machine`: a state folder whose manager is shared by tests and outlives them; their sessions do not.
* `shared`: all backends in this process, on that state folder.
* The mark `in_memory`: both managers run in a thread of this process, and their sessions are no processes.
* `toys`: backends of a third party, found as entry points.
* `outside`: the backend of an author who has written four methods and `kernel_endpoint`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from jupyter_sessions.backends import local, local_manager
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import SessionError
from jupyter_sessions.service import SessionService
from jupyter_sessions.testing import end_sessions
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import STATE_VARIABLE, place
from tests import isolation, workers
from tests.attacks import ATTACKS
from tests.in_memory import manager as in_memory
from tests.workers import pytest_xdist_auto_num_workers as pytest_xdist_auto_num_workers

# Processes of tests keep compiled code, as a person's do, or each one would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Who runs in the background may ignore Ctrl-C, and all that is started from there would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

CI = os.environ.get("CI") == "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Benchmarks want a quiet machine, all that can fail and others' clients much time: only when asked for."""
    parser.addoption("--benchmarks", action="store_true", help="run the benchmarks as well")
    parser.addoption("--faults", action="store_true", help="run what may befall sessions as well")
    parser.addoption("--interop", action="store_true", help="run others' clients and servers as well")
    parser.addoption("--gallery", action="store_true", help="measure all that the panel shows as well")
    parser.addoption("--renew-gallery", action="store_true", help="approve what the panel shows now")


def pytest_configure(config: pytest.Config) -> None:
    """Benchmarks run alone."""
    workers.refuse_for_benchmarks(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what was not asked for."""
    name = collection_path.name
    if name == "gallery":
        return True if not (config.getoption("gallery") or config.getoption("renew_gallery")) else None
    return True if name in ("benchmarks", "faults", "interop") and not config.getoption(name) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `attacks`."""
    root = Path(__file__).parent
    listed = {test for tests in ATTACKS.values() for test in tests}
    for item in items:
        name = getattr(item, "originalname", item.name)
        if item.path.is_relative_to(root) and f"{item.path.relative_to(root)}::{name}" in listed:
            item.add_marker(pytest.mark.security)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Say what a test awaited when its time was over: the traceback ends in the event loop."""
    outcome: Any = yield
    if call.excinfo and "Timeout" in str(call.excinfo.value):
        tasks = [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]
        outcome.get_result().sections.append(("What was awaited", "\n\n".join(map(_awaited, tasks))))


def _awaited(task: asyncio.Task[Any]) -> str:
    """The lines at which a task and what it awaits stand."""
    lines, inner = [task.get_name()], cast("Any", task.get_coro())
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "ag_frame", None)
        lines += [f"  {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"] if frame else []
        generator = next((one for one in gc.get_referents(inner) if hasattr(one, "ag_frame")), None)
        steps = frame is None and generator  # `anext` of a generator is an object of its own.
        inner = steps or getattr(inner, "cr_await", None) or getattr(inner, "ag_await", None)
    return "\n".join(lines)


def need(program: str, why: str) -> str:
    """The path of a program; without it a test is skipped, or under CI fails."""
    found = shutil.which(program)
    if found is None:
        (pytest.fail if CI else pytest.skip)(f"{program} is not installed: {why}")
    return found


@pytest.fixture(autouse=True)
def no_earlier_server() -> None:
    """A test finds no server of an earlier one, whose variable a patch may have put back."""
    os.environ.pop("JUPYTER_SESSIONS_SERVER", None)


@pytest.fixture
def is_in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the test bears the mark `in_memory` and not `real`; then managers are started accordingly."""
    node = request.node
    found = bool(node.get_closest_marker("in_memory")) and not node.get_closest_marker("real")
    if found:
        monkeypatch.setattr(local_manager, "_start", in_memory.start)
    return found


@pytest.fixture
def state(is_in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder; its sessions and manager are ended afterwards."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(STATE_VARIABLE, str(folder))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("JUPYTER_SESSIONS_SERVER", raising=False)
    (tmp_path / "config").mkdir()
    yield folder
    asyncio.run(end_everything(wait=False))
    remove(place().run_folder())


@pytest.fixture(scope="session", autouse=True)
def isolated() -> Iterator[None]:
    """Nothing is the user's own, and no process stays."""
    yield from isolation.isolated()


@pytest.fixture(autouse=True)
def environment(isolated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin before all other fixtures, so that what a test sets in the environment is there until all of them have ended.

    pytest-jupyter stops its server late, and a server without the test's variables would look after the user's
    own state folder.
    """


@pytest.fixture(scope="session")
def manager_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """The state folders of the managers that tests share: a real one, and one in memory."""
    folders = [tmp_path_factory.mktemp("machine") for _ in range(2)]
    yield folders
    for folder in folders:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(STATE_VARIABLE, str(folder))
            asyncio.run(end_everything())
            remove(place().run_folder())


@pytest.fixture
def machine(
    manager_folders: list[Path], is_in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The state folder; sessions are ended afterwards, the manager stays."""
    folder = manager_folders[is_in_memory]
    monkeypatch.setenv(STATE_VARIABLE, str(folder))
    monkeypatch.delenv("JUPYTER_SESSIONS_SERVER", raising=False)
    yield folder
    asyncio.run(_end_sessions())


async def _end_sessions() -> None:
    if not place().live_file.exists():
        return
    service = SessionService(JupyterSessions())
    await end_sessions(service.backends["local"])
    deadline = time.monotonic() + 20
    while (await service.list(backend="local")).sessions and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    await service.close()


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of third-party backends, good and broken, in a folder on the path."""
    folder = tmp_path / "site"
    shutil.copytree(Path(__file__).parent / "resources" / "toys", folder)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the sessions of another author's backend, whose distribution is on the path, also of processes."""
    site = tmp_path / "outside-site"
    shutil.copytree(Path(__file__).parent / "resources" / "outside", site)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest_asyncio.fixture
async def service(state: Path) -> AsyncIterator[SessionService]:
    """All backends in this process."""
    made = SessionService(JupyterSessions())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def shared(machine: Path) -> AsyncIterator[SessionService]:
    """The same on the manager that tests share."""
    made = SessionService(JupyterSessions())
    yield made
    await made.close()


async def end_everything(*, wait: bool = True) -> None:
    """End all sessions of the state folder's manager, and then the manager; `wait` until it is gone."""
    if not (local.find() or place().live_file.exists()):
        return
    service = SessionService(JupyterSessions())
    for row in (await service.list()).sessions:
        try:
            await service.destroy("local", row.id, forced=True)
        except SessionError:
            continue
    deadline = time.monotonic() + 20
    while (await service.list()).sessions and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    await service.close()
    if in_memory.stop(place()):
        return
    if contact := local.find():
        os.kill(contact.identity.pid, signal.SIGTERM)
        while wait and contact.identity.alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
