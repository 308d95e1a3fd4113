"""Sessions as dictionaries in the form of seed 004's client, whichever backend they are on.

Source: seed 004 for the older names and spellings of amounts, servers up to 1.4.0 for the newer names. What such a
server answers itself, in `SessionInfo.extra`, is passed on unchanged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import SHARES, format_number, parse_slots
from jupyter_sessions.client.services import address_below
from jupyter_sessions.model import TYPE_ALIASES, USABLE, Amount, Event, SessionInfo

NOTHING = "<none>"
"""How servers of the seed's time spell an absent value."""
HEADLESS = "headless"
_KINDS = {ours: kind for kind, ours in TYPE_ALIASES.items()}
_SYNONYMS = {"succeeded": "completed", "error": "failed"}
_KEPT, _KEPT_HEADLESS = timedelta(hours=24), timedelta(hours=1)
_ON_REQUEST = "user-requested"
_DEVICE = ".device"
_GIB, _MIB = Decimal(1024**3), Decimal(1024**2)
PUBLIC = ("userid", "type", "status", "startTime")
"""The keys of a session that `view="all"` shows of anybody's."""

SessionRow = dict[str, Any]


def row_of(info: SessionInfo, base_url: str) -> SessionRow:
    """Return a session in the form of `fetch` and `info`; all amounts are text, those of memory with their unit."""
    slots = parse_slots(info.resources)
    gpus = gpus_of(slots)
    row = {
        "id": info.id,
        "userid": _user(info),
        "image": info.image,
        "type": kind_of(info),
        "status": status_of(info),
        "name": info.name,
        "startTime": _time(_started(info)),
        "expiryTime": _time(info.ends_at),
        "connectURL": _url(info, base_url),
        "requestedRAM": _gib(slots["mem"]) if "mem" in slots else NOTHING,
        "requestedCPUCores": format_number(slots["cpu"]) if "cpu" in slots else NOTHING,
        "requestedGPUCores": format_number(gpus) if gpus else NOTHING,
        "isFixedResources": True,
        **_usage(info),
    }
    return row | {key: value for key, value in info.extra.items() if key != "kind"}


def kind_of(info: SessionInfo) -> str:
    """Return the kind of a session: "notebook", "headless", or the backend's own word for another one."""
    return str(info.extra.get("kind") or _KINDS.get(info.type, info.type))


def status_of(info: SessionInfo) -> str:
    """Return Pending, Running, Terminating, Completed or Failed."""
    if info.status == "TERMINATING":
        return "Terminating"
    if info.live and info.status != "ERROR":
        return "Running" if info.status in USABLE else "Pending"
    exited_well = info.result == "UNDEFINED" and info.exit_code == 0 and not info.ends_why
    done = info.status == "TERMINATED" and (info.result == "SUCCESS" or exited_well)
    return "Completed" if done else "Failed"


def is_open(info: SessionInfo, now: datetime) -> bool:
    """Return whether a session is listed: it lives, or ended by itself within 24 hours, or 1 if it was headless."""
    if info.live:
        return True
    if info.status == "CANCELLED" or info.status_info == _ON_REQUEST:
        return False
    ended = info.terminated_at or info.status_changed
    return ended is None or now - ended < (_KEPT_HEADLESS if kind_of(info) == HEADLESS else _KEPT)


def matches(row: Mapping[str, Any], kind: str | None, status: str | None) -> bool:
    """Return whether a session has a kind and a status, in any case; Succeeded means Completed, and Error Failed."""
    wanted = (status or "").lower()
    same_status = _SYNONYMS.get(wanted, wanted) in (
        "",
        _SYNONYMS.get(row["status"].lower(), row["status"].lower()),
    )
    return same_status and (kind or "").lower() in ("", row["type"])


def group_of(status: str | None) -> str:
    """Return the sessions to ask backends for when those of a status are wanted."""
    return "live" if (status or "").lower() in ("pending", "running", "terminating") else "all"


