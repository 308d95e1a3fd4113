"""Images as the managers' clients see them: what each needs at least, shown and enforced."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests.manager.test_rest import problem
from tests.manager.world import V8, Rest, ask, configure

pytestmark = pytest.mark.asyncio

IMAGES = "{ images { name labels { key value } resource_limits { key min max } } }"


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says how much it needs."""
    folder = tmp_path / "jupyter" / "kernels" / "large"
    folder.mkdir(parents=True)
    labels = {"ai.backend.resource.min.mem": "700m", "ai.backend.resource.min.cpu": "0.5"}
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Large", "language": "python", "metadata": labels}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"), prepend=":")


@pytest.mark.usefixtures("large")
async def test_a_minimum_is_shown_enforced_and_given(state: Path, service: SessionService) -> None:
    configure(state, max_resources={"cpu": 4, "mem": "2g"})
    (shown,) = [image for image in await service.backend("local").images() if image.name == "large"]
    assert shown.resources == {"cpu": "0.5", "mem": "700m"}
    row = await service.create(SessionSpec(name="filled-in", image="large", resources={"cpu": 1}))
    assert parse_slots(row.resources)["mem"] >= 700 * 1024**2, "what a person leaves out"
    for resources in ({"mem": "699m"}, {"cpu": "0.4"}):
        with pytest.raises(InvalidRequest, match="required by the image"):
            await ask(service, "too-small", image="large", resources={"cpu": 1, "mem": "1g"} | resources)
    async with Rest(V8) as rest:
        listed = (await rest.send("POST", "/admin/gql", {"query": IMAGES})).json()["data"]["images"]
        (image,) = [image for image in listed if image["name"] == "large"]
        assert {row["key"]: row["min"] for row in image["resource_limits"]} == {"cpu": "0.5", "mem": "700m"}
        assert {"key": "ai.backend.resource.min.mem", "value": "700m"} in image["labels"]
        wanted = {"name": "large-01", "image": "large", "enqueueOnly": True}
        small = wanted | {"config": {"resources": {"mem": "512m"}}}
        said = problem(await rest.send("POST", "/session", small), 400, "invalid-api-params")
        assert said["msg"].startswith(
            "Your resource request is smaller than the minimum required by the image. (cpu=0.5 mem=700m)"
        )
        assert (await rest.send("GET", "/session/large-01")).status_code == 404
        shared = wanted | {"config": {"resource_opts": {"shmem": "600m"}}}
        made = (await rest.send("POST", "/session", shared)).json()
        info = (await rest.send("GET", f"/session/{made['sessionId']}")).json()
        assert json.loads(info["requestedSlots"]) == {"cpu": "1", "mem": str(700 * 1024**2)}
        await rest.send("DELETE", f"/session/{made['sessionId']}?forced=true")
