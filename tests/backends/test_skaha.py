"""What Skaha servers of several ages answer, as they were seen to, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from jupyter_sessions.backends import local
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.backends.skaha import Skaha, convert
from jupyter_sessions.backends.skaha.credentials import CANFAR, find
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    AlreadyExists,
    BadAnswer,
    InvalidRequest,
    NotSupported,
    SessionError,
    SessionNotFound,
    Unauthorized,
)
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.service.creation import SessionCreation
from tests.backends.recorded import BARE, NOW, OLD, Recorded


async def unused(backend: Backend, ref: str) -> SessionInfo:
    """Look up no session: none depends on another."""
    raise SessionNotFound(ref)


@pytest.mark.asyncio
async def test_rows_of_servers_of_all_ages(lab: Skaha) -> None:
    now, old, bare = [await lab.get(row["id"]) for row in (NOW, OLD, BARE)]
    assert (now.status, now.type, now.resources) == ("RUNNING", "interactive", {"cpu": "0.5", "mem": "4g"})
    assert now.started_at == datetime(2026, 8, 6, 12, tzinfo=UTC)
    assert (now.ends_at, now.ends_why) == (datetime(2026, 8, 10, 12, tzinfo=UTC), "lifetime")
    assert [(service.name, service.url) for service in now.services] == [("notebook", NOW["connectURL"])]
    assert now.extra["runAsUID"] == "1000" and now.extra["ramInUse"] == "0.35" and now.user_id == "ada"
    assert (old.status, old.result, old.type) == ("TERMINATED", "SUCCESS", "batch")
    assert old.resources == {"cpu": "2", "mem": "16g"} and old.services == []
    assert (bare.status, bare.resources, bare.extra["kind"]) == ("PENDING", {}, "carta")


@pytest.mark.asyncio
async def test_lists(lab: Skaha) -> None:
    assert [row.name for row in await lab.list(Query())] == ["view", "demo"]
    assert [row.name for row in await lab.list(Query(status="dead"))] == ["job-1"]
    assert [row.name for row in await lab.list(Query(status="all", limit=1, offset=1))] == ["demo"]
    everyone = await lab.list(Query(everyone=True))
    assert {(row.user_id, row.extra["kind"]) for row in everyone} >= {("ada", "notebook"), ("bob", "desktop")}
    assert (await lab.logs("hjko98yg"), await lab.logs("a0000001")) == ("a line\n", "")
    assert [(image.name, image.types) for image in await lab.images()] == [
        ("h/p/c:1", ["carta"]),
        ("h/p/j:1", ["headless"]),
        ("h/p/n:1", ["notebook", "headless"]),
    ]
    capacity = await lab.capacity()
    assert (capacity["cpu"].total, capacity["cpu"].free) == ("10.5", "7.5")
    assert (capacity["mem"].total, capacity["mem"].free) == ("64g", "54g")


@pytest.mark.asyncio
async def test_create_asks_as_the_vendors_clients_do(lab: Skaha, server: Recorded) -> None:
    spec = SessionSpec(
        name="Job",
        image="h/p/n:1",
        type="batch",
        startup_command="python run.py --fast",
        environ={"A": "b=c", "D": ""},
        resources={"cpu": 2, "mem": "1.5g", "gpu": 1} | {"gpu": None, "cuda.devices": 1},
    )
    row = await lab.create(normalized(spec))
    (posted,) = [request for request in server.asked if request.method == "POST"]
    assert (row.id, row.name) == ("newone00", "job")
    assert posted.headers["Authorization"] == "Bearer secret" and posted.path == "/skaha/v1/session"
    assert list(posted.query.items()) == [
        ("name", "Job"),
        ("image", "h/p/n:1"),
        ("cores", "2"),
        ("ram", "1.5"),
        ("gpus", "1"),
        ("type", "headless"),
        ("cmd", "python"),
        ("args", "run.py --fast"),
        ("env", "A=b=c"),
        ("env", "D="),
    ]
    creation = SessionCreation(unused)
    with pytest.raises(AlreadyExists):
        await creation.create(lab, SessionSpec(name="Job", image="other"))
    assert (await creation.create(lab, SessionSpec(name="Job", image="x"))).reused


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"cluster_size": 2}, NotSupported, "does not take sessions of several members"),
        ({"mounts": ["a"]}, NotSupported, "does not take a choice of folders"),
        ({"time_limit": 60}, NotSupported, "does not take a time limit"),
        ({"environ": {"A": "b"}}, NotSupported, "environ"),
        ({"type": "odd"}, InvalidRequest, "There are no odd sessions"),
        ({"image": None}, InvalidRequest, "image"),
        ({"resources": {"tpu": 1}}, NotSupported, "tpu"),
    ],
)
async def test_what_skaha_cannot_be_asked(
    lab: Skaha, server: Recorded, fields: dict[str, Any], error: type[SessionError], said: str
) -> None:
    with pytest.raises(error, match=said):
        await SessionCreation(unused).create(
            lab, SessionSpec(**{"name": "new", "image": "h/p/n:1", **fields})
        )
    assert not [request for request in server.asked if request.method == "POST"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            (400, "User ada has reached the maximum of 5 active sessions.\n"),
            InvalidRequest,
            "User ada has reached the maximum of 5",
        ),
        ((401, ""), Unauthorized, "Sign in anew"),
        (
            (503, "temporarily unavailable: /session\n"),
            SessionError,
            "temporarily unavailable: /session Try again in 7 s",
        ),
        ((200, "<html>hello</html>"), BadAnswer, "no JSON"),
        ((302, ""), BadAnswer, "answered 302"),
        ((500, "<!doctype html><h1>Oops</h1>"), BadAnswer, "lab answered 500"),
        ((500, "unexpected failure\n"), BadAnswer, "unexpected failure"),
    ],
)
async def test_errors_are_told_word_for_word(
    lab: Skaha, server: Recorded, answer: tuple[int, str], error: type[SessionError], said: str
) -> None:
    server.answer = web.Response(status=answer[0], text=answer[1], headers={"Retry-After": "7"})
    with pytest.raises(error, match=said):
        await lab.list(Query())


@pytest.mark.asyncio
async def test_ids_that_cannot_be_are_not_asked_for(lab: Skaha, server: Recorded) -> None:
    for ref in ("../context", "00000000-0000-0000-0000-000000000000", "", "ABCDEFGH"):
        with pytest.raises(SessionNotFound):
            await lab.get(ref)
    assert server.asked == []


CONFIG = """
version: 2
active: {authentication: srcnet, server: local}
authentication:
  srcnet: {mode: oidc, token: {access: fromfile}, expiry: {access: 4102444800.0}}
  cadc: {mode: x509, path: ~/some.pem}
