"""Environments of the shell's folder, as people find and name them."""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

import pytest

from jupyter_sessions.client import open_api
from jupyter_sessions.commands.completion import complete
from tests.commands.test_run import SMALL, Run
from tests.commands.test_run import run as run
from tests.wire.test_python_environments import UV, make


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an environment that runs kernels, and one that does not."""
    made = tmp_path / ".venv"
    make(made, UV)
    (made / "bin" / "python").unlink()
    (made / "bin" / "python").symlink_to(sys.executable)
    site = made / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (site / "here.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    (made / "pyvenv.cfg").write_text(UV.replace("/opt/python", str(Path(sys.executable).resolve().parent)))
    make(tmp_path / "bare", UV, kernel=False)
    return tmp_path


def test_images_lists_them_and_create_takes_their_folders(run: Run, project: Path) -> None:
    listed = json.loads(run("images", "-b", "local", "--json").stdout)["local"]
    found = {image["name"]: image["title"] for image in listed}
    assert found[".venv"] == "Python 3.13 (.venv)" and "uv pip install --python" in found["./bare"]
    done = run("run", "-q", "--rm", "-c", "import sys; print(sys.prefix)", *SMALL, ".venv")
    assert (done.returncode, done.stdout.strip()) == (0, str(project / ".venv")), done.stderr
    refused = run("create", "./bare")
    assert refused.returncode == 2 and "has no ipykernel" in refused.stderr
    assert f"uv pip install --python {project / 'bare' / 'bin' / 'python'} ipykernel" in refused.stderr


@pytest.mark.asyncio
async def test_they_are_completed(machine: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    api = await open_api()
    assert (await complete(api, ["create"], ".v")) == {".venv": "Python 3.13 (.venv)"}
    await api.close()
