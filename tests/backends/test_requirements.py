"""Environments that a session builds from a requirements file, with packages of an index on this machine."""

from __future__ import annotations

import http.server
import sysconfig
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.required_environments import cache_folder
from tests.manager.world import ask, reach, run, says
from tests.ports import free_port

pytestmark = pytest.mark.asyncio


def add_package(index: Path, name: str, files: dict[str, str]) -> None:
    """Add a wheel to a simple index (PEP 503)."""
    folder = index / "simple" / name
    folder.mkdir(parents=True)
    info, wheel = f"{name}-1.0.dist-info", f"{name}-1.0-py3-none-any.whl"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n")
    (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an index with a tiny package, and with an ipykernel that leads to this environment's."""
    folder = tmp_path / "index"
    add_package(folder, "tinypackage", {"tinypackage.py": "ANSWER = 42\n"})
    add_package(folder, "ipykernel", {"ipykernel_here.pth": sysconfig.get_paths()["purelib"] + "\n"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    server.shutdown()
    server.server_close()


async def test_it_is_built_once_with_its_log_in_the_session_s(
    shared: SessionService, index: str, tmp_path: Path
) -> None:
    wanted: dict[str, Any] = {"requirements": f"--index-url {index}\ntinypackage\n"}
    row = await ask(shared, "needy", **wanted)
    infos = set[str]()
    async for now in shared.wait(row.backend, row.id, lambda row: row.status in ("RUNNING", "ERROR")):
        infos.add(now.status_info)
    row = await reach(shared, row, "RUNNING")
    assert "Installing the required packages." in infos
    assert await says(shared, row, "import tinypackage; print(tinypackage.ANSWER)") == "42"
    log = await shared.logs("local", row.id)
    assert "tinypackage" in log and "The environment was built in" in log
    assert row.image.startswith(str(cache_folder())) and str(tmp_path) in row.image
    again = await run(shared, "needy-too", **wanted)
    assert again.image == row.image and "built before" in await shared.logs("local", again.id)
    by_path = await run(shared, "by-path", image=row.image)
    assert await says(shared, by_path, "import tinypackage; print(tinypackage.ANSWER)") == "42"


@pytest.mark.parametrize("tool", ["uv", "pip"])
async def test_without_a_network_it_says_so(
    shared: SessionService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_RETRIES", "1")  # With none, pip does not say why.
    if tool == "pip":
        monkeypatch.setattr("jupyter_sessions.wire.required_environments._PROGRAM", _without_uv(tmp_path))
    nowhere = f"http://127.0.0.1:{free_port()}/simple"
    row = await ask(shared, "offline", requirements=f"--index-url {nowhere}\ntinypackage-{tool}\n")
    row = await reach(shared, row, "ERROR")
    assert "its environment could not be built" in row.status_info
    assert "there is no network" in row.status_info
    assert ("-m pip install" in await shared.logs("local", row.id)) == (tool == "pip")


def _without_uv(folder: Path) -> Path:
    from jupyter_sessions.wire import build_environment

    text = Path(build_environment.__file__).read_text()
    changed = folder / "build_environment.py"
    changed.write_text(
        text.replace('importlib.util.find_spec("uv")', "None").replace('shutil.which("uv")', '""')
    )
    return changed


async def test_other_languages_take_none(shared: SessionService) -> None:
    with pytest.raises(InvalidRequest, match="takes no requirements: they are for Python") as caught:
        await shared.create(SessionSpec(name="needy", image="ir", requirements="x"))
    assert caught.value.field == "requirements"


async def test_remote_managers_do_not_take_it() -> None:
    from jupyter_sessions.backends.backendai import BackendAI
    from jupyter_sessions.backends.takes import check_taken

    with pytest.raises(NotSupported, match="does not take requirements"):
        check_taken(SessionSpec(requirements="x"), BackendAI.takes, "Cluster")
