"""Managers of other versions: what is said of them on both sides, and what can be asked of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from jupyter_sessions._version import __version__
from jupyter_sessions.backends import local
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.local import Local
from jupyter_sessions.backends.local_versions import is_before, is_later, notice_of, take_over
from jupyter_sessions.errors import BackendUnavailable, NotSupported
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire import releases
from jupyter_sessions.wire.identity import own_identity
from jupyter_sessions.wire.places import PROTOCOL, Contact, place
from jupyter_sessions.wire.signing import Keypair
from tests.manager.world import contact, ended, run


def manager(version: str, protocol: int = PROTOCOL) -> Contact:
    """How to reach a manager of a version."""
    pair = Keypair("AKIA", "secret")
    return Contact(
        identity=own_identity(), socket="", url="", keypair=pair, version=version, protocol=protocol
    )


@pytest.mark.parametrize(
    ("found", "before", "later"),
    [
        (manager(__version__), False, False),
        (manager("0.0.9"), True, False),
        (manager(f"{__version__}rc1"), True, False),
        (manager("99.0"), False, True),
        (manager("0.0.9", PROTOCOL - 1), True, False),
        (manager(__version__, PROTOCOL + 1), False, True),
        (manager("no version"), False, False),
    ],
)
def test_which_is_later(found: Contact, before: bool, later: bool) -> None:
    assert (is_before(found), is_later(found)) == (before, later)


def test_an_earlier_one_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (manager("0.0.9"), manager("0.0.9", PROTOCOL - 1)):
        notice = notice_of(found)
        assert notice is not None
        assert notice.take_over and "still of version 0.0.9" in notice.message
        assert "backend takeover" in notice.hint and "Upgrade" not in str(notice)
    monkeypatch.setattr("jupyter_sessions.backends.local_versions.in_session", lambda: True)
    with pytest.raises(BackendUnavailable, match=r"runs in a session.*in the panel"):
        take_over(manager("0.0.9"))


def test_a_later_one_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert notice_of(manager("99.0")) is None, "it can be asked for all"
    found = manager("99.0", PROTOCOL + 1)
    notice = notice_of(found)
    assert notice is not None and not notice.take_over
    assert notice.hint == "Upgrade jupyter_sessions in this environment to version 99.0 or later."
    with pytest.raises(NotSupported, match="later than"):
        take_over(found)
    (tmp_path / "_version.py").write_text('__version__ = "99.0"\n')
    monkeypatch.setattr(releases, "_FILE", tmp_path / "_version.py")
    notice = notice_of(found)
    assert notice is not None and notice.hint == "Restart Jupyter to finish the upgrade."


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", [PROTOCOL - 1, PROTOCOL + 1])
async def test_sessions_of_a_manager_of_another_protocol(service: SessionService, protocol: int) -> None:
    row = await run(service, "theirs")
    known = contact()
    place().write_contact(structs.replace(known, protocol=protocol))
    backend = Local("local")
    assert [(one.id, one.name, one.status) for one in await backend.list(Query())] == [
        (row.id, "theirs", "RUNNING")
    ]
    assert (await backend.list(Query(status="all", limit=5)))[0].id == row.id
    watched = backend.watch()
    assert [one.id for one in await anext(watched)] == [row.id]
    for refused in (backend.capacity(), backend.logs(row.id), backend.restart(row.id)):
        with pytest.raises(BackendUnavailable, match="list"):
            await refused
    await backend.destroy(row.id, forced=True)
    seen = await anext(watched)
    assert seen[0].id == row.id and seen[0].status in ("TERMINATING", "TERMINATED")
    place().write_contact(known)
    await ended(service, row)
    assert await backend.capacity()
    await backend.close()


@pytest.mark.asyncio
async def test_taking_over_from_the_same_version(service: SessionService) -> None:
    """By hand only; the sessions are the next manager's."""
    row = await run(service, "goes-on")
    before = contact().identity
    await service.take_over("local")
    assert not before.alive()
    assert contact().identity != before
    row = await service.get("local", row.id)
    assert (row.status, row.restarts) == ("RUNNING", 0)


@pytest.mark.asyncio
async def test_where_none_runs(state: Path) -> None:
    backend = Local("local")
    await backend.take_over()
    assert local.find() is None and backend.notice() is None