servers:
  local: {idp: srcnet, url: "http://127.0.0.1:1/skaha", version: v1}
  other: {idp: cadc, url: "https://other/skaha", version: v0}
"""


def test_credentials_are_found_where_the_vendors_clients_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Unauthorized, match="canfar login"):
        find({}, {})
    (tmp_path / ".ssl").mkdir()
    (tmp_path / ".ssl" / "cadcproxy.pem").write_text("no certificate")
    login = find({}, {})
    assert (login.root, login.certificate) == (CANFAR, str(tmp_path / ".ssl" / "cadcproxy.pem"))
    with pytest.raises(Unauthorized, match="cannot be used"):
        login.tls()
    (tmp_path / ".canfar").mkdir()
    (tmp_path / ".canfar" / "config.yaml").write_text(CONFIG)
    login = find({}, {})
    assert (login.url, login.token, login.expires) == (
        "http://127.0.0.1:1/skaha/v1",
        "fromfile",
        datetime(2100, 1, 1, tzinfo=UTC),
    )
    login = find({"url": "https://other/skaha/"}, {})
    assert (login.url, login.certificate) == ("https://other/skaha/v0", str(tmp_path / "some.pem"))
    environment = {"CANFAR_URL": "http://env/skaha/v1", "CANFAR_TOKEN": "fromenv"}
    assert (find({}, environment).url, find({}, environment).token) == ("http://env/skaha/v1", "fromenv")
    options = {"url": "https://mine/skaha/v0", "token": "mine"}
    assert find(options, environment).url == "https://mine/skaha/v0"
    assert "mine" not in repr(find({"url": "https://x/y", "token": "mine"}, {}))


def found() -> dict[str, str] | None:
    """Options of the server that was found, if any."""
    backend = SessionService(JupyterSessions()).backends.get("skaha")
    return None if backend is None else backend.options


@pytest.mark.usefixtures("state")
def test_the_server_that_canfar_is_signed_in_to_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CANFAR_URL", "CANFAR_TOKEN", "CANFAR_CERTIFICATE"):
        monkeypatch.delenv(name, raising=False)
    assert found() is None
    file = tmp_path / ".canfar" / "config.yaml"
    file.parent.mkdir()
    file.write_text(CONFIG)
    assert found() == {"url": "http://127.0.0.1:1/skaha"}  # The token stays in the file, where it is renewed.
    for options in ({"url": "http://127.0.0.1:1/skaha/v0/", "token": "x"}, {}):
        configured = {"cluster": {"type": "skaha", **options}}
        assert [*SessionService(JupyterSessions(backends=configured)).backends] == ["local", "cluster"]
    file.write_text(CONFIG.replace("server: local", "server: other"))
    assert found() is None  # Never signed in: its certificate is not there.
    (tmp_path / "some.pem").write_text("")
    assert found() == {"url": "https://other/skaha"}
    monkeypatch.setenv("CANFAR_URL", "https://env/skaha/v1")
    assert found() is None
    monkeypatch.setenv("CANFAR_TOKEN", "fromenv")
    assert found() == {"url": "https://env/skaha/v1"}
    assert (find(found() or {}).url, find(found() or {}).token) == ("https://env/skaha/v1", "fromenv")


@pytest.mark.asyncio
@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("text", ["[", "servers: {}", CONFIG.replace("4102444800.0", "soon"), "\xff"])
async def test_a_configuration_that_cannot_be_read_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CANFAR_URL", raising=False)
    (tmp_path / ".canfar").mkdir()
    (tmp_path / ".canfar" / "config.yaml").write_bytes(text.encode("latin-1"))
    backend = SessionService(JupyterSessions()).backends["skaha"]
    with pytest.raises(InvalidRequest, match=r"config\.yaml cannot be read: .*") as caught:
        await backend.list(Query())
    assert "canfar login" in caught.value.hint


@pytest.mark.usefixtures("machine")
def test_this_machines_own_manager_is_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = local.find() or local.start()
    monkeypatch.setenv("CANFAR_URL", f"{contact.url}/skaha/v1")
    monkeypatch.setenv("CANFAR_TOKEN", contact.bearer())
    assert found() is None


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ({"cpuCoresInUse": "0.010", "ramInUse": "0.11"}, {"cpu_util": "1.000", "mem": "110000000"}),
        ({"coresInUse": "250m", "ramInUse": "101Mi"}, {"cpu_util": "25.00", "mem": "105906176"}),
        ({"coresInUse": "<none>", "ramInUse": "<none>"}, {}),
    ],
)
def test_the_use_of_a_session_in_both_spellings(said: dict[str, str], used: dict[str, str]) -> None:
    stat = convert.session_of({"id": "abcdefgh", **said}, "sky").live_stat or {}
    assert {name: float(metric["current"]) for name, metric in stat.items()} == {
        name: float(value) for name, value in used.items()
    }
