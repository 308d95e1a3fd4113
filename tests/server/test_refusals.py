"""What is asked wrongly: one sentence that names the field and the remedy, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.wire.places import STATE_VARIABLE, place
from tests.resources.watching import longest_stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension

pytestmark = pytest.mark.in_memory

GOOD = {"name": "demo", "image": "python", "resources": {"cpu": 1, "mem": "256m"}}

BAD_SPECS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"image": "no-such"}, 400, "UnknownImage", "image"),
    ({"name": "a b"}, 400, "InvalidRequest", "name"),
    ({"name": "abc"}, 400, "InvalidRequest", "name"),
    ({"name": ""}, 400, "InvalidRequest", "name"),
    ({"name": 7}, 400, "InvalidRequest", "name"),
    ({"nmae": "demo"}, 400, "InvalidRequest", "nmae"),
    ({"backend": "nowhere"}, 404, "UnknownBackend", "backend"),
    ({"preset": "none"}, 400, "InvalidRequest", "preset"),
    ({"cwd": "/no/such/folder"}, 400, "InvalidRequest", "cwd"),
    ({"environ": {"A": 1}}, 400, "InvalidRequest", "environ"),
    ({"resources": [1]}, 400, "InvalidRequest", "resources"),
    ({"resources": {"cpu": 0}}, 400, "InvalidRequest", "cpu"),
    ({"resources": {"cpu": -1}}, 400, "InvalidRequest", "cpu"),
    ({"resources": {"cpu": "many"}}, 400, "InvalidRequest", "cpu"),
    ({"resources": {"cpu": "nan"}}, 400, "InvalidRequest", "cpu"),
    ({"resources": {"mem": 0}}, 400, "InvalidRequest", "mem"),
    ({"resources": {"mem": "-1g"}}, 400, "InvalidRequest", "mem"),
    ({"resources": {"mem": "lots"}}, 400, "InvalidRequest", "mem"),
    ({"resources": {"mem": True}}, 400, "InvalidRequest", "resources"),
    ({"resources": {"tpu.device": 1}}, 400, "InvalidRequest", "tpu.device"),
    ({"resources": {"cpu": 99999}}, 412, "NotEnough", "cpu"),
    ({"resources": {"mem": "7e"}}, 412, "NotEnough", "mem"),
    ({"resources": {"cuda.device": 512}}, 412, "NotEnough", "cuda.device"),
    ({"replicas": 3}, 501, "NotSupported", "replicas"),
    ({"time_limit": "4 parsecs"}, 400, "InvalidRequest", "time_limit"),
    ({"idle_timeout": -1}, 400, "InvalidRequest", "idle_timeout"),
    ({"starts_at": "soon"}, 400, "InvalidRequest", "starts_at"),
    ({"dependencies": ["nobody"]}, 400, "InvalidRequest", "dependencies"),
    ({"callback_url": "file:///etc/passwd"}, 400, "InvalidRequest", "callback_url"),
    ({"mounts": ["data"]}, 400, "InvalidRequest", "mounts"),
    ({"type": "batch"}, 400, "InvalidRequest", "startupCommand"),
    ({"group": "others"}, 400, "InvalidRequest", "group"),
]


async def test_bad_specs_are_refused_and_leave_nothing(rest: Rest) -> None:
    async def everything() -> object:
        folders = sorted((place().folder / "sessions").glob("*"))
        return (await rest.json("GET", "sessions?status=all&fields=name"))["sessions"], folders

    before = await everything()
    for change, status, reason, field in BAD_SPECS:
        code, said = await rest.refused("POST", "sessions", {**GOOD, **change})
        assert (code, said["reason"], said.get("field")) == (status, reason, field), (change, said)
        assert said["hint"], (change, said)
    assert await everything() == before


async def test_too_much_names_what_there_is(rest: Rest) -> None:
    _, said = await rest.refused("POST", "sessions", {**GOOD, "resources": {"cpu": 99999}})
    assert said["message"].startswith("You asked for 99999 CPU, but this machine has ")
    assert "Available at most:" in said["hint"]
    _, said = await rest.refused("POST", "sessions", {**GOOD, "image": "pyton"})
    assert "Did you mean 'python" in said["hint"]


async def test_a_live_name_with_another_image_is_refused(rest: Rest) -> None:
    import sys

    row = await rest.create("demo")
    status, said = await rest.refused("POST", "sessions", {**GOOD, "image": sys.executable})
    assert (status, said["reason"], said["field"]) == (409, "AlreadyExists", "name")
    assert said["data"] == {"existingSessionId": row["id"]}
    status, said = await rest.refused("POST", "sessions", {**GOOD, "reuse_if_exists": False})
    assert (status, said["reason"]) == (409, "AlreadyExists")


BAD_REQUESTS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "sessions?status=bogus", None, 400, "status"),
    ("GET", "sessions?limit=x", None, 400, "limit"),
    ("GET", "sessions?limit=-1", None, 400, "limit"),
    ("GET", "sessions?limit=" + "9" * 5000, None, 400, "limit"),
    ("GET", "sessions?offset=1.5", None, 400, "offset"),
    ("GET", "sessions?order=colour", None, 400, "order"),
    ("GET", "sessions?fields=name,colour", None, 400, "fields"),
    ("GET", "sessions?backend=nowhere", None, 404, "backend"),
    ("GET", "sessions?since=x&epoch=y", None, 400, "since"),
    ("GET", "sessions/nowhere/x", None, 404, "backend"),
    ("GET", "sessions/local/not-an-id", None, 404, "session"),
    ("GET", "sessions/local/00000000-0000-0000-0000-000000000000", None, 404, "session"),
    ("DELETE", "sessions/local/00000000-0000-0000-0000-000000000000", None, 404, "session"),
    ("DELETE", "sessions/local/x?forced=perhaps", None, 400, "forced"),
    ("PATCH", "sessions/local/x", {}, 400, "action"),
    ("PATCH", "sessions/local/x", {"action": "dance"}, 400, "action"),
    ("PATCH", "sessions/local/x", {"action": "renew"}, 404, "session"),
    ("PATCH", "sessions/local/x", {"action": "renew", "name": "both"}, 400, "action"),
    ("PATCH", "sessions/local/x", {"action": "restart"}, 404, "session"),
    ("PATCH", "sessions/local/x", {"action": "restart", "name": "both"}, 400, "action"),
    ("PATCH", "sessions/local/x", {"name": "a b"}, 400, "name"),
    ("GET", "sessions/local/x/logs", None, 404, "session"),
    ("GET", "sessions/local/x/events", None, 404, "session"),
    ("POST", "sessions/local/x/execute", {"code": "1"}, 404, "session"),
    ("POST", "sessions/local/x/execute", {}, 400, "code"),
    ("POST", "sessions/local/x/execute", {"code": 1}, 400, "code"),
    ("POST", "sessions/local/x/execute", {"code": "1", "stdin": "yes"}, 400, "stdin"),
    ("POST", "sessions/local/x/interrupt", None, 404, "session"),
    ("POST", "sessions/local/x/input", {"run": "1"}, 400, "text"),
    ("POST", "sessions/local/x/input", {"run": "1", "text": "a"}, 404, "session"),
]


async def test_bad_requests_are_refused(rest: Rest) -> None:
    for method, path, body, status, field in BAD_REQUESTS:
        code, said = await rest.refused(method, path, body)
        assert (code, said.get("field")) == (status, field), (method, path[:60], said)


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": "\xff"}', b"[]", b"null", b"7", b'"x"'])
async def test_what_is_no_json_object_is_refused(rest: Rest, body: bytes) -> None:
    status, said = await rest.refused("POST", "sessions", content=body)
    assert status == 400 and said["reason"] == "InvalidRequest" and said["hint"]


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [70, 5000])
async def test_what_is_nested_too_deep_is_refused(rest: Rest, opening: str, closing: str, depth: int) -> None:
    deep = opening * depth + "1" + closing * depth
    for body in (deep, f'{{"name": "demo", "resource_opts": {{"a": {deep}}}}}'):
        status, said = await rest.refused("POST", "sessions", content=body.encode())
        assert status == 400 and "64 deep" in said["message"], said


TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"environ": {f"V{number}": "" for number in range(1001)}}, "environ"),
    ({"mounts": ["data"] * 101}, "mounts"),
    ({"resources": {f"r{number}": 1 for number in range(101)}}, "resources"),
    ({"resource_opts": {"a": [0] * 101}}, "resource_opts"),
    ({"dependencies": ["demo"] * 101}, "dependencies"),
    ({"environ": {"A": "x" * 2**20}}, ""),
    ({"tag": "x" * 2**20}, ""),
]


async def test_a_spec_is_of_bounded_size(rest: Rest, extension: SessionsExtension) -> None:
    """From whoever it comes: over HTTP, or from this process."""
    assert extension.service is not None
    for change, field in TOO_MUCH:
        status, said = await rest.refused("POST", "sessions", {**GOOD, **change})
        assert (status, said.get("field", "")) == (400, field), said
        assert "at most" in said["message"] and said["hint"], said
        with pytest.raises(InvalidRequest, match="at most"):
            await extension.service.create(SessionSpec(**GOOD | change))


async def test_so_many_variables_stop_nobody(rest: Rest) -> None:
    """They are not decoded, which would take seconds and a gigabyte."""
    body = b'{"environ": {' + b'"V": "",' * 1_500_000 + b'"W": ""}}'
    asked = asyncio.create_task(rest.refused("POST", "sessions", content=body))
    longest = await longest_stop(asked)
    status, said = await asked
    assert status == 400 and "1 MiB" in said["message"]
    assert longest < 1.0
    status, said = await rest.refused("POST", "sessions/local/x/input", content=b'{"run": "' + b"x" * 2**20)
    assert status == 400 and "1 MiB" in said["message"]


async def test_unknown_addresses_and_methods_are_json_too(rest: Rest) -> None:
    for method, path, status in [
        ("GET", "nothing", 404),
        ("GET", "sessions/local/a/b/c", 404),
        ("PUT", "sessions", 405),
    ]:
        code, said = await rest.refused(method, path)
        assert code == status and said["reason"] in ("NotFound", "MethodNotAllowed")


async def test_a_session_that_cannot_do_it_says_why(rest: Rest) -> None:
    all_cpus = {
        "cpu": (await rest.json("GET", "backends"))["backends"][0]["capacity"]["cpu"]["total"],
        "mem": "128m",
    }
    await rest.create("first", resources=all_cpus)
    waiting = await rest.create("second", resources=all_cpus)
    path = f"sessions/local/{waiting['id']}"
    for method, where, body in [
        ("POST", "/execute", {"code": "1"}),
        ("POST", "/interrupt", None),
        ("PATCH", "", {"action": "restart"}),
    ]:
        status, said = await rest.refused(method, path + where, body)
        assert (status, said["reason"]) == (409, "NotRunning") and "waiting for" in said["message"]
    status, said = await rest.refused("PATCH", path, {"name": "first"})
    assert (status, said["field"]) == (400, "name")


@pytest.fixture
def unusable_state(tmp_path: Path) -> Iterator[None]:
    """A state folder that cannot be made."""
    (tmp_path / "file").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(tmp_path / "file" / "state"))
        yield


async def test_one_that_has_ended_says_so(rest: Rest) -> None:
    row = await rest.create("demo")
    path = f"sessions/local/{row['id']}"
    await rest.until(await rest.end(row, forced=True), "TERMINATED")
    asked = [
        ("POST", "/execute", {"code": "1"}),
        ("POST", "/interrupt", None),
        ("PATCH", "", {"name": "other"}),
    ]
    for method, where, body in asked:
        status, said = await rest.refused(method, path + where, body)
        assert (status, said["message"]) == (
            409,
            "The session 'demo' has ended (on request).",
        )
    assert "logs" in await rest.json("GET", f"{path}/logs")


async def test_a_state_folder_that_cannot_be_used_is_said(rest: Rest, unusable_state: None) -> None:
    status, said = await rest.refused("POST", "sessions", GOOD)
    assert status == 503 and "This machine cannot be used" in said["message"]
    listed = await rest.json("GET", "sessions?status=all")
    assert listed["sessions"] == [] and "cannot be used" in listed["errors"]["local"]
    (described,) = (await rest.json("GET", "backends"))["backends"]
    assert described["health"]["ok"] is False and "cannot be used" in described["health"]["message"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of seconds, for the patience of tests."""
    for name in ("GET_SECONDS", "ACT_SECONDS", "LOOK_SECONDS"):
        for module in ("service", "backend_service"):
            monkeypatch.setattr(f"jupyter_sessions.service.{module}.{name}", 1.0, raising=False)


@pytest.mark.real
async def test_a_manager_that_hangs_is_given_up_in_time(rest: Rest, impatient: None) -> None:
    contact = await asyncio.to_thread(local.start)  # For which nobody here waits long.
    row = await rest.running("demo")
    os.kill(contact.identity.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert len((await rest.json("GET", "sessions"))["sessions"]) == 1  # What was known last.
        for method, path, body in [
            ("GET", f"sessions/local/{row['id']}", None),
            ("POST", "sessions", {**GOOD, "name": "other"}),
            ("GET", f"sessions/local/{row['id']}/logs", None),
            ("POST", f"sessions/local/{row['id']}/interrupt", None),
        ]:
            status, said = await rest.refused(method, path, body)
            assert (status, said["reason"]) == (504, "BackendTimeout"), said
            assert ("look at the list" in said["hint"]) == (method == "POST")
        (described,) = (await rest.json("GET", "backends"))["backends"]
        assert "did not answer within" in described["health"]["message"]
        assert time.monotonic() - begun < 10
    finally:
        os.kill(contact.identity.pid, signal.SIGCONT)
    assert (await rest.json("GET", f"sessions/local/{row['id']}"))["status"] == "RUNNING"
