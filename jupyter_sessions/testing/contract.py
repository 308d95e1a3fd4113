"""What every backend must do. To test one, subclass `BackendContract` and give the fixture `backend`.

    class TestLab(BackendContract):
        @pytest.fixture
        def backend(self):
            return Lab("lab", endpoint=…)

Class attributes say what the backend offers; the tests end the sessions that they make.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from jupyter_sessions.backends.base import OPTIONAL, Backend, Query
from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.errors import AlreadyExists, InvalidRequest, NotSupported, SessionError, SessionNotFound
from jupyter_sessions.model import USABLE, SessionInfo, SessionSpec
from jupyter_sessions.service import Listing, find
from jupyter_sessions.service.creation import SessionCreation
from jupyter_sessions.testing.ending import end_sessions

SECONDS = 30.0


class BackendContract:
    """The contract of `jupyter_sessions.backends.base.Backend` as tests."""

    image: ClassVar[str] = "python3"
    other_image: ClassVar[str] = "other"
    resources: ClassVar[dict[str, str]] = {}
    good_name: ClassVar[str] = "contract-test"
    bad_names: ClassVar[tuple[str, ...]] = ("", "x" * 300)
    unknown_id: ClassVar[str] = "00000000-0000-0000-0000-000000000000"
    lasting: ClassVar[dict[str, Any]] = {}
    """What gives a session an end that can be put off, where not each has one."""
    crash: ClassVar[str] = "import os; print('before', flush=True); os.kill(os.getpid(), 9)"
    """Code that ends the kernel it runs in."""
    starts: bool = True
    """Whether sessions come to run there, and do not only wait."""

    @pytest.fixture
    def backend(self) -> Backend:
        """The backend to test; override it."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def place(self, backend: Backend) -> AsyncIterator[Backend]:
        """The backend; what a test leaves in it is ended."""
        before = {row.id for row in await backend.list(Query())}
        yield backend
        await end_sessions(backend, but=before)
        await backend.close()
        await backend.close()

    def spec(self, backend: Backend, name: str = "", **changes: Any) -> SessionSpec:
        """What to ask for."""
        given = {"name": name or self.good_name, "image": self.image, "resources": dict(self.resources)}
        return SessionSpec(backend=backend.name, **{**given, **changes})

    async def create(self, backend: Backend, name: str = "", **changes: Any) -> SessionInfo:
        """Ask for a session as the service does."""

        async def listed(status: str) -> Listing:
            return Listing(await backend.list(Query(status=status)))

        creation = SessionCreation(lambda backend, ref: find(listed, ref))
        return await creation.create(backend, self.spec(backend, name, **changes))

    async def settled(self, backend: Backend, uid: str) -> None:
        """Wait until the session can be ended without doubt; override it for those who need time."""

    async def ended(self, backend: Backend, uid: str) -> SessionInfo | None:
        """Its last row; None if the backend has forgotten it."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    row = await backend.get(uid)
                except SessionNotFound:
                    return None
                if not row.live:
                    return row
                await asyncio.sleep(0.02)

    async def usable(self, backend: Backend, uid: str) -> SessionInfo:
        """Its row once it runs."""
        async with asyncio.timeout(SECONDS):
            while (row := await backend.get(uid)).status not in USABLE:
                await asyncio.sleep(0.02)
        return row

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
    async def test_a_cell_whose_kernel_crashes_gets_its_end(self, place: Backend) -> None:
        if "execute" not in place.capabilities() or not self.starts:
            return
        row = await self.usable(place, (await self.create(place)).id)
        replies = []
        async with asyncio.timeout(SECONDS):
            try:
                async for output in place.execute(row.id, self.crash):
                    replies += [output.content] if output.kind == "reply" else []
            except SessionError as error:
                assert error.message
            else:
                assert [reply["status"] for reply in replies] == ["error"]

    @pytest.mark.asyncio
    async def test_a_file_comes_back_as_it_was_sent(self, place: Backend) -> None:
        if not {"upload", "download", "ls"} <= {*place.capabilities()} or not self.starts:
            return
        row = await self.usable(place, (await self.create(place)).id)
        sent = bytes(range(256)) * 1000
        await place.upload(row.id, "contract/ä b.bin", _pieces(sent), len(sent))
        (entry,) = await place.ls(row.id, "contract")
        assert (entry.name, entry.kind, entry.size) == ("ä b.bin", "file", len(sent))
        assert "contract" in [one.name for one in await place.ls(row.id) if one.kind == "folder"]
        async with place.download(row.id, "contract/ä b.bin") as content:
            assert b"".join([chunk async for chunk in content.chunks]) == sent
        for path in ("contract/nothing", "../../etc/passwd"):
            with pytest.raises(SessionError):
                async with place.download(row.id, path):
                    pass
        with pytest.raises(SessionError):
            await place.ls(row.id, "nothing")

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
        for name in set(OPTIONAL) - set(backend.capabilities()):
            with pytest.raises(NotSupported):
                await getattr(backend, name)(*arguments.get(name, ("x",)))


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 64 * 1024):
        yield content[start : start + 64 * 1024]
