"""Sessions in the form of Skaha's servers: all numbers are text, memory is in units of 10⁹ bytes.

Source: servers up to 1.4.0; absent values are left out, except `name`, `image` and `connectURL`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from jupyter_sessions.amounts import GPU_SLOT, SHARES_SLOT, format_number
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.core.expiry import ended_by
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.schedule.placement import Capacity, Slots
from jupyter_sessions.manager.skaha import lifetime
from jupyter_sessions.manager.skaha.connect_urls import NOTEBOOK_SERVERS
from jupyter_sessions.manager.skaha.images import ImageCatalog

TYPES = {"batch": "headless", "interactive": "notebook"}
_SAME = {"succeeded": "completed", "error": "failed"}
_GB = Decimal(1000**3)
_CENT = Decimal("0.01")

Row = dict[str, Any]


class Rows:
    """Builds the rows of sessions, with addresses for the sender of a request.

    Errors: InvalidRequest.
    """

    def __init__(self, request: web.Request) -> None:
        self._sessions = request.app[SESSIONS]
        self._notebooks = request.app[NOTEBOOK_SERVERS]
        self._origin = origin(request)
        self._offers = ImageCatalog.here()

    def full(self, record: Record) -> Row:
        """Return all fields, for the owner of a session."""
        row = {
            "id": skaha_id(record.id),
            **self.brief(record),
            "runAsUID": str(os.getuid()),
            "runAsGID": str(os.getgid()),
            "supplementalGroups": sorted(os.getgroups()),
            "image": self._offers.id_of(record),
            "name": record.skaha_name or record.name.lower(),
            "expiryTime": _time(lifetime.expiry(self._sessions, record)),
            "connectURL": self._url(record),
            "requestedRAM": _gigabytes(record.slots["mem"]),
            "requestedCPUCores": format_number(record.slots["cpu"]),
            "requestedGPUCores": format_number(gpus(self._sessions.capacity, record.slots)),
            "isFixedResources": True,
            **self._usage(record),
        }
        return {key: value for key, value in row.items() if value is not None}

    def brief(self, record: Record) -> Row:
        """Return the fields for others."""
        row = {
            "userid": record.user_email.partition("@")[0] or record.access_key,
            "type": TYPES.get(record.type, record.type),
            "status": self.status(record),
            "startTime": _time(lifetime.admitted(record)),
        }
        return {key: value for key, value in row.items() if value is not None}

    def status(self, record: Record) -> str:
        """Return Skaha's word for a status; a notebook session runs once its page can be opened."""
        if record.status == "TERMINATED":
            done = record.result == "SUCCESS" if record.batch else record.exit_code == 0
            return "Completed" if done and not ended_by(record) else "Failed"
        if record.status in ("ERROR", "TERMINATING"):
            return "Failed" if record.status == "ERROR" else "Terminating"
        return "Running" if record.usable and self._notebooks.is_open(record) else "Pending"

    def _url(self, record: Record) -> str:
        return self._origin + self._notebooks.target(record) if self._notebooks.has(record) else ""

    def _usage(self, record: Record) -> Row:
        """Return the current use of resources, if the session has processes."""
        if (stat := self._sessions.live_stat(record)) is None:
            return {}
        percent, mem = (Decimal(stat[name]["current"]) for name in ("cpu_util", "mem"))
        return {
            "ramInUse": f"{mem / _GB:.2f}",
            "cpuCoresInUse": f"{percent / 100:.3f}",
            "coresInUse": f"{10 * percent:.0f}m",  # Seed 004 has thousandths of a core.
        }


def gpus(capacity: Capacity, slots: Slots) -> Decimal:
    """Return the number of GPUs in amounts of any slot; a share is a part of a GPU."""
    shared = slots.get(SHARES_SLOT, Decimal(0)) / (capacity.gpu_shares or 1)
    return (slots.get(GPU_SLOT, Decimal(0)) + shared).quantize(_CENT).normalize() + 0


def origin(request: web.Request) -> str:
    """Return the origin at which the sender of a request reaches this manager. Errors: InvalidRequest."""
    try:
        return str(request.url.origin())
    except ValueError:
        raise InvalidRequest("The Host of the request cannot be read.") from None


def matches(row: Row, type: str, status: str) -> bool:
    """Return whether a row has the wanted type and status, in any case; old names of statuses match as well.

    Source: skaha 1.7.0 can request only Succeeded and Error, canfar 1.5.2 both spellings.
    """
    said = row["status"].lower()
    return type.lower() in ("", row["type"]) and _SAME.get(status.lower(), status.lower()) in ("", said)


def _time(moment: datetime | None) -> str | None:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else None


def _gigabytes(amount: Decimal) -> str:
    number = amount / _GB
    return f"{number:.2f}" if number >= 1 else f"{number:.3f}"
