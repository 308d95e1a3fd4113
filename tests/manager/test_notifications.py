"""The manager tells people about sessions on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService, create_replicas
from tests.manager.world import ask, configure, ended, kill_manager, run
from tests.receivers import mail_server, webhook

pytestmark = pytest.mark.asyncio
SMALL = {"cpu": "0.2", "mem": "128m"}


async def test_a_session_that_fails_and_one_that_is_ended_after_a_crash_of_the_manager(
    service: SessionService, state: Path, tmp_path: Path
) -> None:
    async with webhook() as hook, mail_server() as mail:
        configure(state, smtp=mail.url)
        targets = [f"ntfy:{hook.url}/topic", "mailto:me@example.org"]
        row = await ask(service, "fails", type="batch", startup_command="exit 3", notify=targets)
        assert await hook.until(1) == ["fails has failed: task-failed: exit status 3."]
        assert "fails has failed" in (await mail.until(1))[0]
        assert "notify" not in str(await service.get("local", row.id)) and hook.url not in str(row)
        lives = await run(service, "lives", notify=[f"slack:{hook.url}/x"])
        await kill_manager()
        await service.destroy("local", lives.id)
        assert "lives has ended (on request)." in (await hook.until(2))[1]


async def test_replicas_are_told_of_once(service: SessionService, state: Path) -> None:
    async with webhook() as hook:
        spec = SessionSpec(
            name="many", image="python3", type="batch", replicas=3, resources=dict(SMALL),
            startup_command='test "$REPLICA_ID" != 2', notify=[f"ntfy:{hook.url}/t"],
        )  # fmt: skip
        rows, failures = await create_replicas(service, spec)
        assert len(rows) == 3 and not failures
        for row in rows:
            await ended(service, row)
        (told,) = await hook.until(1)
        assert (
            "1 failed" in told
            and "2 ended" in told
            and "many-2 has failed: task-failed: exit status 1." in told
        )


async def test_an_end_that_is_near(service: SessionService, state: Path) -> None:
    async with webhook() as hook:
        await run(service, "short", time_limit=121, notify=[f"ntfy:{hook.url}/t"])
        assert await hook.until(1) == ["short ends in 2 min (its time limit)."]


async def test_targets_that_cannot_be_are_refused(shared: SessionService) -> None:
    for wrong in ("phone", "fax:1"):
        with pytest.raises(InvalidRequest) as caught:
            await ask(shared, "quiet", notify=[wrong])
        assert caught.value.field == "notify"
