"""What stands behind a session's status, as the wire says it."""

from __future__ import annotations

from jupyter_sessions.manager.api.status import status_data
from jupyter_sessions.manager.core.cluster import MemberRecord
from tests.manager.records import make_record


def test_why_it_waits() -> None:
    record = make_record()
    assert status_data(record) == {}
    record.status_info = "waiting for 1 CPU (0 free)"
    assert status_data(record) == {"scheduler": {"msg": "waiting for 1 CPU (0 free)"}}


def test_the_members_of_a_degraded_cluster() -> None:
    record = make_record()
    record.subs = [MemberRecord(idx=1, status="RUNNING"), MemberRecord(idx=2, status="RUNNING")]
    for status in ("PREPARING", "RUNNING"):
        record.enter(status)
    record.subs[0].end("killed by SIGKILL")
    record.enter("RUNNING_DEGRADED", "sub1 ended: killed by SIGKILL")
    assert status_data(record) == {
        "session": {"status": "RUNNING_DEGRADED"},
        "kernels": {"main1": "RUNNING", "sub1": "TERMINATED", "sub2": "RUNNING"},
    }


def test_how_it_ended_and_what_failed() -> None:
    record = make_record()
    record.enter("PREPARING")
    record.exit_code = 3
    record.enter("ERROR", "failed-to-start: the kernel ended before it was ready")
    assert status_data(record) == {
        "session": {"status": "ERROR"},
        "kernels": {"main1": "ERROR"},
        "kernel": {"exit_code": 3},
        "error": {
            "src": "agent",
            "name": "failed-to-start",
            "repr": "the kernel ended before it was ready",
        },
    }
