"""Configuration files, and what they do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from traitlets import TraitError
from traitlets.config import Config, Configurable

from jupyter_sessions.client import open_api
from jupyter_sessions.config import JupyterSessions, load
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.service.creation import with_preset


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Jupyter's configuration path."""
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    monkeypatch.delenv("JUPYTER_SESSIONS_SERVER", raising=False)
    return tmp_path


def write(folder: Path, python: str = "", **settings: object) -> None:
    """Configuration files in the folder."""
    if python:
        (folder / "jupyter_sessions_config.py").write_text(python)
    (folder / "jupyter_sessions_config.json").write_text(json.dumps({"JupyterSessions": settings}))


def test_python_goes_over_json_and_the_servers_over_both(folder: Path) -> None:
    write(folder, "c.JupyterSessions.max_sessions = 2", max_sessions=1, default_backend="cluster")
    settings = load()
    assert (settings.max_sessions, settings.default_backend) == (2, "cluster")
    server = Configurable(config=Config({"JupyterSessions": {"max_sessions": 3}}))
    settings = load(server)
    assert (settings.max_sessions, settings.default_backend) == (3, "cluster")


BAD = [
    ({"max_sessions": "many"}, "max_sessions"),
    ({"presets": {"big": {"resources": {"cpu": 8}, "colour": "red"}}}, "colour"),
    ({"presets": {"big": 7}}, "big"),
    ({"presets": {"big": {"resources": {"cpu": "many"}}}}, "cpu"),
    ({"backends": {"cluster": "https://example.org"}}, "cluster"),
    ({"default_resources": {"mem": "lots"}}, "default_resources"),
    ({"max_resources": {"cpu": -1}}, "max_resources"),
    ({"idle_timeout": "a while"}, "idle_timeout"),
    ({"time_limit": -1}, "time_limit"),
]


@pytest.mark.parametrize(("settings", "named"), BAD)
def test_bad_values_name_what_is_wrong(folder: Path, settings: dict[str, object], named: str) -> None:
    write(folder, **settings)
    with pytest.raises(TraitError, match=named) as caught:
        load()
    assert "JupyterSessions" in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("settings", [settings for settings, _ in BAD])
async def test_clients_say_so_in_one_sentence(folder: Path, settings: dict[str, object]) -> None:
    write(folder, **settings)
    with pytest.raises(InvalidRequest, match="The configuration cannot be used: "):
        await open_api()


@pytest.mark.asyncio
@pytest.mark.parametrize("python", ["c.JupyterSessions.max_sessions = ", "1 / 0"])
async def test_files_that_cannot_be_read_are_said_too(folder: Path, python: str) -> None:
    write(folder, python)
    with pytest.raises(InvalidRequest, match=r"SyntaxError|ZeroDivisionError"):
        await open_api()


@pytest.mark.asyncio
async def test_presets_are_begun_with_and_can_be_changed(toys: Path) -> None:
    presets = {
        "big": {
            "image": "python",
            "resources": {"cpu": 8, "mem": "1g"},
            "environ": {"A": "1"},
            "tag": "big one",
        }
    }
    service = SessionService(
        JupyterSessions(presets=presets, backends={"toy": {"type": "toy"}}, default_backend="toy")
    )
    spec = with_preset(SessionSpec(preset="big", resources={"cpu": 2}, environ={"B": "2"}), presets)
    assert (spec.image, spec.tag, spec.preset) == ("python", "big one", None)
    assert (spec.resources, spec.environ) == ({"cpu": 2, "mem": "1g"}, {"A": "1", "B": "2"})
    row = await service.create(SessionSpec(preset="big", name="mine"))
    assert (row.image, row.tag) == ("python", "big one")
    with pytest.raises(InvalidRequest, match=r"no preset .small..*Choose from: big"):
        await service.create(SessionSpec(preset="small"))
