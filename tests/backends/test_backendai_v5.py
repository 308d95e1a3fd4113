"""A manager with the monitoring API of v5.20191215, which refuses each field that came later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from graphql import build_schema, graphql_sync

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

SCHEMA = build_schema((Path(__file__).parents[1] / "resources" / "monitoring_v5.graphql").read_text())
UID = "12c45b55-ce3c-418d-9c58-223bbba307f1"
ROW: dict[str, Any] = {
    "id": UID,
    "name": "mysession",
    "type": "interactive",
    "image": "python:3.6",
    "access_key": "A",
    "user_email": "user@lablup.com",
    "domain_name": "default",
    "scaling_group": "gpus",
    "status": "RUNNING",
    "status_changed": "2020-02-16T15:47:28.997335+00:00",
    "created_at": "2020-02-16T15:47:00+00:00",
    "occupied_slots": '{"cpu": "2", "mem": "1073741824"}',
    "mounts": [],
    "containers": [
        {"id": UID, "role": "master", "hostname": "main1", "agent": "i-agent01", "status": "RUNNING"}
    ],
    "dependencies": [],
}


class OldManager:
    """Answers GraphQL bare, with errors as status 400."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.refuses = ""
        self.status = "RUNNING"

    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/", self._version)
        app.router.add_post("/admin/graphql", self._query)
        app.router.add_post("/session", self._create)
        return app

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "v5.20191215"})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.rows.append(ROW | {"name": body["name"]})
        return web.json_response({"sessionId": UID, "status": self.status, "created": True}, status=201)

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.json()
        rows = {
            "keypair": {"access_key": "A"},
            "compute_session": lambda _, **given: next(
                (row for row in self.rows if row["id"] == given["id"]), None
            ),
            "compute_session_list": lambda _, **given: {"items": self.rows, "total_count": len(self.rows)},
        }
        done = graphql_sync(SCHEMA, body["query"], rows, variable_values=body["variables"])
        problems = [one.formatted for one in done.errors or []]
        if self.refuses and "compute_session(" in body["query"]:
            problems = [{"message": self.refuses}]
        if problems:
            kind, title = "https://api.backend.ai/probs/graphql-error", "GraphQL-generated error."
            return web.json_response({"type": kind, "title": title, "data": problems}, status=400)
        return web.json_response(done.data)


@pytest_asyncio.fixture
async def old() -> AsyncIterator[tuple[OldManager, BackendAI, SessionService]]:
    """The manager, and a backend and service on it."""
    manager = OldManager()
    async with TestServer(manager.app()) as server:
        url = str(server.make_url("")).rstrip("/")
        options = {"endpoint": url, "access_key": "A", "secret_key": "S"}
        service = SessionService(
            JupyterSessions(
                backends={"lab": {"type": "backendai", **options}},
                enabled_backends=["lab"],
                default_backend="lab",
            )
        )
        lab = service.backends["lab"]
        assert isinstance(lab, BackendAI)
        yield manager, lab, service
        await service.close()


async def test_sessions_are_listed_looked_at_and_made(
    old: tuple[OldManager, BackendAI, SessionService],
) -> None:
    _, lab, service = old
    made = await lab.create(normalized(SessionSpec(backend="lab", name="mysession", image="python:3.6")))
    assert (made.id, made.status, made.resources) == (UID, "RUNNING", {"cpu": "2", "mem": "1g"})
    (row,) = await lab.list(Query())
    assert (row.name, row.type, row.resources) == ("mysession", "interactive", {"cpu": "2", "mem": "1g"})
    everything = tuple(SessionInfo.__struct_fields__)
    (row,) = await lab.list(Query(fields=(*everything, "cluster_template", "abusing_reports")))
    assert (row.user_email, row.resource_group, row.containers[0].role) == (
        "user@lablup.com",
        "gpus",
        "master",
    )
    assert [one.id for one in await lab.states()] == [UID]
    shown = await perform(service, parse("ps --format name,user_email,scaling_group,agent_ids"), print)
    assert "user@lablup.com" in shown.text() and "gpus" in shown.text()


async def test_a_refused_query_is_told_in_the_managers_words(
    old: tuple[OldManager, BackendAI, SessionService],
) -> None:
    manager, lab, _ = old
    manager.refuses = "Cannot query field 'x' on type 'ComputeSession'."
    with pytest.raises(InvalidRequest, match="Cannot query field 'x' on type 'ComputeSession'"):
        await lab.get(UID)


async def test_a_session_that_cannot_be_read_back_is_not_lost(
    old: tuple[OldManager, BackendAI, SessionService],
) -> None:
    manager, lab, service = old
    manager.refuses = "Internal error."
    made = await lab.create(normalized(SessionSpec(backend="lab", name="mysession", image="python:3.6")))
    assert (made.id, made.name, made.status) == (UID, "mysession", "RUNNING")
    said: list[str] = []
    await perform(service, parse("create python:3.6 --name again"), said.append)
    assert said[-1].startswith("again is running: python:3.6")


async def test_a_session_that_cannot_be_followed_is_told_of_before_the_error(
    old: tuple[OldManager, BackendAI, SessionService],
) -> None:
    manager, _, service = old
    manager.refuses, manager.status = "Internal error.", "PENDING"
    said: list[str] = []
    with pytest.raises(InvalidRequest, match=r"Internal error\."):
        await perform(service, parse("create python:3.6 --name again"), said.append)
    assert said[-1] == "again is waiting: python:3.6 on lab"
