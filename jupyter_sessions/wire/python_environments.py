"""Python environments in folders (venv, uv, conda): where they are, and whether a kernel can run in them.

Sources: PEP 405 for pyvenv.cfg, which uv marks as its own; conda's conda-meta and ~/.conda/environments.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

_VENV, _CONDA = "pyvenv.cfg", "conda-meta"
_USUAL = (".venv", "venv", "env")
_MOST_PARENTS = 5
_SITE = ("lib/python*/site-packages", "Lib/site-packages")
_CONDA_FILES = ("environment.yml", "environment.yaml")


class PythonEnvironment(msgspec.Struct, frozen=True):
    """An environment: its folder, and the version of its Python, "" if unknown."""

    prefix: Path
    version: str = ""
    conda: bool = False
    made_by_uv: bool = False
    sees_system: bool = False

    @property
    def python(self) -> Path:
        """Return the path of its interpreter."""
        return self.prefix / "bin" / "python"

    @property
    def title(self) -> str:
        """Return a title for people: "Python 3.12 (.venv)"."""
        return f"{' '.join(filter(None, ('Python', self.version)))} ({self.prefix.name})"

    @property
    def runs_kernels(self) -> bool:
        """Return whether ipykernel is installed, as far as files tell."""
        folders = [folder for site in _SITE for folder in self.prefix.glob(site)]
        return self.sees_system or any((path / "ipykernel").is_dir() for path in _with_added(folders))

    @property
    def remedy(self) -> str:
        """Return the command that adds ipykernel."""
        if self.conda:
            return f"conda install -p {self.prefix} ipykernel"
        if self.made_by_uv:
            return f"uv pip install --python {self.python} ipykernel"
        return f"{self.python} -m pip install ipykernel"


def _with_added(folders: list[Path]) -> Iterator[Path]:
    """Yield folders of packages, and those that their .pth files add to the path. Source: Python's `site` module."""
    for folder in folders:
        yield folder
        for file in folder.glob("*.pth"):
            with suppress(OSError, UnicodeDecodeError):
                for line in file.read_text().splitlines():
                    if line.strip() and not line.startswith(("#", "import ", "import\t")):
                        yield folder / line.strip()


def environment_in(prefix: Path) -> PythonEnvironment | None:
    """Return the environment in a folder, or None."""
    if not (prefix / "bin" / "python").is_file():
        return None
    if (prefix / _CONDA).is_dir():
        named = next(prefix.glob(f"{_CONDA}/python-[0-9]*.json"), None)
        version = named.name.split("-")[1] if named else ""
        return PythonEnvironment(prefix, _short(version), conda=True)
    try:
        lines = (prefix / _VENV).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    said = {key.strip().lower(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    return PythonEnvironment(
        prefix,
        _short(said.get("version") or said.get("version_info") or ""),
        made_by_uv="uv" in said,
        sees_system=said.get("include-system-site-packages") == "true",
    )


def environment_at(path: str) -> PythonEnvironment | None:
    """Return the environment that a path names by its folder or its interpreter, or None."""
    given = Path(path)
    return environment_in(given) or (
        environment_in(given.parent.parent) if given.parent.name == "bin" else None
    )


def environments_beside(folder: Path) -> list[PythonEnvironment]:
    """Return the environments in a folder, those of the project around it, and the one of its environment.yml."""
    found = {env.prefix: env for env in _beside(folder.absolute())}
    return [*found.values()]


def _beside(folder: Path) -> Iterator[PythonEnvironment]:
    candidates = [folder / name for name in _USUAL]
    try:
        candidates += sorted(
            path for path in folder.iterdir() if (path / _VENV).is_file() or (path / _CONDA).is_dir()
        )
    except OSError:
        return
    for parent in [folder, *folder.parents][:_MOST_PARENTS]:
        candidates.append(parent / _USUAL[0])
        if (parent / ".git").exists() or parent == Path.home():
            break
    candidates += _of_conda_file(folder)
    for candidate in candidates:
        if env := environment_in(candidate):
            yield env


def _of_conda_file(folder: Path) -> list[Path]:
    """Return the folders of conda environments that are named as in a folder's environment.yml."""
    import yaml

    for file in _CONDA_FILES:
        try:
            said = yaml.safe_load((folder / file).read_text())
            known = (Path.home() / ".conda" / "environments.txt").read_text().splitlines()
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        name = said.get("name") if isinstance(said, dict) else None
        return [Path(line) for line in known if name and Path(line).name == name]
    return []


def _short(version: str) -> str:
    found = re.match(r"\d+\.\d+", version)
    return found[0] if found else ""
