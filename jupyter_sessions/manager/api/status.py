"""Details of a session's status. Source: seed 000; the keys are those of managers 23.09 to 26.8.

`kernels`, the status of each member by host name, is an addition: seed 000 has "statuses of kernels and session".
"""

from __future__ import annotations

from typing import Any

from jupyter_sessions.manager.core.cluster import hostname
from jupyter_sessions.manager.core.record import Record


def main_status(record: Record) -> str:
    """Return the status of the main member: a degraded session lost another member."""
    return "RUNNING" if record.usable else record.status


def status_data(record: Record) -> dict[str, Any]:
    """Return why a session waits, or the statuses of its members, the main member's exit code, and the error."""
    if record.status == "PENDING":
        return {"scheduler": {"msg": record.status_info}} if record.status_info else {}
    members = {hostname(record.rank): main_status(record)} | {
        hostname(sub.rank): sub.status for sub in record.subs
    }
    data: dict[str, Any] = {"session": {"status": record.status}, "kernels": members}
    if record.exit_code is not None:
        data["kernel"] = {"exit_code": record.exit_code}
    if record.status == "ERROR":
        reason, _, text = record.status_info.partition(": ")
        data["error"] = {"src": "agent", "name": reason, "repr": text or reason}
    return data
