"""`config`: what holds, where it comes from, and nothing that is secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

BACKENDS = {
    "lab": {
        "type": "backendai",
        "endpoint": "https://somebody:hidden-1@lab.example",
        "access_key": "AKIA",
        "secret_key": "hidden-2",
        "password": "",
    },
    "sky": {"type": "skaha", "token": {"access": "hidden-3"}, "certificate": "~/.ssl/cadcproxy.pem"},
}
PRESETS = {"tokenizer": {"image": "python", "environ": {"PET": "hidden-4"}}}


async def test_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    names = [tmp_path / f"jupyter_sessions_config.{kind}" for kind in ("json", "py")]
    settings = {"backends": BACKENDS, "presets": PRESETS, "max_sessions": 1, "idle_timeout": "2h"}
    names[0].write_text(json.dumps({"JupyterSessions": settings}))
    names[1].write_text("c.JupyterSessions.max_sessions = 2")

    service = SessionService(JupyterSessions())
    text = (await perform(service, parse("config --json"), print)).text()
    table = await perform(service, parse("config"), print)
    found = {one["name"]: (one["value"], one["from"]) for one in json.loads(text)}
    assert found["max_sessions"] == (2, str(names[1]))
    assert found["idle_timeout"] == (7200, str(names[0]))
    assert found["warm_pool"] == (1, "default")
    assert found.keys() == set(JupyterSessions.class_trait_names(config=True))
    lab, sky = found["backends"][0].values()
    assert (lab["endpoint"], lab["access_key"], lab["secret_key"]) == (
        "https://…@lab.example",
        "AKIA",
        "(set)",
    )
    assert (lab["password"], sky["token"]) == ("", "(set)")
    assert found["presets"][0] == {"tokenizer": {"image": "python", "environ": "(set)"}}
    for shown in (text, table.text(200), str(table._repr_mimebundle_())):
        assert "hidden" not in shown
    assert "max_sessions" in table.text(200) and "default" in table.text(200)
