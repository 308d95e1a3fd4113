"""Others' clients and servers, each in a virtual environment of its own, made once and kept.

They lie in `JUPYTER_SESSIONS_TESTCACHE`, by default the user's cache folder, by what is in them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import msgspec
import pytest

from jupyter_sessions.backends.files import locked
from tests.conftest import CI, need

CACHE = Path(
    os.environ.get("JUPYTER_SESSIONS_TESTCACHE") or Path.home() / ".cache" / "jupyter_sessions_tests"
)
_ROOT = Path(__file__).parents[2]
_UV = str(Path(sys.executable).with_name("uv"))
_PYENV = Path.home() / ".pyenv" / "versions"


class Venv(msgspec.Struct, frozen=True):
    """A Python version and what pip installs for it."""

    python: str
    requirements: tuple[str, ...]

    def program(self, name: str) -> str:
        """The path of one of its programs; without its Python a test is skipped, or under CI fails."""
        return str(self._made() / "bin" / name)

    def site_packages(self) -> str:
        """The folder of what pip has installed, as `program`."""
        return str(self._made() / "lib" / f"python{self.python}" / "site-packages")

    def possible(self) -> bool:
        """Whether its Python is there."""
        return _found(self.python) is not None

    def kept(self) -> bool:
        """Whether it has been made already."""
        return (self._folder(_interpreter(self.python)) / "complete").exists()

    def _folder(self, interpreter: str) -> Path:
        key = hashlib.sha256(msgspec.json.encode((interpreter, self))).hexdigest()[:12]
        return CACHE / f"{self.python}-{key}"

    def _made(self) -> Path:
        interpreter = _interpreter(self.python)
        folder = self._folder(interpreter)
        CACHE.mkdir(parents=True, exist_ok=True)
        with locked(CACHE / f"{folder.name}.lock"):  # Others may make it just now.
            if not self.kept():
                shutil.rmtree(folder, ignore_errors=True)
                _run(_UV, "venv", "--quiet", "--python", interpreter, str(folder))
                where = ("--python", str(folder / "bin" / "python"))
                _run(_UV, "pip", "install", "--quiet", "--compile-bytecode", *where, *self.requirements)
                (folder / "complete").touch()
        return folder


def node_package(name: str, version: str) -> Path:
    """The folder of a package of npm; without npm a test is skipped, or under CI fails."""
    npm = need("npm", f"it installs {name}")
    need("node", f"it runs {name}")
    folder = CACHE / f"npm-{name}-{version}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / f"{folder.name}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "package.json").write_text('{"private": true}')  # Else npm looks for one above.
            options = ("--prefix", str(folder), "--no-audit", "--no-fund", "--silent", "--ignore-scripts")
            _run(npm, "install", *options, f"{name}@{version}")
            (folder / "complete").touch()
    return folder / "node_modules" / name


def newest_backendai() -> Venv:
    """The newest client of Backend.AI for which there is a Python here."""
    there = [venv for venv in (BACKENDAI_26, BACKENDAI_25) if _found(venv.python)]
    return there[0] if there else BACKENDAI_23


def _found(version: str) -> str | None:
    """An interpreter of this version: this one, one on the path, or pyenv's."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    installed = sorted(_PYENV.glob(f"{version}.*/bin/python"))
    return str(installed[-1]) if installed else shutil.which(f"python{version}")


def _interpreter(version: str) -> str:
    found = _found(version)
    if found is None:
        (pytest.fail if CI else pytest.skip)(f"Python {version} is not installed")
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


BACKENDAI_23 = Venv("3.11", ("backend.ai-client==23.9.10", "yarl<=1.17.0"))
BACKENDAI_25 = Venv("3.12", ("backend.ai-client==25.5.2",))
BACKENDAI_26 = Venv("3.13", ("backend.ai-client==26.9.6",))
SKAHA = Venv("3.11", ("skaha==1.7.0",))
CANFAR = Venv("3.11", ("canfar==1.5.2", "typer<0.29"))
TENSORBOARD = Venv(
    "3.11", ("ipykernel", "tensorboard==2.21.0", "setuptools<81", "jupyter-tensorboard-proxy==0.1.1")
)
JUPYTERHUB = Venv(f"{sys.version_info.major}.{sys.version_info.minor}", ("jupyterhub==6.1.1",))


def collaboration() -> Venv:
    """Return JupyterLab with jupyter-collaboration, and this package with what it needs today."""
    needed = tuple(one for one in requires("jupyter_sessions") or () if "extra ==" not in one)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    own = ("--editable", str(_ROOT))
    return Venv(python, ("jupyterlab>=4.4", "jupyter-collaboration>=5.0", *needed, *own))
