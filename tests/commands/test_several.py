"""Several sessions at once, and what kind they are. On toys; nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, LaunchFailed, NotSupported
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio


class Noting(SessionService):
    """Remembers what it is asked for; those called so are refused."""

    def __init__(self, **more: Any) -> None:
        backends = {"toy": {"type": "toy"}}
        super().__init__(
            JupyterSessions(backends=backends, enabled_backends=["toy"], default_backend="toy", **more)
        )
        self.asked: list[SessionSpec] = []
        self.refused: set[str] = set()

    async def create(self, spec: SessionSpec) -> Any:
        """As the service, or refuse."""
        self.asked.append(spec)
        if spec.name in self.refused:
            raise InvalidRequest("There is no room.", hint="Try again later.")
        return await super().create(spec)


@pytest_asyncio.fixture
async def noting(toys: Path) -> Noting:
    return Noting(presets={"three": {"replicas": 3, "environ": {"A": "b"}, "name": "many"}})


async def typed(service: SessionService, line: str) -> list[str]:
    """What is said of a command."""
    said: list[str] = []
    await perform(service, parse(line), said.append)
    return said


async def names(service: SessionService) -> list[str]:
    """Those that live."""
    return sorted(row.name for row in (await service.list()).sessions)


async def test_replicas_are_sessions_of_their_own_that_know_their_number(noting: Noting) -> None:
    said = await typed(noting, "create toyland --name mine --replicas 3 -e PET=cat")
    assert sorted(said) == [f"mine-{number} is running: toyland on toy" for number in (1, 2, 3)]
    assert await names(noting) == ["mine-1", "mine-2", "mine-3"]
    assert [spec.environ for spec in noting.asked] == [
        {"PET": "cat", "REPLICA_ID": number, "REPLICA_COUNT": "3"} for number in "123"
    ]
    again = await typed(noting, "create toyland --name mine --replicas 3")
    assert all(line.endswith("(reused)") for line in again) and len(await names(noting)) == 3


async def test_one_replica_is_called_as_asked_for(noting: Noting) -> None:
    await typed(noting, "create toyland --name mine --replicas 1")
    assert await names(noting) == ["mine"] and noting.asked[0].environ == {}


async def test_replicas_without_a_name_share_one(noting: Noting) -> None:
    await typed(noting, "create toyland --replicas 2")
    first, second = await names(noting)
    assert first.startswith("toyland-") and (first[:-1], first[-1], second[-1]) == (second[:-1], "1", "2")


async def test_a_preset_may_ask_for_several(noting: Noting) -> None:
    await typed(noting, "create toyland --preset three")
    assert await names(noting) == ["many-1", "many-2", "many-3"]
    await typed(noting, "create toyland --preset three --name two --replicas 2")
    assert await names(noting) == ["many-1", "many-2", "many-3", "two-1", "two-2"]


async def test_one_that_fails_is_said_and_the_others_stay(noting: Noting) -> None:
    noting.refused = {"mine-2"}
    said: list[str] = []
    with pytest.raises(LaunchFailed, match="1 of 3 sessions failed"):
        await perform(noting, parse("create toyland --name mine --replicas 3"), said.append)
    assert said[0] == "mine-2: There is no room. Try again later."
    assert await names(noting) == ["mine-1", "mine-3"]


async def test_if_all_fail_it_is_said_once_why(noting: Noting) -> None:
    with pytest.raises(InvalidRequest, match="UPPER-1: 'UPPER-1' is not a valid session name"):
        await typed(noting, "create toyland --name UPPER --replicas 3")


@pytest.mark.parametrize("number", ["0", "-1", "513", "x", "1.5"])
async def test_their_number_is_read_before_anything_is_made(number: str) -> None:
    with pytest.raises(InvalidRequest, match=f"takes a number from 1 to 512, not '{number}'"):
        parse(f"create toyland --replicas={number}")


async def test_one_request_makes_one_session(noting: Noting) -> None:
    with pytest.raises(NotSupported, match="One request makes one session") as caught:
        await noting.create(SessionSpec(name="mine", replicas=2))
    assert caught.value.field == "replicas"


@pytest.mark.parametrize(
    ("said", "meant"),
    [("", "interactive"), ("--type notebook", "interactive"), ("--kind headless", "batch")],
)
async def test_types_have_skahas_names_too(noting: Noting, said: str, meant: str) -> None:
    await typed(noting, f"create toyland --name mine {said}")
    (row,) = (await noting.list()).sessions
    assert row.type == meant


async def test_a_type_that_a_backend_does_not_have_is_refused(noting: Noting) -> None:
    for kind in ("desktop", "carta", "contributed", "firefly"):
        with pytest.raises(
            NotSupported, match=f"toy has no {kind} sessions. Choose from: interactive, batch."
        ):
            await typed(noting, f"create toyland --type {kind}")
    with pytest.raises(InvalidRequest, match=r"--type takes one of .*, not 'odd'"):
        parse("create toyland --type odd")
    assert await names(noting) == []
