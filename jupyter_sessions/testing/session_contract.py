"""The contract of backends about sessions: creating, listing, changing and ending them."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.backends.base import OPTIONAL, Backend, Query
from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.errors import AlreadyExists, InvalidRequest, NotSupported, SessionNotFound
from jupyter_sessions.model import ENDS_WHY, ProcessId
from jupyter_sessions.testing.case import SECONDS, ContractCase
from jupyter_sessions.wire.identity import own_identity


class SessionContract(ContractCase):
    """Tests of the methods about sessions."""

    @pytest.mark.asyncio
    async def test_create_answers_with_the_row_at_once(self, place: Backend) -> None:
        async with asyncio.timeout(10):
            row = await self.create(place)
        assert (row.backend, row.name, row.live, row.reused) == (place.name, self.good_name, True, False)
        assert row.id and row.image and row.created_at is not None and row.created_at.tzinfo is not None
        assert (await place.get(row.id)).name == row.name
        assert row.id in [listed.id for listed in await place.list(Query())]

    @pytest.mark.asyncio
    async def test_rows_that_were_given_away_do_not_change(self, place: Backend) -> None:
        row = await self.create(place)
        first = await place.get(row.id)
        await self.settled(place, row.id)
        await place.destroy(row.id, forced=True)
        await self.ended(place, row.id)
        assert first.live

    @pytest.mark.asyncio
    async def test_destroy_ends_it(self, place: Backend) -> None:
        row = await self.create(place)
        await self.settled(place, row.id)
        after = await place.destroy(row.id, forced=True)
        assert after.id == row.id and after.status in ("TERMINATING", "TERMINATED", "CANCELLED")
        last = await self.ended(place, row.id)
        assert last is None or last.status in ("TERMINATED", "CANCELLED")
        assert row.id not in [listed.id for listed in await place.list(Query())]
        if last is not None:
            assert row.id in [listed.id for listed in await place.list(Query(status="dead"))]
            assert row.id in [listed.id for listed in await place.list(Query(status="all"))]

    @pytest.mark.asyncio
    async def test_a_session_that_has_ended_stays_as_it_is(self, place: Backend) -> None:
        row = await self.create(place)
        await self.settled(place, row.id)
        await place.destroy(row.id, forced=True, recursive=True)
        last = again = await self.ended(place, row.id)
        with contextlib.suppress(SessionNotFound):
            again = await place.destroy(row.id)
        assert again == last
        if last is not None:
            assert (await place.get(row.id)).status_changed == last.status_changed

    @pytest.mark.asyncio
    async def test_force_and_recursion_do_no_harm_where_they_mean_nothing(self, place: Backend) -> None:
        first, second = await self.create(place), await self.create(place, f"{self.good_name}-b")
        await self.settled(place, first.id)
        await place.destroy(first.id, forced=True, recursive=True)
        await self.ended(place, first.id)
        assert (await place.get(second.id)).live

    @pytest.mark.asyncio
    async def test_why_a_session_has_an_end_is_said_in_known_words(self, place: Backend) -> None:
        row = await place.get((await self.create(place, **self.lasting)).id)
        assert row.ends_why is None or row.ends_why in ENDS_WHY
        assert row.ends_at is None or row.ends_why is not None

    @pytest.mark.asyncio
    async def test_pages(self, place: Backend) -> None:
        made = [await self.create(place, f"{self.good_name}-{letter}") for letter in "abc"]
        whole = [row.id for row in await place.list(Query())]
        assert {row.id for row in made} <= set(whole)
        paged = [
            row.id for offset in range(len(whole)) for row in await place.list(Query(limit=1, offset=offset))
        ]
        assert sorted(paged) == sorted(whole)
        assert await place.list(Query(limit=0)) == []

    @pytest.mark.asyncio
    async def test_an_unknown_id_is_not_found(self, place: Backend) -> None:
        with pytest.raises(SessionNotFound):
            await place.get(self.unknown_id)
        with pytest.raises(SessionNotFound):
            await place.destroy(self.unknown_id)

    def test_the_name_rule(self, backend: Backend) -> None:
        backend.name_rule.check(self.good_name)
        for name in self.bad_names:
            with pytest.raises(InvalidRequest) as caught:
                backend.name_rule.check(name)
            assert caught.value.field == "name" and caught.value.hint

    @pytest.mark.asyncio
    async def test_a_live_name_with_the_same_image_comes_back(self, place: Backend) -> None:
        row = await self.create(place)
        again = await self.create(place)
        assert (again.id, again.reused) == (row.id, True)
        others: tuple[dict[str, Any], ...] = ({"image": self.other_image}, {"reuse_if_exists": False})
        for changes in others:
            with pytest.raises(AlreadyExists):
                await self.create(place, **changes)
        assert len([listed for listed in await place.list(Query()) if listed.name == row.name]) == 1

    @pytest.mark.asyncio
    async def test_watch_tells_all_that_lives_and_then_what_changes(self, place: Backend) -> None:
        first = await self.create(place, f"{self.good_name}-a")
        batches = aiter(place.watch())
        async with asyncio.timeout(SECONDS):
            assert first.id in [row.id for row in await anext(batches)]
            second = await self.create(place, f"{self.good_name}-b")
            while second.id not in [row.id for row in await anext(batches)]:
                pass
        await self.settled(place, second.id)  # That takes its own time.
        async with asyncio.timeout(SECONDS):
            await place.destroy(second.id, forced=True)
            while not any(row.id == second.id and not row.live for row in await anext(batches)):
                pass

    @pytest.mark.asyncio
    async def test_what_happened_is_told_from_the_beginning_on(self, place: Backend) -> None:
        if "events" not in place.capabilities():
            return
        row = await self.create(place)
        if self.starts:
            await self.usable(place, row.id)
        events = await place.events(row.id)
        times = [event.when for event in events if event.when]
        assert len({event.what for event in events}) > int(self.starts) and times == sorted(times)
        await self.settled(place, row.id)
        await place.destroy(row.id, forced=True)
        if await self.ended(place, row.id):
            after = [event.when for event in await place.events(row.id)]
            assert after[: len(times)] == times and len(after) > len(times)
        with pytest.raises(SessionNotFound):
            await place.events(self.unknown_id)

    @pytest.mark.asyncio
    async def test_renew_puts_off_the_end(self, place: Backend) -> None:
        if "renew" not in place.capabilities():
            return
        row = await self.create(place, **self.lasting)
        row = await self.usable(place, row.id)
        after = await place.renew(row.id)
        assert row.ends_at and after.ends_at and after.ends_at >= row.ends_at
        assert (after.id, (await place.get(row.id)).ends_at) == (row.id, after.ends_at)
        await place.destroy(row.id, forced=True)
        await self.ended(place, row.id)
        for uid in (row.id, self.unknown_id):
            with pytest.raises(SessionNotFound):
                await place.renew(uid)

    @pytest.mark.asyncio
    async def test_a_renamed_session_is_found_by_its_new_name(self, place: Backend) -> None:
        if "rename" not in place.capabilities() or not self.starts:
            return
        row = await self.usable(place, (await self.create(place)).id)
        after = await place.rename(row.id, f"{self.good_name}-new")
        assert (after.id, after.name) == (row.id, f"{self.good_name}-new")
        assert [one.name for one in await place.list(Query()) if one.id == row.id] == [after.name]

    @pytest.mark.asyncio
    async def test_a_batch_session_ends_by_itself_with_its_exit_code(self, place: Backend) -> None:
        if "batch" not in place.types or "startup_command" not in place.takes or not self.runs_commands:
            return
        for code, result in ((0, "SUCCESS"), (3, "FAILURE")):
            fields = {"type": "batch", "startup_command": self.exits.format(code)}
            row = await self.create(place, f"{self.good_name}-{code}", **fields)
            last = await self.ended(place, row.id)
            if last is not None:
                assert last.exit_code in (code, None) and last.result in (result, "UNDEFINED")
                assert last.exit_code is not None or last.result != "UNDEFINED", (
                    "one of them tells how it went"
                )

    @pytest.mark.asyncio
    async def test_a_session_takes_from_what_is_free(self, place: Backend) -> None:
        if "capacity" not in place.capabilities() or not self.starts:
            return
        before = await place.capacity()
        for slot, amount in before.items():
            least, most = (parse_amount(slot, text) for text in (amount.free, amount.total))
            assert 0 <= least <= most
            assert amount.most is None or parse_amount(slot, amount.most) <= most
        row = await self.usable(place, (await self.create(place)).id)
        after = await place.capacity()
        for slot, taken in parse_slots({**row.resources}).items():
            if slot in before:
                assert parse_amount(slot, after[slot].free) <= parse_amount(slot, before[slot].free)
                assert taken <= parse_amount(slot, before[slot].total)

    @pytest.mark.asyncio
    async def test_less_than_an_image_needs_is_refused(self, place: Backend) -> None:
        images = await place.images() if "images" in place.capabilities() else []
        image = next(
            (one for one in images if self.image in (one.name, *one.aliases) and one.resources), None
        )
        for slot, least in parse_slots({**image.resources}).items() if image else ():
            resources = {**self.resources, slot: str(least / 2 if slot != "mem" else int(least) // 2)}
            with pytest.raises(InvalidRequest):
                await self.create(place, f"{self.good_name}-small", resources=resources)
        assert f"{self.good_name}-small" not in [row.name for row in await place.list(Query())]

    @pytest.mark.asyncio
    async def test_a_notebook_gets_back_the_session_of_a_process_that_is_gone(self, place: Backend) -> None:
        if not self.keeps_notebooks:
            return
        notebook, here = f"/contract/{uuid4()}.ipynb", own_identity()
        gone = structs.replace(here, start_time=1)
        row = await self.create(place, notebook_path=notebook, owner=ProcessId(*structs.astuple(gone)))
        if not place.checks_requests and (await place.get(row.id)).notebook_path is None:
            return  # It does not keep the notebook, so that there is nothing to find.
        owner = ProcessId(*structs.astuple(here))
        again = await self.create(place, f"{self.good_name}-b", notebook_path=notebook, owner=owner)
        assert (again.id, again.reused) == (row.id, True)

    @pytest.mark.asyncio
    async def test_what_it_cannot_do_it_says(self, backend: Backend) -> None:
        arguments: dict[str, tuple[object, ...]] = {
            "rename": ("x", "y"),
            "execute": ("x", "y"),
            "input": ("x", "y", "z"),
            "complete": ("x", "y", 0),
        }
        arguments |= {
            "open_service": ("x", "y", "/"),
            "service_log": ("x", "y"),
            "stop_service": ("x", "y"),
            "outputs": ("x", Selection()),
            "create_many": (None, 2),
            "images": (),
            "capacity": (),
            "upload": ("x", "y", None),
            "download": ("x", "y"),
        }
        of_kernels = {"restart"} if backend.knows_kernels() else set[str]()
        for name in set(OPTIONAL) - set(backend.capabilities()) - of_kernels:
            with pytest.raises(NotSupported):
                await getattr(backend, name)(*arguments.get(name, ("x",)))


def parse_amount(slot: str, text: str) -> Decimal:
    """Return an amount; 0 if there is none."""
    return next(iter(parse_slots({slot: text}).values()), Decimal(0)) if text not in ("", "0") else Decimal(0)
