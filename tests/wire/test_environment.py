"""From the name of an environment to what is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from jupyter_sessions.errors import InvalidRequest, UnknownImage
from jupyter_sessions.wire.environment import Specs, clean_environ

SECRETS = [
    "JPY_PARENT_PID",
    "JPY_API_TOKEN",
    "JUPYTER_TOKEN",
    "JUPYTER_SESSIONS_SERVER",
    "JUPYTER_SESSIONS_STATE",
    "JUPYTERHUB_API_TOKEN",
    "BACKEND_ACCESS_KEY",
    "BACKEND_SECRET_KEY",
    "BACKEND_ENDPOINT",
    "BACKENDAI_SESSION_ID",
    "SKAHA_TOKEN",
    "CANFAR_TOKEN",
    "NOTIFY_SOCKET",
    "JUPYTER_TOKEN_FILE",
    "JUPYTERHUB_CRYPT_KEY",
    "CONFIGPROXY_AUTH_TOKEN",
    "JPY_SESSION_NAME",
]
KEPT = [
    "HOME",
    "BACKEND_GROUP",
    "BACKEND_DATABASE",
    "JUPYTERHUB_USER",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_BASE_URL",
    "JUPYTERHUB_API_URL",
    "CONDA_PREFIX",
    "JUPYTER_PATH",
    "HF_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "MY_PROXY_TOKEN",
    "OMP_NUM_THREADS",
]


class Spec:
    """A kernelspec, as far as it is read."""

    def __init__(self, argv: list[str], name: str, language: str = "python") -> None:
        self.argv, self.display_name, self.language = argv, name, language
        self.env = {"FROM_SPEC": "1"}
        self.interrupt_mode = "signal"
        self.metadata: dict[str, object] = {}
        self.resource_dir = "/specs/here"


@pytest.fixture
def specs() -> Specs:
    launcher = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return Specs(
        {
            "python3": Spec(["python", *launcher], "Python 3"),
            "conda-lab": Spec(["/opt/lab/bin/python", *launcher], "Lab"),
            "ir": Spec(["R", "--args", "{connection_file}", "{resource_dir}/x"], "R", "R"),
        }
    )


def test_python_is_offered_first(specs: Specs) -> None:
    assert [image.name for image in specs.images()] == ["python3", "conda-lab", "ir"]


@pytest.mark.parametrize(
    "image", ["python3", "python", f"python:{sys.version_info[0]}.{sys.version_info[1]}"]
)
def test_aliases_of_this_python(specs: Specs, image: str) -> None:
    name, launch = specs.resolve(image)
    assert name == "python3"
    assert launch.argv[0] == sys.executable


def test_what_a_spec_says_is_kept(specs: Specs, tmp_path: Path) -> None:
    name, launch = specs.resolve("ir", cwd=str(tmp_path), environ={"A": "1", "JUPYTER_TOKEN": "x"})
    assert (name, launch.language, launch.cwd) == ("ir", "R", str(tmp_path))
    assert launch.argv == ["R", "--args", "{connection_file}", "/specs/here/x"]
    assert launch.env == {"A": "1", "FROM_SPEC": "1"}


def test_an_interpreter_by_its_path(specs: Specs) -> None:
    name, launch = specs.resolve(sys.executable)
    assert name == sys.executable
    assert launch.argv[:3] == [sys.executable, "-m", "ipykernel_launcher"]
    assert specs.resolve(os.path.relpath(sys.executable)) == (name, launch)


@pytest.mark.parametrize(
    ("image", "nearest"), [("pyton3", "python3"), ("conda-labs", "conda-lab"), ("python:2.7", "python:3.")]
)
def test_an_unknown_one_names_the_nearest(specs: Specs, image: str, nearest: str) -> None:
    with pytest.raises(UnknownImage) as caught:
        specs.resolve(image)
    assert f"There is no environment '{image}' here" in caught.value.message
    assert f"Did you mean '{nearest}" in caught.value.hint
    assert "Choose from: conda-lab, ir, python3." in caught.value.hint


def test_a_path_that_is_no_program(specs: Specs, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("")
    for image in (str(tmp_path / "python"), str(tmp_path), "/nowhere/bin/python"):
        with pytest.raises(UnknownImage):
            specs.resolve(image)


def test_a_folder_that_is_not_there(specs: Specs, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="There is no folder"):
        specs.resolve("python3", cwd=str(tmp_path / "missing"))


def test_the_folder_is_the_askers(specs: Specs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert specs.resolve("python3")[1].cwd == str(tmp_path)
    (tmp_path / "below").mkdir()
    assert specs.resolve("python3", cwd="below")[1].cwd == str(tmp_path / "below")


def test_the_umask_is_the_askers(specs: Specs) -> None:
    before = os.umask(0o027)
    try:
        assert specs.resolve("python3")[1].umask == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_and_ties_stay_behind(name: str) -> None:
    assert clean_environ({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_cpu_counts_of_a_session_are_its_own() -> None:
    there = {"BACKENDAI_SESSION_ID": "x", "OMP_NUM_THREADS": "1", "PYTHON_CPU_COUNT": "1", "PATH": "/bin"}
    assert clean_environ(there) == {"PATH": "/bin"}


@pytest.mark.parametrize("transport", ["tcp", "ipc", "", "carrier pigeon", None])
def test_a_kernelspec_may_name_its_transport(specs: Specs, transport: str | None) -> None:
    spec = Spec(["/bin/deno", "{connection_file}"], "Deno", "typescript")
    spec.metadata = {"jupyter_sessions": {"transport": transport}} if transport is not None else {}
    _, launch = Specs({"deno": spec}).resolve("deno")
    assert launch.transport == (transport if transport in ("tcp", "ipc") else "")


@pytest.mark.parametrize("name", KEPT)
def test_the_rest_comes_along(name: str) -> None:
    assert clean_environ({name: "x"}) == {name: "x"}
