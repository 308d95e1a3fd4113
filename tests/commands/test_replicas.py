"""Replicas are a group in `ps`, `info`, `wait`, `rm` and `run --again`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.commands.replicas import ReplicaGroup, duration, grouped
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import LaunchFailed, NotRunning, SessionNotFound
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

NOW = datetime(2026, 8, 6, 12, tzinfo=UTC)
FAIL_TWICE = (
    """case $REPLICA_ID in 2|3) test -e again || { echo no luck; exit 4; };; esac; echo did $REPLICA_ID"""
)
Row = Callable[..., SessionInfo]


def row(name: str, **fields: Any) -> SessionInfo:
    """A session."""
    usual: dict[str, Any] = {"backend": "toy", "id": f"id-of-{name}", "image": "toy", "type": "batch"}
    usual |= {"status": "RUNNING", "status_info": "", "resources": {}, "services": [], "created_at": NOW}
    return SessionInfo(name=name, **usual | fields)


def told(number: int, count: int, **fields: Any) -> SessionInfo:
    """A replica of which its variables tell."""
    environ = {"REPLICA_ID": str(number), "REPLICA_COUNT": str(count)}
    return row(f"job-{number}", environ=environ, **fields)


def names(rows: list[SessionInfo]) -> list[str]:
    """What a list is of: "job*3" for a group of three."""
    return [
        f"{one.name}*{len(one.rows)}" if isinstance(one, ReplicaGroup) else one.name for one in grouped(rows)
    ]


async def test_which_sessions_are_a_group() -> None:
    assert names([told(3, 3), row("x"), told(1, 3)]) == ["job*2", "x"]
    assert names([told(2, 2), told(2, 2, id="earlier", status="TERMINATED")]) == ["job*1", "job-2"]
    assert names([told(1, 2), told(2, 3)]) == ["job*1", "job-2"]
    assert names([row("job-1", environ={"A": "b"}), row("job-2", environ={"A": "b"})]) == ["job-1", "job-2"]


async def test_without_variables_it_takes_all_numbers_of_one_moment() -> None:
    assert names([row("job-2"), row("job-1"), row("other-1")]) == ["job*2", "other-1"]
    assert names([row("job-2"), row("job-3")]) == ["job-2", "job-3"]
    assert names([row("job-01"), row("job-02"), row("job"), row("job-0")]) == [
        "job-01",
        "job-02",
        "job",
        "job-0",
    ]
    assert names([row("job-1"), row("job-2", created_at=NOW - timedelta(minutes=5))]) == ["job-1", "job-2"]
    assert names([row("job-1"), row("job-2", image="other")]) == ["job-1", "job-2"]
    assert names([row("job-1"), row("job-2", backend="far")]) == ["job-1", "job-2"]


async def test_the_summary_counts_states() -> None:
    done = {"status": "TERMINATED", "result": "SUCCESS", "exit_code": 0}
    states = [*[done] * 5, {}, {}, {"status": "TERMINATED", "result": "FAILURE"}, {"status": "PENDING"}]
    rows = [told(at, 9, **fields) for at, fields in enumerate(states, 1)]
    group = ReplicaGroup("job", rows)
    assert group.summary() == "5 done · 2 running · 1 waiting · 1 failed" and group.summary().tone == "bad"
    ran = {"started_at": NOW, "terminated_at": NOW + timedelta(seconds=90)}
    assert (duration(row("x", **ran)), duration(row("x")), duration(row("x", age=5000))) == (
        "1 min 30 s",
        "",
        "5 s",
    )


@pytest_asyncio.fixture
async def service(machine: Path) -> Any:
    """This machine."""
    made = SessionService(JupyterSessions())
    yield made
    await made.close()


async def test_a_job_from_create_to_rm(service: SessionService, tmp_path: Path) -> None:
    said: list[str] = []

    async def typed(line: str) -> Any:
        said.clear()
        return await perform(service, parse(line), said.append)

    small = f"--cpu 0.2 --mem 128m --cwd {tmp_path}"
    command = f'--type batch --startup-command "{FAIL_TWICE}"'.replace("$", "$")
    await typed(f"create python --name job --replicas 3 --enqueue-only {small} {command}")
    await typed(f"create python --name alone {small}")
    with pytest.raises(LaunchFailed, match=r"^job: 1 done · 2 failed\.$"):
        await typed("wait job")
    members = await typed("info job")
    assert [line[:3] for line in members.rows] == [
        ["job-1", "Done", "0"],
        ["job-2", "Failed", "4"],
        ["job-3", "Failed", "4"],
    ]
    assert [line[4] for line in members.rows] == ["did 1", "no luck", "no luck"]
    assert members.text().endswith("\njob: 1 done · 2 failed")
    table = await typed("ps --dead --filter 'name like \"job-_\"'")
    assert [line[0] for line in table.rows] == ["job"] and "1 done · 2 failed" in table.text()
    html = table._repr_mimebundle_()["text/html"]
    assert "<details><summary>job</summary><table>" in html and "job-3" in html
    assert len((await typed("ps --dead --name-only --filter 'name like \"job-_\"'")).text().splitlines()) == 3

    (tmp_path / "again").touch()
    await typed("run --again job")
    assert sorted(said) == ["job-2 is created again.", "job-3 is created again."]
    await typed("wait job")
    assert said == ["job: 3 done."]
    with pytest.raises(NotRunning, match=r"Nothing of 'job' has failed: 3 done\."):
        await typed("run --again job")

    await typed(f"create python --name slow --replicas 2 {small}")
    table = await typed("ps --limit 0")
    listed = {line[0] for line in table.rows}
    assert {"alone", "slow"} <= listed and "slow-1" not in listed and "2 running" in table.text()
    await typed("rm slow")
    assert sorted(said) == ["slow-1 has ended.", "slow-2 has ended."]
    await typed("rm slow")
    assert said == ["slow had already ended."]
    with pytest.raises(SessionNotFound, match="There is no session 'nothing'"):
        await typed("rm nothing")


async def test_a_group_that_is_partly_done_is_whole_in_ps(toys: Path) -> None:
    service = SessionService(
        JupyterSessions(backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy")
    )
    rows: dict[str, SessionInfo] = service.backends["toy"].rows  # type: ignore[attr-defined]
    for number in (1, 2, 3):
        made = told(number, 3, exit_code=0 if number == 1 else None)
        rows[made.id] = structs.replace(made, status="TERMINATED" if number == 1 else "RUNNING")
    table = await perform(service, parse("ps"), print)
    assert len(table.rows) == 1 and "1 done · 2 running" in table.text()
