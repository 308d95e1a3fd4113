"""Other users of the machine get nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import STATE_VARIABLE, place
from tests.conftest import end_everything
from tests.manager.world import ask, contact, reach, run, until

pytestmark = pytest.mark.asyncio

NOBODY = 65534


@pytest.fixture
def _open_state(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state folder in a place that everybody can get to."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    (folder / "state").mkdir(mode=0o755)
    monkeypatch.setenv(STATE_VARIABLE, str(folder / "state"))
    yield
    asyncio.run(end_everything())
    remove(place().run_folder())
    shutil.rmtree(folder)


def as_nobody(attempts: dict[str, Callable[[], object]]) -> dict[str, str]:
    """How each attempt ends when another user makes it: the name of its error, or "done"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        found: dict[str, str] = {}
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            for name, attempt in attempts.items():
                try:
                    attempt()
                    found[name] = "done"
                except Exception as error:
                    found[name] = type(error).__name__
            os.write(writer, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    return dict(json.loads(text))


async def open_jupyter(service: SessionService, row: SessionInfo) -> None:
    """Open the session's Jupyter, and wait until it listens."""
    endpoint = await service.open_service("local", row.id, "jupyter", "/there/")
    await until(Path(str(endpoint.socket)).is_socket)


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.usefixtures("_open_state")
async def test_another_user_reaches_nothing(service: SessionService) -> None:
    row = await run(service, "private")
    await open_jupyter(service, row)
    where, found = place(), contact()
    sockets = [path for path in Path(found.socket).parent.rglob("*") if path.is_socket()]
    assert len(sockets) >= 7, "the manager's, a service's, and five of the kernel"
    files = [where.contact_file, where.folder / "sessions.db", where.folder / "manager.log"]
    files += [*(where.folder / "sessions" / row.id).iterdir()]
    paths = {str(path): lambda path=path: connect(path) for path in sockets}
    paths |= {str(path): lambda path=path: path.read_bytes() for path in files if path.is_file()}
    folders = (where.folder, Path(found.socket).parent)
    paths |= {str(path): lambda path=path: os.listdir(path) for path in folders}
    assert len(paths) > 11
    ends = as_nobody(paths | {"control": lambda: os.listdir("/")})
    assert ends.pop("control") == "done"
    assert set(ends.values()) == {"PermissionError"}, ends


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
async def test_processes_tell_no_secret(service: SessionService) -> None:
    """Everybody may read command lines."""
    row = await run(service, "private", cluster_size=2, startup_command="sleep 1000")
    await open_jupyter(service, row)
    batch = await ask(service, "private-batch", type="batch", startup_command="sleep 1000")
    await reach(service, batch, "RUNNING")
    keypair = contact().keypair
    key = json.loads((place().folder / "sessions" / row.id / "kernel.json").read_text())["key"]
    lines = b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    assert b"sleep\x001000" in lines and Path(contact().socket).parent.name.encode() in lines
    ids = [row.id, batch.id, *(one.id for one in row.containers)]
    for secret in (key, keypair.secret_key, *(one[:8] for one in ids)):
        assert secret.encode() not in lines
