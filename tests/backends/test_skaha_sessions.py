"""A Skaha session from its making to its end: what is made of answers that came oddly, its kinds, events and renewal."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import httpx
import pytest

from jupyter_sessions.backends import lost_creates
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import BadAnswer, InvalidRequest, NotRunning, SessionError, SessionNotFound
from jupyter_sessions.model import Event, SessionSpec
from jupyter_sessions.service import SessionService, create_replicas
from tests.backends.recorded import BARE, NOW, OLD, Recorded

pytestmark = pytest.mark.asyncio

IMAGE = "h/p/n:1"
END = "2026-08-14T12:00:00+00:00"


def service(server: Recorded) -> SessionService:
    """With that server alone."""
    backends = {"lab": {"type": "skaha", "url": server.url, "token": "canfar-token"}}
    return SessionService(JupyterSessions(backends=backends, enabled_backends=["lab"], default_backend="lab"))


@pytest.mark.parametrize("text", ["unexpected failure\n", "", "<html>Oops</html>"])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 507])
async def test_a_session_whose_making_ended_in_an_error_of_the_server_is_looked_for(
    lab: Skaha, server: Recorded, status: int, text: str
) -> None:
    server.answers["POST session"] = status, text
    assert (await lab.create(normalized(SessionSpec(name="new", image=IMAGE)))).id == "newone00"
    assert len([request for request in server.asked if request.method == "POST"]) == 1


async def test_one_that_was_not_made_is_told_of_in_the_servers_words(
    lab: Skaha, server: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_creates, "_PAUSES", (0.0, 0.01))
    server.makes = False
    server.answers["POST session"] = 500, "unexpected failure\n"
    with pytest.raises(BadAnswer, match="unexpected failure It may still be made: look at the list"):
        await lab.create(normalized(SessionSpec(name="new", image=IMAGE)))


@pytest.mark.parametrize(
    "answer", [(404, "session ID not found\n"), (401, ""), (403, "no\n"), (500, "unexpected\n"), (200, "{")]
)
async def test_one_that_was_made_is_told_of_whatever_a_look_at_it_says(
    lab: Skaha, server: Recorded, answer: tuple[int, str]
) -> None:
    server.answers["GET newone00"] = answer
    row = await lab.create(
        normalized(SessionSpec(name="New", image=IMAGE, type="batch", resources={"mem": "1g"}))
    )
    assert (row.backend, row.id, row.name, row.image) == ("lab", "newone00", "new", IMAGE)
    assert (row.status, row.type, row.resources) == ("PENDING", "batch", {"mem": "1g"})
    assert row.created_at is not None


async def test_renewed_sessions_have_their_time_again(lab: Skaha, server: Recorded) -> None:
    row = await lab.renew(NOW["id"])
    assert (row.id, row.ends_at) == (NOW["id"], datetime.fromisoformat(END))
    (posted,) = [request for request in server.asked if request.method == "POST"]
    assert posted.path_qs == f"/skaha/v1/session/{NOW['id']}?action=renew"
    for uid in (OLD["id"], "a0000001", "../context"):
        with pytest.raises(SessionNotFound):
            await lab.renew(uid)
    server.answers[f"POST {NOW['id']}"] = 400, "No, not today.\n"
    with pytest.raises(InvalidRequest, match="No, not today"):
        await lab.renew(NOW["id"])
    with pytest.raises(NotRunning, match="has ended"):
        await service(server).renew("lab", OLD["id"])


async def test_events_are_those_of_the_platform(lab: Skaha, server: Recorded) -> None:
    first = datetime(2026, 8, 6, 12, tzinfo=UTC)
    assert await lab.events(NOW["id"]) == [
        Event("Normal  Scheduled  Successfully assigned skaha/a to node-1", first),
        Event('Warning  Failed  Failed to pull image "x": not found', first.replace(second=4)),
        Event('Normal  Pulling  Pulling image "x"'),
    ]
    assert await lab.events(BARE["id"]) == []
    with pytest.raises(SessionNotFound):
        await lab.events("a0000001")
    server.events = "<none>\n"
    assert await lab.events(NOW["id"]) == []
    server.events = "something else\n"
    assert await lab.events(NOW["id"]) == [Event("something else")]


@pytest.mark.parametrize(
    ("asked", "image", "kind"),
    [
        ("", "h/p/n:1", "notebook"),
        ("", "h/p/c:1", "carta"),
        ("", "h/p/j:1", "headless"),
        ("", "h/private/x:1", "notebook"),
        ("interactive", "h/p/c:1", "notebook"),
        ("notebook", "h/p/n:1", "notebook"),
        ("batch", "h/p/n:1", "headless"),
        ("headless", "h/p/n:1", "headless"),
        *((kind, "h/p/n:1", kind) for kind in ("desktop", "carta", "contributed", "firefly")),
    ],
)
async def test_the_kind_is_as_asked_for_or_else_as_the_image_is_for(
    server: Recorded, asked: str, image: str, kind: str
) -> None:
    await service(server).create(SessionSpec(name="new", image=image, type=asked))
    (posted,) = [request for request in server.asked if request.method == "POST"]
    assert posted.query["type"] == kind


async def test_replicas_know_their_number_whatever_their_kind(server: Recorded) -> None:
    for kind in ("batch", "carta"):
        spec = SessionSpec(name=f"a-{kind}", image=IMAGE, type=kind, replicas=2)
        _, failures = await create_replicas(service(server), spec)
        assert failures == []
    posted = [request.query for request in server.asked if request.method == "POST"]
    assert sorted((query["name"], *query.getall("env")) for query in posted) == [
        (f"a-{kind}-{number}", f"REPLICA_ID={number}", "REPLICA_COUNT=2")
        for kind in ("batch", "carta")
        for number in (1, 2)
    ]


async def test_no_secret_is_logged(server: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lab = service(server)
    spec = SessionSpec(name="new", image=IMAGE, type="batch", environ={"PASSWORD": "hunter2"})
    row = await lab.create(spec)
    await lab.list()
    await lab.describe()
    for work in (lab.get, lab.logs, lab.events, lab.renew, lab.destroy):
        try:
            await work("lab", row.id)
        except SessionError as error:
            assert "hunter2" not in str(error)
    server.answers["POST session"] = 400, "No.\n"
    with pytest.raises(InvalidRequest):
        await lab.create(SessionSpec(name="two", image=IMAGE, type="batch", environ={"PASSWORD": "hunter2"}))
    await lab.close()
    assert [request for request in server.asked if "hunter2" in request.query_string]
    assert f"HTTP Request: POST {server.url}/v1/session " in caplog.text
    for secret in ("hunter2", "PASSWORD", "canfar-token"):
        assert secret not in caplog.text


async def test_the_logs_of_others_are_as_ever(server: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with httpx.AsyncClient() as http:
        await http.get(f"{server.url}/v1/session", params={"view": "stats"})
    assert "/v1/session?view=stats" in caplog.text
