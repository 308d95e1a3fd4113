"""What pending sessions wait for besides room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyter_sessions.manager.core.changes import DependenciesMet
from jupyter_sessions.manager.core.dependencies import dependents, newly_met, wait_reason
from jupyter_sessions.manager.core.record import Record
from tests.manager.records import make_record

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def other(status: str, *, type: str = "interactive", result: str = "UNDEFINED", **fields: object) -> Record:
    record = make_record("prep")
    record.status, record.type, record.result = status, type, result
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def waits_for(*others: Record) -> Record:
    record = make_record("next")
    record.dependencies = [one.id for one in others]
    return record


@pytest.mark.parametrize(
    ("prep", "outcome"),
    [
        (other("PENDING"), "Waiting for 'prep' (waiting) to succeed."),
        (other("RUNNING"), "Waiting for 'prep' (running) to succeed."),
        (other("TERMINATING", type="batch"), "Waiting for 'prep' (terminating) to succeed."),
        (other("TERMINATED", type="batch", result="SUCCESS"), None),
        (other("TERMINATING", type="batch", result="SUCCESS"), None),
        (other("TERMINATED", type="batch", result="FAILURE"), "'prep' has ended"),
        (other("TERMINATED", type="batch"), "'prep' has ended"),
        (other("CANCELLED"), "'prep' was cancelled"),
        (other("ERROR", status_info="failed-to-start: x"), "'prep' has failed (failed-to-start: x)"),
        (other("TERMINATED", exit_code=0), None),
        (other("TERMINATED", exit_code=-9, status_info="user-requested"), None),
        (
            other("TERMINATED", exit_code=-9, status_info="out of memory"),
            "'prep' has ended (out of memory)",
        ),
    ],
)
def test_what_becomes_of_one_that_depends_on_another(prep: Record, outcome: str | None) -> None:
    what = wait_reason(waits_for(prep), {prep.id: prep}.get, NOON)
    if outcome is None:
        assert what is None
        return
    assert what is not None
    assert what.failed == (not outcome.startswith("Waiting"))
    assert what.reason == (f"dependency-failed: {outcome}" if what.failed else outcome)


def test_one_failure_outweighs_all_waiting_and_what_is_forgotten_has_failed() -> None:
    runs, failed = other("RUNNING"), other("CANCELLED")
    there = {one.id: one for one in (runs, failed)}
    what = wait_reason(waits_for(runs, failed), there.get, NOON)
    assert what is not None
    assert what.failed
    gone = wait_reason(waits_for(runs, other("RUNNING")), there.get, NOON)
    assert gone is not None
    assert "no longer exists" in gone.reason


def test_what_has_succeeded_once_may_be_forgotten() -> None:
    done, runs = other("TERMINATED", exit_code=0), other("RUNNING")
    record = waits_for(done, runs)
    assert newly_met(record, {done.id: done, runs.id: runs}.get) == [done.id]
    DependenciesMet([done.id]).change(record)
    assert wait_reason(record, {runs.id: runs}.get, NOON)
    runs.status, runs.exit_code = "TERMINATED", 0
    assert wait_reason(record, {runs.id: runs}.get, NOON) is None


def test_several_are_named_in_one_sentence() -> None:
    first, second, third = (other("RUNNING", name=name) for name in ("a-a", "b-b", "c-c"))
    there = {one.id: one for one in (first, second, third)}
    what = wait_reason(waits_for(first, second, third), there.get, NOON)
    assert what is not None
    assert what.reason == "Waiting for 'a-a' (running), 'b-b' (running) and 'c-c' (running) to succeed."


def test_a_start_time_is_waited_for_after_the_dependencies() -> None:
    done = other("TERMINATED", exit_code=0)
    record = waits_for(done)
    record.starts_at = NOON + timedelta(hours=1)
    what = wait_reason(record, {done.id: done}.get, NOON)
    assert what is not None
    assert what.until == record.starts_at
    assert what.reason.startswith("Waiting until 2026-11-20 ")
    assert wait_reason(record, {done.id: done}.get, record.starts_at) is None


def test_dependents_come_before_what_they_wait_for() -> None:
    first = make_record("first")
    second, third, alone = waits_for(first), make_record("third"), make_record("alone")
    third.dependencies = [first.id, second.id]
    assert dependents(first, [first, second, third, alone]) == [third, second]
    assert dependents(alone, [first, second, third, alone]) == []
