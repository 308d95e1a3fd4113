"""The server tells people about sessions on backends that do not do so themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import NotSupported
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests.receivers import webhook

if TYPE_CHECKING:
    from conftest import Rest


@pytest.fixture
def jupyter_sessions_config(toys: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "backends": {"toy": {"type": "toy", "title": "Toys"}},
        "notifications": {"here": f"command:echo $JUPYTER_SESSION_MESSAGE > {tmp_path}/told"},
    }


async def test_the_server_tells_of_an_end(rest: Rest, tmp_path: Path) -> None:
    async with webhook() as hook:
        spec = {"backend": "toy", "name": "t", "notify": [f"ntfy:{hook.url}/t", "here"]}
        row = await rest.json("POST", "sessions", spec, status=202)
        assert hook.url not in str(row)
        await rest.ask("DELETE", f"sessions/toy/{row['id']}")
        assert await hook.until(1) == ["t has ended."]
        assert (await rest.json("GET", "defaults"))["notifies"] == ["local"]


async def test_the_server_runs_no_commands_of_others(rest: Rest, tmp_path: Path) -> None:
    spec = {"backend": "toy", "name": "t", "notify": [f"command:touch {tmp_path}/mine"]}
    status, said = await rest.refused("POST", "sessions", spec)
    assert (status, said["field"]) == (400, "notify") and "but those of its configuration" in said["message"]
    assert (await rest.json("GET", "sessions"))["sessions"] == []


async def test_without_a_server_nobody_could_tell(toys: Path) -> None:
    service = SessionService(JupyterSessions(backends={"toy": {"type": "toy", "title": "Toys"}}))
    with pytest.raises(NotSupported, match="Nobody can send messages about sessions on Toys from here"):
        await service.create(SessionSpec(backend="toy", name="t", notify=["mailto:me@example.org"]))
    await service.close()
