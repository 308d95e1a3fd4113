"""Kernels on sessions, made for people and for notebooks: what a server then lists, and for how long."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest

from jupyter_sessions.kernels import auto_kernelspecs, cleanup, specs
from jupyter_sessions.kernels.specs import Kernel
from jupyter_sessions.service.changes import Change, KernelsChanged
from jupyter_sessions.wire.identity import own_identity
from tests.manager.world import until

if TYPE_CHECKING:
    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension

pytestmark = pytest.mark.in_memory

OWNED = {"name": "small", "image": "python", "resources": {"cpu": 1, "mem": "1g"}}

BAD: list[tuple[dict[str, Any], int, str, str]] = [
    ({}, 400, "InvalidRequest", "name"),
    ({"name": "one"}, 400, "InvalidRequest", "image"),
    ({"name": "A b", "image": "python"}, 400, "InvalidRequest", "name"),
    ({"name": "..", "image": "python"}, 400, "InvalidRequest", "name"),
    ({"name": "x" * 300, "image": "python"}, 400, "InvalidRequest", "name"),
    ({"name": "python3", "image": "python"}, 409, "AlreadyExists", "name"),
    (OWNED, 409, "AlreadyExists", "name"),
    ({"name": "one", "image": "pyton"}, 400, "UnknownImage", "image"),
    ({"name": "one", "image": "python", "backend": "nowhere"}, 404, "UnknownBackend", "backend"),
    ({"name": "one", "image": "python", "resources": {"mem": "much"}}, 400, "InvalidRequest", "mem"),
    ({"session": "nobody"}, 404, "SessionNotFound", "session"),
    ({"session": "demo", "image": "python"}, 400, "InvalidRequest", "session"),
    ({"sesion": "demo"}, 400, "InvalidRequest", "sesion"),
]


async def listed(rest: Rest) -> dict[str, Any]:
    """What launchers and kernel pickers are told."""
    return dict((await rest.json("GET", "/api/kernelspecs"))["kernelspecs"])


async def until_listed(rest: Rest, name: str, title: str = "") -> dict[str, Any]:
    """The kernelspec of that name, once it is there with that title."""
    deadline = time.monotonic() + 20
    while name not in (found := await listed(rest)) or title not in found[name]["spec"]["display_name"]:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.03)
    return dict(found[name]["spec"])


async def until_gone(rest: Rest, name: str) -> None:
    deadline = time.monotonic() + 20
    while name in await listed(rest):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.03)


async def test_one_for_notebooks_on_a_session_lives_as_long_as_that(rest: Rest) -> None:
    row = await rest.running("demo")
    made = await rest.json("POST", "kernelspecs", {"session": "demo"}, status=201)
    name = f"session-local-{row['id']}"
    assert (made["name"], made["display_name"]) == (name, "Session demo")
    await rest.json("POST", "kernelspecs", {"session": row["id"], "name": "mine"}, status=201)
    file = specs.folder_of(name) / "kernel.json"
    before = file.read_bytes()
    assert await rest.json("POST", "kernelspecs", {"session": f"local/{row['id']}"}, status=201) == made
    assert file.read_bytes() == before
    spec = (await listed(rest))[name]
    for kind in ("logo-svg", "logo-64x64"):
        icon = await rest.client.get(f"{rest.base_url.split('/a%40b')[0]}{spec['resources'][kind]}")
        assert icon.status_code == 200 and len(icon.content) > 100
    await rest.ask("DELETE", f"sessions/local/{row['id']}?forced=true")
    await until_gone(rest, name)
    assert "mine" in await listed(rest)
    status, said = await rest.refused("POST", "kernelspecs", {"session": row["id"]})
    assert (status, said["reason"]) == (409, "NotRunning")


async def test_sessions_that_run_are_offered(rest: Rest, extension: SessionsExtension) -> None:
    """In the server's own folder, as long as they run, by the name they have; notebooks' own ones are not."""
    assert extension.service is not None
    changes: list[Change] = []
    extension.service.feed.listen(lambda batch: changes.extend(batch.changes))
    owner = msgspec.to_builtins(own_identity())
    little = {"cpu": "0.5", "mem": "128m"}
    owned = await rest.running("owned", resources=little, owner=owner)
    batch = await rest.running("batch", resources=little, type="batch", startup_command="sleep 60")
    row = await rest.running("demo")
    name = f"session-local-{row['id']}"
    assert (await until_listed(rest, name))["language"] == "python"
    await until(lambda: KernelsChanged() in changes)
    names = [one for one in await listed(rest) if one.startswith("session-")]
    assert names == [name], (owned, batch)
    assert specs.listed() == []
    made = await rest.json("POST", "kernelspecs", {"session": "demo"}, status=201)
    assert made["name"] == name and specs.get(name) is not None
    await rest.json("PATCH", f"sessions/local/{row['id']}", {"name": "other"})
    await until_listed(rest, name, "Session other")
    await rest.ask("DELETE", f"sessions/local/{row['id']}?forced=true")
    await until_gone(rest, name)


async def test_only_the_newest_are_offered(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_kernelspecs, "MOST", 1)
    old = await rest.running("first")
    await until_listed(rest, f"session-local-{old['id']}")
    new = await rest.running("second")
    await until_listed(rest, f"session-local-{new['id']}")
    await until_gone(rest, f"session-local-{old['id']}")
    await rest.ask("DELETE", f"sessions/local/{new['id']}?forced=true")
    await until_listed(rest, f"session-local-{old['id']}")


async def test_one_of_sessions_of_its_own_is_there_until_it_is_removed(rest: Rest) -> None:
    made = await rest.json("POST", "kernelspecs", {**OWNED, "display_name": " "}, status=201)
    assert made["display_name"] == "Python · 1 CPU · 1 GiB"
    assert specs.get("small") == Kernel(
        name="small", display_name=made["display_name"], image="python", resources={"cpu": "1", "mem": "1g"}
    )
    (local,) = (await rest.json("GET", "backends"))["backends"]
    assert "small" in await listed(rest) and "small" not in [image["name"] for image in local["images"]]
    assert (await rest.ask("DELETE", "kernelspecs/small")).status_code == 204
    assert "small" not in await listed(rest)
    for name in ("small", "python3", "..%2Fkernels"):
        status, said = await rest.refused("DELETE", f"kernelspecs/{name}")
        assert (status, said["field"]) == (404, "name")


async def test_what_is_refused_leaves_nothing_behind(rest: Rest) -> None:
    row = await rest.running("demo")
    await until_listed(rest, f"session-local-{row['id']}")
    await rest.json("POST", "kernelspecs", OWNED, status=201)
    before = await listed(rest)
    for asked, status, reason, field in BAD:
        answer, said = await rest.refused("POST", "kernelspecs", asked)
        assert (answer, said["reason"], said.get("field")) == (status, reason, field), said
        assert said["hint"], said
    assert await listed(rest) == before


async def test_those_of_sessions_that_ended_unseen_are_swept_away(
    rest: Rest, extension: SessionsExtension
) -> None:
    row = await rest.create("demo")
    kept = {
        "live": f"local/{row['id']}",
        "elsewhere": "not-configured/x",  # Another server may know it.
    }
    for name, session in (kept | {"ended": "local/5c9f0d4e-0000-4000-8000-000000000000"}).items():
        specs.add(Kernel(name=name, display_name=name, session=session, ends_with_session=True))
    gone = f"local/{uuid4()}"
    for name, host in (("here", socket.gethostname()), ("other-host", "another.example")):
        specs.add(Kernel(name=name, display_name=name, session=gone, ends_with_session=True, host=host))
    kept["other-host"] = gone
    specs.add(Kernel(name="mine", display_name="Mine", session="long-gone"))
    assert extension.service is not None
    await cleanup.sweep(extension.service)
    assert {kernel.name for kernel in specs.listed()} == {*kept, "mine"}


@pytest.mark.parametrize("damage", ['{"metadata": []}', '{"metadata": {"kernel_provisioner": "x"}}', "{"])
async def test_a_broken_kernelspec_hides_no_other(rest: Rest, damage: str) -> None:
    folder = specs.folder_of("broken")
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(damage)
    await rest.json("POST", "kernelspecs", OWNED, status=201)
    assert [kernel.name for kernel in specs.listed()] == ["small"]
    assert (await rest.json("GET", "backends"))["backends"][0]["health"]["ok"]
