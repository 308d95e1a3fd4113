"""Environments beside a notebook: where they are found, and what one without ipykernel lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_sessions.commands.environments import beside, here
from jupyter_sessions.errors import UnknownImage
from jupyter_sessions.wire.environment import Specs
from jupyter_sessions.wire.python_environments import environment_at, environment_in, environments_beside

VENV = "home = /usr/bin\nversion = 3.12.1\ninclude-system-site-packages = false\n"
UV = "home = /opt/python\nuv = 0.5.1\nversion_info = 3.13.2\ninclude-system-site-packages = false\n"


def make(prefix: Path, config: str = "", *, conda: str = "", kernel: bool = True) -> Path:
    site = prefix / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "python").write_text("#!/bin/sh\n")
    (prefix / "bin" / "python").chmod(0o755)
    if config:
        (prefix / "pyvenv.cfg").write_text(config)
    if conda:
        (prefix / "conda-meta").mkdir()
        (prefix / "conda-meta" / f"python-{conda}-h1.json").write_text("{}")
    if kernel:
        (site / "ipykernel").mkdir()
    return prefix


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / ".conda").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    notebooks = home / "project" / "notebooks"
    notebooks.mkdir(parents=True)
    (home / "project" / ".git").mkdir()
    make(home / "project" / ".venv", UV, kernel=False)
    make(home / ".venv", VENV)  # Of something else: the project ends below it.
    make(notebooks / "tools", VENV)
    make(home / "envs" / "sky", conda="3.11.4")
    (home / ".conda" / "environments.txt").write_text(f"{home}/envs/other\n{home}/envs/sky\n")
    (notebooks / "environment.yml").write_text("name: sky\ndependencies: [python]\n")
    monkeypatch.chdir(notebooks)
    return home / "project"


def test_those_of_the_folder_its_project_and_its_conda_file_are_found(project: Path) -> None:
    found = environments_beside(project / "notebooks")
    assert [(env.title, env.runs_kernels) for env in found] == [
        ("Python 3.12 (tools)", True),
        ("Python 3.13 (.venv)", False),
        ("Python 3.11 (sky)", True),
    ]
    python = project / ".venv" / "bin" / "python"
    assert beside() == {
        "./tools": "Python 3.12 (tools)",
        "../.venv": f"Python 3.13 (.venv): without ipykernel, which `uv pip install --python {python} ipykernel` adds",
        "../../envs/sky": "Python 3.11 (sky)",
    }


def test_each_kind_has_its_command(tmp_path: Path) -> None:
    plain, conda = (
        make(tmp_path / "a", VENV, kernel=False),
        make(tmp_path / "b", conda="3.11.4", kernel=False),
    )
    remedies = [env.remedy for path in (plain, conda) if (env := environment_at(str(path)))]
    assert remedies == [f"{plain}/bin/python -m pip install ipykernel", f"conda install -p {conda} ipykernel"]
    assert environment_at(str(tmp_path)) is None and environment_at("/usr/bin/python3") is None


def test_a_session_of_one_without_ipykernel_is_refused_with_the_command(project: Path) -> None:
    specs = Specs({})
    with pytest.raises(UnknownImage, match=r"has no ipykernel\.") as caught:
        specs.resolve(here("../.venv"))
    assert "uv pip install --python" in caught.value.hint
    name, launch = specs.resolve(here("./tools"))
    assert name == launch.argv[0] == str(project / "notebooks" / "tools" / "bin" / "python")
    assert here("python") == "python" and here("tools") == "tools"


def test_an_environment_that_sees_the_packages_of_another_runs_kernels(tmp_path: Path) -> None:
    other = make(tmp_path / "other", VENV) / "lib" / "python3.12" / "site-packages"
    lab = make(tmp_path / "lab", VENV, kernel=False)
    (lab / "lib" / "python3.12" / "site-packages" / "other.pth").write_text(
        f"import sys\n# theirs\n{other}\n"
    )
    env = environment_in(lab)
    assert env is not None and env.runs_kernels
