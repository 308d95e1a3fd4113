"""Sessions whose making was not answered, or not as it should be: which one is told of, and that none is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from jupyter_sessions.backends import lost_creates
from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.errors import AlreadyExists, BackendUnavailable, InvalidRequest, SessionError
from jupyter_sessions.model import SessionSpec
from tests.backends.small_manager import Handler, SmallManager, problem, serving

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is looked for a moment only."""
    monkeypatch.setattr(lost_creates, "_PAUSES", (0.0, 0.01))


@asynccontextmanager
async def at(manager: SmallManager) -> AsyncIterator[BackendAI]:
    """A backend on it."""
    async with serving(manager) as url:
        lab = BackendAI("lab", endpoint=url, access_key="A", secret_key="S")
        yield lab
        await lab.close()


def spec(**fields: Any) -> SessionSpec:
    """What is asked for."""
    return SessionSpec(**({"backend": "lab", "name": "train-1", "image": "python"} | fields))


def lost(manager: SmallManager, *, make: bool = False) -> Handler:
    """A gateway that gives up, after the manager did as asked or before."""

    async def handle(request: web.Request) -> web.Response:
        if make:
            await manager.make(request)
        return web.Response(status=504, text="<html>", content_type="text/html")

    return handle


async def test_a_new_session_is_told_from_one_of_the_same_name_whatever_the_clocks_say() -> None:
    manager = SmallManager()
    manager.row("train-1", status="TERMINATING")
    manager.create = lost(manager, make=True)  # What it makes is said to be years old.
    async with at(manager) as lab:
        row = await lab.create(normalized(spec()))
    assert (row.id, row.status, row.reused) == (manager.rows[-1]["id"], "PENDING", False)
    assert manager.count("POST /session") == 1


@pytest.mark.parametrize("image", ["python", "cr/python:3"])
async def test_a_live_one_of_that_image_by_whatever_name_is_reused(image: str) -> None:
    manager = SmallManager()
    old = manager.row("train-1", "cr/python:3")
    manager.create = lost(manager)
    async with at(manager) as lab:
        row = await lab.create(normalized(spec(image=image)))
        assert (row.id, row.reused) == (old["id"], True)
        with pytest.raises(AlreadyExists):
            await lab.create(normalized(spec(image=image, reuse_if_exists=False)))


async def test_one_of_another_image_is_in_the_way() -> None:
    manager = SmallManager()
    old = manager.row("train-1", "cr/r-base:4")
    manager.create = lost(manager)
    async with at(manager) as lab:
        with pytest.raises(AlreadyExists, match="'cr/r-base:4'") as caught:
            await lab.create(normalized(spec()))
    assert caught.value.data == {"existingSessionId": old["id"]}


async def test_one_that_is_being_ended_is_not_the_one_that_was_asked_for() -> None:
    manager = SmallManager()
    manager.row("train-1", status="TERMINATING")
    manager.create = lost(manager)
    async with at(manager) as lab:
        with pytest.raises(SessionError, match=r"504.*may still be made: look at the list") as caught:
            await lab.create(normalized(spec()))
    assert caught.value.reason == "BackendTimeout"


async def test_what_is_made_although_the_manager_failed_is_found() -> None:
    manager = SmallManager()

    async def failing(request: web.Request) -> web.Response:
        await manager.make(request)
        return problem(500, "internal-server-error", "Internal server error.")

    manager.create = failing
    async with at(manager) as lab:
        row = await lab.create(normalized(spec()))
    assert (row.id, row.reused, manager.count("POST /session")) == (manager.rows[-1]["id"], False, 1)


async def test_when_to_try_again_is_not_lost() -> None:
    manager = SmallManager()

    async def busy(request: web.Request) -> web.Response:
        return problem(503, "service-unavailable", "Serivce unavailable.", Retry_After="7")

    manager.create = busy
    async with at(manager) as lab:
        with pytest.raises(BackendUnavailable, match=r"look at the list .*Try again in 7 s\."):
            await lab.create(normalized(spec()))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, "object-not-found"), (400, "invalid-api-params"), (500, "internal-server-error")],
)
async def test_what_was_made_is_never_told_of_as_refused(status: int, kind: str) -> None:
    manager = SmallManager()

    async def fail(request: web.Request) -> web.Response:
        return problem(status, kind, "No such session.")

    manager.get = fail
    async with at(manager) as lab:
        row = await lab.create(normalized(spec(resources={"cpu": "1"})))
    assert (row.id, row.name, row.status, row.reused) == (manager.rows[0]["id"], "train-1", "PENDING", False)
    assert row.resources == {"cpu": "1"}


async def test_a_manager_that_does_not_tell_who_has_a_name_makes_sessions_all_the_same() -> None:
    manager = SmallManager()
    async with at(manager) as lab:
        client = await lab.client()
        plain = client.query

        async def refusing(text: str, variables: dict[str, object]) -> dict[str, Any]:
            if "compute_session_list" in text:
                raise InvalidRequest("No.")
            return await plain(text, variables)

        client.query = refusing  # type: ignore[method-assign]
        assert (await lab.create(normalized(spec()))).id == manager.rows[0]["id"]
