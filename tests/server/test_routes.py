"""Every route, as it should be used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_sessions import __version__

if TYPE_CHECKING:
    from conftest import Rest

pytestmark = pytest.mark.in_memory


async def test_about(rest: Rest) -> None:
    assert await rest.json("GET", "/jupyter-sessions") == {
        "version": __version__,
        "installed": __version__,
        "protocol": 1,
    }


async def test_a_session_is_a_row_at_once_and_is_seen_to_its_end(rest: Rest) -> None:
    asked = {
        "name": "demo",
        "image": "python",
        "resources": {"cpu": 1, "mem": "512m"},
        "environ": {"PET": "cat"},
    }
    started = time.monotonic()
    response = await rest.ask("POST", "sessions", asked)
    assert (response.status_code, time.monotonic() - started < 10) == (202, True)
    row = response.json()
    assert row["status"] in ("PENDING", "PREPARING") and row["name"] == "demo"
    assert response.headers["Location"] == f"/a%40b/jupyter-sessions/sessions/local/{row['id']}"
    assert [listed["id"] for listed in (await rest.json("GET", "sessions"))["sessions"]] == [row["id"]]
    row = await rest.until(row, "RUNNING")
    assert (row["image"], row["resources"]) == ("python3", {"cpu": "1", "mem": "512m"})
    ended = await rest.until(await rest.end(row), "TERMINATED")
    assert (ended["status_info"], ended["environ"]) == ("user-requested", {"PET": "cat"})
    assert (await rest.json("GET", "sessions"))["sessions"] == []
    again = await rest.json("DELETE", f"sessions/local/{row['id']}")
    assert again["status"] == "TERMINATED"


async def test_without_a_name_it_gets_one_and_a_part_of_the_machine(rest: Rest) -> None:
    row = await rest.json("POST", "sessions", {"image": "python"}, status=202)
    assert row["name"].startswith("python-") and {"cpu", "mem"} <= row["resources"].keys()


async def test_one_that_waits_is_cancelled(rest: Rest) -> None:
    (local,) = (await rest.json("GET", "backends"))["backends"]
    all_cpus = {"cpu": local["capacity"]["cpu"]["total"], "mem": "128m"}
    await rest.create("first", resources=all_cpus)
    second = await rest.create("second", resources=all_cpus)
    assert second["status"] == "PENDING" and "Waiting for" in second["status_info"]
    cancelled = await rest.json("DELETE", f"sessions/local/{second['id']}")
    assert cancelled["status"] == "CANCELLED"


async def test_lists_are_filtered_paged_ordered_and_cut(rest: Rest) -> None:
    names = ["one-a", "two-b", "three-c"]
    rows = [await rest.create(name, resources={"cpu": "0.1", "mem": "128m"}) for name in names]

    async def listed(query: str) -> list[Any]:
        return [row["name"] for row in (await rest.json("GET", f"sessions?{query}"))["sessions"]]

    assert await listed("order=name") == ["one-a", "three-c", "two-b"]
    assert await listed("order=-name&limit=1") == ["two-b"]
    assert await listed("order=created_at&offset=1&limit=1") == ["two-b"]
    assert await listed("limit=0") == []
    assert sorted(await listed("backend=local")) == sorted(names)
    await rest.until(await rest.end(rows[0], forced=True), "TERMINATED")
    assert await listed("order=name") == ["three-c", "two-b"]
    assert "one-a" in await listed("status=dead")
    assert set(names) <= set(await listed("status=all"))
    assert "one-a" in await listed("status=terminated,cancelled")
    (cut,) = (await rest.json("GET", "sessions?fields=name,tag&order=name&limit=1"))["sessions"]
    assert cut == {"backend": "local", "id": rows[2]["id"], "name": "three-c"}
    (whole,) = (await rest.json("GET", "sessions?details=user_id,main_kernel_id&order=name&limit=1"))[
        "sessions"
    ]
    assert whole["name"] == "three-c" and whole["user_id"] and whole["main_kernel_id"]


async def test_a_live_name_with_the_same_image_comes_back(rest: Rest) -> None:
    first = await rest.create("demo")
    assert "reused" not in first
    second = await rest.create("demo")
    assert (second["id"], second["reused"]) == (first["id"], True)


async def test_restart_keeps_all_but_memory_and_rename_keeps_all_but_the_name(rest: Rest) -> None:
    row = await rest.running("demo")
    await rest.run(row, "x = 1")
    path = f"sessions/local/{row['id']}"
    assert (await rest.json("PATCH", path, {"action": "restart"}))["status"] == "RUNNING"
    *_, reply = await rest.run(row, "x")
    assert reply["content"]["ename"] == "NameError"
    assert (await rest.json("PATCH", path, {"name": "other"}))["name"] == "other"
    listed = (await rest.json("GET", "sessions"))["sessions"]
    assert [(row["id"], row["name"]) for row in listed] == [(row["id"], "other")]


async def test_backends_tell_what_they_can_and_have(rest: Rest) -> None:
    answer = await rest.json("GET", "backends")
    (local,) = answer["backends"]
    assert answer["default_backend"] == "local" and local["is_default"]
    assert (local["title"], local["health"]) == ("This machine", {"ok": True, "message": None})
    assert {"cpu", "mem"} <= local["capacity"].keys() and local["default_resources"].keys() == {"cpu", "mem"}
    cpus = float(local["capacity"]["cpu"]["total"])
    assert float(local["suggested_resources"]["cpu"]) == max(min(1, cpus), cpus // 2)
    assert "python3" in [image["name"] for image in local["images"]]
    assert {"restart", "rename", "logs", "execute", "interrupt", "input"} <= set(local["capabilities"])
    assert local["name_rule"]["message"].startswith("Use 4 to 64")


async def test_logs_hold_what_was_printed(rest: Rest) -> None:
    row = await rest.running("demo")
    await rest.run(row, "print('as printed')")
    assert "as printed" in (await rest.json("GET", f"sessions/local/{row['id']}/logs"))["logs"]


async def test_what_was_printed_by_execution(rest: Rest) -> None:
    row = await rest.running("demo")
    for number in range(3):
        await rest.run(row, f"print({number})")
    path = f"sessions/local/{row['id']}/outputs"
    everything = await rest.json("GET", path)
    assert [one["code"] for one in everything["executions"]] == ["print(0)", "print(1)", "print(2)"]
    assert everything["gaps"] == []
    (last,) = (await rest.json("GET", f"{path}?last=1&since=1"))["executions"]
    assert (last["number"], last["outputs"][0]["text"], last["status"]) == (3, "2\n", "ok")
    (first, *_) = (await rest.json("GET", f"{path}?heads=true"))["executions"]
    assert first["outputs"] == []
    for query, field in (("last=x", "last"), ("heads=maybe", "heads"), ("since=-1", "since")):
        status, said = await rest.refused("GET", f"{path}?{query}")
        assert (status, said["field"]) == (400, field)


@pytest.mark.real
async def test_working_folders_are_relative_to_the_servers(rest: Rest, jp_root_dir: Any) -> None:
    (jp_root_dir / "sub").mkdir()
    at_root = await rest.running("root")
    below = await rest.running("below", cwd="sub")
    assert at_root["cwd"] == str(jp_root_dir)
    assert below["cwd"] == str(jp_root_dir / "sub")
    first, *_ = await rest.run(below, "import os; print(os.getcwd())")
    assert first["content"]["text"] == f"{jp_root_dir / 'sub'}\n"


@pytest.mark.real
async def test_a_service_is_started_or_refused_with_the_remedy(rest: Rest) -> None:
    row = await rest.until(await rest.create("small", resources={"cpu": "0.1", "mem": "128m"}), "RUNNING")
    place = f"sessions/local/{row['id']}/services/jupyter"
    refused = await rest.json("POST", place, status=409)
    assert refused["reason"] == "NoRoom"
    assert "needs about 110 MiB, and session 'small' has" in refused["message"]
    assert refused["data"]["limit"] == 128 * 1024**2
    assert "Start it anyway" in refused["hint"]
    started = await rest.json("POST", f"{place}?forced=true", status=202)
    url = f"/a%40b/jupyter-sessions/services/local/{row['id']}/jupyter/"
    assert started == {"name": "jupyter", "url": url}
    missing = await rest.json("POST", place.replace("jupyter", "kernel"), status=404)
    assert missing["message"] == "The session has no service 'kernel'."


@pytest.mark.real
async def test_taking_over_ends_no_session(rest: Rest) -> None:
    row = await rest.until(await rest.create("goes-on"), "RUNNING")
    response = await rest.ask("POST", "backends/local/takeover")
    assert (response.status_code, response.content) == (204, b"")
    row = await rest.json("GET", f"sessions/local/{row['id']}")
    assert (row["status"], row.get("restarts", 0)) == ("RUNNING", 0)
    assert (await rest.json("GET", "sessions"))["notices"] == {}
