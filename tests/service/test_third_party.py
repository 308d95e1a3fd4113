"""Backends of others: good ones are as our own, bad ones are named and do no harm."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.backends.signin import SignIn
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    BackendTimeout,
    BackendUnavailable,
    BadAnswer,
    InvalidRequest,
    NotRunning,
    NotSupported,
    SessionNotFound,
)
from jupyter_sessions.model import Service, SessionInfo, SessionSpec
from jupyter_sessions.service import Batch, SessionService, backend_service, cells
from jupyter_sessions.service import service as service_module
from jupyter_sessions.service.info import Health
from jupyter_sessions.service.registry import find_types

pytestmark = pytest.mark.asyncio


def made(*names: str, **more: Any) -> SessionService:
    """A service with toys of these types, called as their types, and nothing else."""
    backends = {name: {"type": name} for name in names} | more
    return SessionService(
        JupyterSessions(backends=backends, enabled_backends=[*backends], default_backend=names[0])
    )


async def test_broken_entry_points_are_warned_of_and_skipped(
    toys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    types = find_types()
    assert {"local", "backendai", "toy", "hanging"} <= types.keys()
    assert not {"absent", "number", "unimportable"} & types.keys()
    for name in ("absent", "number", "unimportable"):
        assert f"The session backend '{name}' is skipped" in caplog.text
    service = made("toy", "unmakeable", nothing={"type": "no-such-type"})
    assert [*service.backends] == ["toy"]
    assert "'unmakeable' is skipped, it cannot be made" in caplog.text
    assert "'nothing' is skipped: there is no type 'no-such-type'" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_four_methods_are_enough(toys: Path) -> None:
    service = made("toy")
    row = await service.create(SessionSpec(name="mine", tag="a note"))
    assert (row.backend, row.name, row.status) == ("toy", "mine", "RUNNING")
    assert [found.id for found in (await service.list()).sessions] == [row.id]
    assert (await service.find("toy/mine")).id == (await service.find(row.id)).id == row.id
    (described,) = await service.describe()
    assert (described.capabilities, described.health.ok, described.capacity) == ([], True, {})
    for work in (
        service.restart("toy", row.id),
        service.logs("toy", row.id),
        service.interrupt("toy", row.id),
    ):
        with pytest.raises(NotSupported, match="The backend 'toy' cannot"):
            await work
    with pytest.raises(InvalidRequest, match="lower-case"):
        await service.create(SessionSpec(name="UPPER"))
    assert (await service.destroy("toy", row.id)).status == "TERMINATED"


async def test_a_connection_that_broke_off_is_the_backend_s_fault_unless_the_session_has_ended(
    toys: Path,
) -> None:
    service = made("breaking")
    for name, kind, said in (
        ("lives", BackendUnavailable, "broke off"),
        ("dies", NotRunning, "has ended"),
    ):
        row = await service.create(SessionSpec(name=name))
        with pytest.raises(kind, match=said):
            async for _ in service.execute("breaking", row.id, "1"):
                pass


async def test_one_that_hangs_or_raises_breaks_no_list(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_service, "LOOK_SECONDS", 0.3)
    service = made("toy", "hanging", "raising")
    row = await service.create(SessionSpec(name="mine"))
    begun = time.monotonic()
    listing = await service.list()
    assert time.monotonic() - begun < 10, "in no server, too: one backend alone would be given 15 s"
    assert [found.id for found in listing.sessions] == [row.id]
    assert "hanging did not answer within" in listing.errors["hanging"]
    assert "'raising' failed: ValueError: the toy is broken" in listing.errors["raising"]
    assert (await service.describe("raising"))[0].sign_in == SignIn()
    with pytest.raises(SessionNotFound, match="hanging: hanging did not answer"):
        await service.find("other")


async def test_a_server_waits_for_one_that_hangs_once(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_service, "LOOK_SECONDS", 0.3)
    service = made("toy", "hanging", "raising")
    service.feed.start(service.backends.values())
    try:
        await service.list()
        begun = time.monotonic()
        for _ in range(20):
            listing = await service.list()
        assert time.monotonic() - begun < 10 and listing.errors.keys() == {"hanging", "raising"}
        monkeypatch.setattr(type(service.backends["raising"]), "list", type(service.backends["toy"]).list)
        async with asyncio.timeout(5):
            while "raising" in (await service.list()).errors:
                await asyncio.sleep(0.05)
    finally:
        await service.close()


async def test_a_server_describes_one_that_is_down_at_once(
    toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: object, asked: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(backend_service, "LOOK_SECONDS", 0.2)
    service = made("toy", "hanging")
    monkeypatch.setattr(type(service.backends["hanging"]), "default_resources", never)
    service.feed.start(service.backends.values())
    try:
        _, late = await service.describe()
        assert late.health == Health(False, "hanging did not answer within 0 s. Try again.")
        service.feed.errors["hanging"] = "It is down."
        monkeypatch.setattr(backend_service, "LOOK_SECONDS", 60)
        begun = time.monotonic()
        (down,) = await service.describe("hanging")
        assert time.monotonic() - begun < 0.1
        assert (down.health, down.capabilities) == (Health(False, "It is down."), [])
    finally:
        await service.close()


async def test_only_what_acts_may_have_been_done(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(self: object, *args: object, **options: object) -> None:
        await asyncio.sleep(3600)

    service = made("toy")
    for name, work in (("get", service.get("toy", "x")), ("destroy", service.destroy("toy", "x"))):
        monkeypatch.setattr(type(service.backends["toy"]), name, slow)
        monkeypatch.setattr(service_module, "GET_SECONDS", 0.1)
        monkeypatch.setattr(service_module, "ACT_SECONDS", 0.1)
        with pytest.raises(BackendTimeout) as caught:
            await work
        assert ("It may still do" in caught.value.hint) == (name == "destroy")


async def test_other_failures_are_sentences_too(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object, id: str) -> None:
        raise RuntimeError("a bug")

    async def slow(self: object, id: str) -> None:
        await asyncio.sleep(3600)

    service = made("toy")
    monkeypatch.setattr(type(service.backends["toy"]), "get", broken)
    with pytest.raises(BadAnswer, match="The backend 'toy' failed: RuntimeError: a bug"):
        await service.get("toy", "x")
    monkeypatch.setattr(type(service.backends["toy"]), "get", slow)
    monkeypatch.setattr(service_module, "GET_SECONDS", 0.1)
    with pytest.raises(BackendTimeout):
        await service.get("toy", "x")


@pytest.mark.parametrize("kind", ["toy", "forgetful"])
async def test_its_changes_are_told(toys: Path, kind: str) -> None:
    service = made(kind)
    batches: list[Batch] = []
    service.feed.listen(batches.append)
    service.feed.start(service.backends.values())
    try:
        row = await service.backends[kind].create(normalized(SessionSpec(name="mine")))
        async with asyncio.timeout(5):
            while not batches:
                await asyncio.sleep(0.02)
            await service.backends[kind].destroy(row.id)
            while service.feed.rows(kind) or len(batches) < 2:
                await asyncio.sleep(0.02)
        statuses = [change.session.status for batch in batches for change in batch.changes]
        assert statuses == ["RUNNING", "TERMINATED"]
    finally:
        await service.close()


async def test_an_answer_that_comes_late_brings_nothing_back(toys: Path) -> None:
    service = made("toy")
    service.feed.start(service.backends.values())
    try:
        row = await service.create(SessionSpec(name="mine"))
        await service.destroy("toy", row.id)
        service.feed.put(row)
        assert service.feed.rows("toy") == []
    finally:
        await service.close()


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("dies", NotRunning, "The session 'mine' has ended"),
        ("restarts", BackendUnavailable, "silent gave no end of the cell"),
        ("stops", BackendUnavailable, "silent gave no end of the cell"),
    ],
)
async def test_a_cell_gets_its_end_whatever_a_backend_says_of_it(
    toys: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception], said: str
) -> None:
    monkeypatch.setattr(cells, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(cells, "_LAST_WORDS_SECONDS", 0.05)
    service = made("silent")
    row = await service.create(SessionSpec(name="mine"))
    outputs = []
    async with asyncio.timeout(10):
        with pytest.raises(error, match=said):
            async for output in service.execute("silent", row.id, code):
                outputs += [output.content["text"]]
    assert outputs == ["begun"]


@pytest.mark.parametrize("ended", [False, True], ids=["back in time", "back from the dead"])
async def test_a_row_whose_time_goes_back_is_in_the_list_again(toys: Path, ended: bool) -> None:
    service = made("toy")
    service.feed.start(service.backends.values())
    rows: dict[str, SessionInfo] = service.backends["toy"].rows  # type: ignore[attr-defined]

    def listed() -> list[str]:
        return [row.status_info for row in service.feed.rows("toy")]

    try:
        row = await service.create(SessionSpec(name="mine"))
        async with asyncio.timeout(5):
            if ended:
                await service.destroy("toy", row.id)
                while listed():
                    await asyncio.sleep(0.02)
            earlier = row.status_changed - timedelta(hours=1) if row.status_changed else None
            rows[row.id] = structs.replace(row, status_changed=earlier, status_info="requeued")
            while listed() != ["requeued"]:
                await asyncio.sleep(0.02)
            rows[row.id] = structs.replace(rows[row.id], status_info="again")
            while listed() != ["again"]:
                await asyncio.sleep(0.02)
    finally:
        await service.close()


async def test_a_name_on_two_backends_must_be_said_in_full(toys: Path) -> None:
    service = made("toy", second={"type": "toy"})
    for backend in ("toy", "second"):
        await service.create(SessionSpec(name="mine", backend=backend))
    with pytest.raises(
        Exception, match=r"Several sessions are called 'mine'.*toy/mine.*second/mine|second/mine.*toy/mine"
    ):
        await service.find("mine")
    assert (await service.find("second/mine")).backend == "second"


async def test_the_addresses_of_services_are_filled_in(toys: Path) -> None:
    service = made("toy")
    row = await service.create(SessionSpec(name="mine"))
    rows: dict[str, SessionInfo] = service.backends["toy"].rows  # type: ignore[attr-defined]
    elsewhere = Service(name="desk top", url="https://example.org/")
    rows[row.id] = structs.replace(row, services=[Service(name="jupyter"), elsewhere])
    urls = [f"jupyter-sessions/services/toy/{row.id}/jupyter/", "https://example.org/"]
    for found in (await service.get("toy", row.id), (await service.list()).sessions[0]):
        assert [one.url for one in found.services] == urls