def line_of(event: Event) -> str:
    """Return an event as a line: its time in UTC, if that is known, and what happened."""
    return f"{_time(event.when)}  {event.what}".strip()


def stats_of(capacity: Mapping[str, Amount], infos: Iterable[SessionInfo]) -> dict[str, Any]:
    """Return the use of a backend: "available" is the total, "requested" what is taken, "max" what one session gets."""
    kinds = Counter(kind_of(info) for info in infos if info.status != "PENDING")
    total = parse_slots({slot: amount.total for slot, amount in capacity.items()})
    free = parse_slots({slot: amount.free for slot, amount in capacity.items() if _is_amount(amount.free)})
    most = total | parse_slots({slot: amount.most for slot, amount in capacity.items() if amount.most})
    taken = {slot: amount - free.get(slot, Decimal(0)) for slot, amount in total.items()}
    zero = Decimal(0)
    cores, ram = _number(most.get("cpu", zero)), _gib(most.get("mem", zero))
    return {
        "instances": {
            "session": kinds.total() - kinds[HEADLESS] - kinds["desktop-app"],
            "desktopApp": kinds["desktop-app"],
            "headless": kinds[HEADLESS],
            "total": kinds.total(),
        },
        "cores": {
            "requestedCPUCores": _number(taken.get("cpu", zero)),
            "coresAvailable": _number(total.get("cpu", zero)),
            "cpuCoresAvailable": _number(total.get("cpu", zero)),
            "maxCores": {"cores": cores, "withRam": ram},
            "maxCPUCores": {"cpuCores": cores, "withRam": ram},
        },
        "ram": {
            "requestedRAM": _gib(taken.get("mem", zero)),
            "ramAvailable": _gib(total.get("mem", zero)),
            "maxRAM": {"ram": ram, "withCores": cores, "withCPUCores": cores},
        },
        "gpu": {"requestedGPU": _number(gpus_of(taken)), "gpuAvailable": _number(gpus_of(total))},
    }


def gpus_of(slots: Mapping[str, Decimal]) -> Decimal:
    """Return the number of GPUs, or of shares of GPUs, in amounts of any slot."""
    return sum((amount for slot, amount in slots.items() if slot.endswith((_DEVICE, SHARES))), Decimal(0))


def _is_amount(text: str) -> bool:
    return text.strip("0.") != ""


def _started(info: SessionInfo) -> datetime | None:
    """Return when a session started, or for a backend that does not tell, when it was created."""
    return info.started_at or (None if status_of(info) == "Pending" else info.created_at)


def _user(info: SessionInfo) -> str:
    return (info.user_email or "").partition("@")[0] or info.user_id or info.access_key or ""


def _url(info: SessionInfo, base_url: str) -> str:
    """Return the address of a session's page; "" if it has none, or no Jupyter server leads there."""
    pages = [service for service in info.services if service.url and service.protocol in ("http", "https")]
    page = next((service for service in pages if service.name == "jupyter"), pages[0] if pages else None)
    return address_below(base_url, page.url) if page else ""


def _usage(info: SessionInfo) -> dict[str, str]:
    stat = info.live_stat or {}
    cpu, mem = (_current(stat.get(name)) for name in ("cpu_util", "mem"))
    return {
        "coresInUse": NOTHING if cpu is None else f"{10 * cpu:.0f}m",
        "cpuCoresInUse": NOTHING if cpu is None else f"{cpu / 100:.3f}",
        "ramInUse": NOTHING if mem is None else f"{mem / _MIB:.0f}Mi",
    }


def _current(metric: Any) -> Decimal | None:
    try:
        return Decimal(str(metric["current"]))
    except (TypeError, KeyError, ArithmeticError):
        return None


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _gib(amount: Decimal) -> str:
    return f"{format_number(round(amount / _GIB, 2))}G"


def _number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)
