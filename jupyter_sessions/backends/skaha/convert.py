"""Between Skaha's words and ours.

Source: what servers up to 1.4.0 answer, older ones among them: `<none>` or "" for absent values,
numbers as text with and without units, and Java's times without seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from jupyter_sessions.amounts import GPU_SLOT, format_number, format_slots
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.backends.skaha import command
from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.model import (
    REPLICA_COUNT,
    REPLICA_ID,
    TYPE_ALIASES,
    TYPES,
    Amount,
    Event,
    Image,
    Service,
    SessionInfo,
    is_live,
)

OWN_TYPES = ("desktop", "carta", "contributed", "firefly")
"""Types of sessions that other backends do not have."""
_KIND_OF_TYPE = {ours: kind for kind, ours in TYPE_ALIASES.items()}
KINDS = ("notebook", *OWN_TYPES, "headless")
_STATUSES = {
    "pending": ("PENDING", "UNDEFINED"),
    "running": ("RUNNING", "UNDEFINED"),
    "terminating": ("TERMINATING", "UNDEFINED"),
    "completed": ("TERMINATED", "SUCCESS"),
    "succeeded": ("TERMINATED", "SUCCESS"),
    "failed": ("TERMINATED", "FAILURE"),
    "error": ("TERMINATED", "FAILURE"),
}
_NOTHING = "<none>"
_DIGITS = 18
"""Of amounts: there are numbers with a billion digits."""
_YEARS = range(1970, 9000)
_EVENT_HEAD = ["TYPE", "REASON", "MESSAGE", "FIRST-TIME", "LAST-TIME"]
_SLOTS = {"cpu": "cores", "mem": "ram", GPU_SLOT: "gpus"}
_GIB = Decimal(1024**3)
_GB = Decimal(1000**3)
_NUMBER = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(?:([KMGT])(i?)B?)?\s*", re.ASCII | re.IGNORECASE)
_KNOWN = frozenset(
    "id name image type status startTime expiryTime connectURL userid "
    "requestedRAM requestedCPUCores requestedGPUCores".split()
)

CreateParams = list[tuple[str, str]]


def create_query(request: SessionRequest, title: str) -> CreateParams:
    """Return the parameters of a create request.

    Errors: NotSupported for what cannot be asked of Skaha, InvalidRequest for what cannot be said.
    """
    if not request.image:
        raise InvalidRequest("A session needs an image.", hint="Choose one of `images`.", field="image")
    kind = kind_of(request.type)
    query = [
        ("name", request.name or ""),
        ("image", request.image),
        *_amounts(request, title),
        ("type", kind),
    ]
    return query + (_program(request) if kind == "headless" else _no_program(request))


def images_of(items: list[dict[str, Any]]) -> list[Image]:
    """Return the images by name, each with its kinds of session: headless ones come last."""
    found = {str(item["id"]): [str(kind) for kind in item.get("types") or []] for item in items}
    return [_image(name, found[name]) for name in sorted(found)]


def _image(name: str, kinds: list[str]) -> Image:
    title = f"{name.rpartition('/')[2]} ({', '.join(kinds)})" if kinds else name
    return Image(name=name, title=title, types=[kind for kind in KINDS if kind in kinds])


def kind_of(type: str) -> str:
    """Skaha's kind for a type of ours, or the kind itself. Errors: InvalidRequest."""
    kind = _KIND_OF_TYPE.get(type or TYPES[0], type)
    if kind not in KINDS:
        known = ", ".join((*_KIND_OF_TYPE, *KINDS))
        raise InvalidRequest(f"There is no session type '{type}'.", hint=f"Use one of {known}.", field="type")
    return kind


def _amounts(request: SessionRequest, title: str) -> CreateParams:
    found: CreateParams = []
    for slot, amount in request.resources.items():
        if slot not in _SLOTS:
            hint = f"Choose from: {', '.join(_SLOTS)}."
            raise NotSupported(f"{title} has no resource '{slot}'.", hint=hint, field=slot)
        found.append((_SLOTS[slot], format_number(amount / _GIB if slot == "mem" else amount)))
    return found


def _program(request: SessionRequest) -> CreateParams:
    program, arguments = command.words_of(request.startup_command or "")
    query = [("cmd", program)] if program else []
    query += [("args", arguments)] if arguments else []
    return query + _environ(request)


def _environ(request: SessionRequest) -> CreateParams:
    return [("env", f"{name}={value}") for name, value in request.environ.items()]


def _no_program(request: SessionRequest) -> CreateParams:
    """Nothing but the numbers of replicas, which the vendor's clients send for all kinds."""
    others = request.environ.keys() - {REPLICA_ID, REPLICA_COUNT}
    for field, given in (("startup_command", request.startup_command), ("environ", others)):
        if given:
            raise NotSupported(
                f"Skaha takes '{field}' for batch sessions alone.",
                hint="Leave it out, or use type batch.",
                field=field,
            )
    return _environ(request)


def session_made(request: SessionRequest, id: str, backend: str) -> SessionInfo:
    """Return the row of a new session of which only the id is known. Servers keep names in lower case."""
    kind = kind_of(request.type)
    return SessionInfo(
        backend=backend,
        id=id,
        name=(request.name or "").lower(),
        image=request.image or "",
        type=_type(kind),
        status="PENDING",
        status_info="",
        resources=format_slots(request.resources),
        services=[],
        created_at=datetime.now(UTC),
        extra={"kind": kind},
    )


def session_of(item: Mapping[str, Any], backend: str) -> SessionInfo:
    """Return a session object as a row."""
    said = str(_value(item, "status") or "")
    status, result = _STATUSES.get(said.lower(), (said.upper(), "UNDEFINED"))
    kind = str(_value(item, "type") or "headless")
    started = _time(_value(item, "startTime"))
    return SessionInfo(
        backend=backend,
        id=str(item["id"]),
        name=str(_value(item, "name") or ""),
        image=str(_value(item, "image") or ""),
        type=_type(kind),
        status=status,
        status_info="" if said.lower() in ("pending", "running", "terminating") else said,
        resources=_resources(item),
        services=_services(item, kind),
        created_at=started,
        started_at=started,
        status_changed=started if is_live(status) and status != "TERMINATING" else None,
        result=result,
        user_id=str(_value(item, "userid") or "") or None,
        live_stat=_usage(item),
        ends_at=_time(_value(item, "expiryTime")),
        ends_why="lifetime" if _value(item, "expiryTime") else None,
        extra={"kind": kind} | {key: value for key, value in item.items() if key not in _KNOWN},
    )


def _type(kind: str) -> str:
    return TYPE_ALIASES.get(kind, TYPES[0])


def events_of(table: str) -> list[Event]:
    """What `view=events` says: lines of type, reason, message and two times, two spaces or more between them, below a head.

    A line of another form is kept as it is.
    """
    lines = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines() if line.strip()]
    return [_event(cells) for cells in lines if cells not in ([_NOTHING], _EVENT_HEAD)]


def _event(cells: list[str]) -> Event:
    if len(cells) != len(_EVENT_HEAD):
        return Event("  ".join(cells))
    *words, first, last = cells
    return Event("  ".join(words), _time(first) or _time(last))


def _value(item: Mapping[str, Any], key: str) -> Any:
    value = item.get(key)
    return None if value in ("", _NOTHING, "null") else value


def _resources(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the amounts of a session of fixed size; one of flexible size has none."""
    found = {
        "cpu": _number(_value(item, "requestedCPUCores")),
        "mem": _bytes(_value(item, "requestedRAM")),
        GPU_SLOT: _number(_value(item, "requestedGPUCores")),
    }
    return format_slots({slot: amount for slot, amount in found.items() if amount})


def _usage(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the use of processor and memory in the form of Backend.AI's `live_stat`: percents of a core, and bytes."""
    cores, memory = _number(_value(item, "cpuCoresInUse")), _bytes(_value(item, "ramInUse"))
    if cores is None and (older := str(_value(item, "coresInUse") or "")).endswith("m"):
        cores = (_number(older[:-1]) or Decimal(0)) / 1000
    found = {"cpu_util": None if cores is None else 100 * cores, "mem": memory}
    return {name: {"current": f"{value:f}"} for name, value in found.items() if value is not None} or None


def _services(item: Mapping[str, Any], kind: str) -> list[Service]:
    url = str(_value(item, "connectURL") or "")
    return [Service(name=kind, url=url)] if url.startswith(("http://", "https://")) else []


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and (not number or abs(number.adjusted()) < _DIGITS) else None


def _bytes(value: object) -> Decimal | None:
    """Return the bytes of an amount as servers print it, so that a whole number of GiB stays one.

    "4.29" is 4 GiB in units of 10⁹ bytes, "16G" and "16Gi" are GiB of older servers.
    """
    match = _NUMBER.fullmatch(str(value)) if value is not None else None
    if match is None:
        return None
    amount = Decimal(match[1])
    if match[2]:
        return Decimal(int(amount * 1024 ** ("KMGT".index(match[2].upper()) + 1)))
    exact = amount * _GB
    whole = round(exact / _GIB)
    return whole * _GIB if whole and abs(exact - whole * _GIB) <= _GB / 100 else Decimal(int(exact))


def _time(value: object) -> datetime | None:
    """Return a time in UTC. Java leaves out seconds that are zero."""
    try:
        moment = datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
    if moment is None or moment.year not in _YEARS:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def capacity_of(stats: Mapping[str, Any]) -> dict[str, Amount]:
    """Return the amounts of `view=stats`, where "available" is the total and "requested" what is taken."""
    cores, ram = stats.get("cores") or {}, stats.get("ram") or {}
    pairs = {
        "cpu": (_number(cores.get("cpuCoresAvailable")), _number(cores.get("requestedCPUCores"))),
        "mem": (_bytes(ram.get("ramAvailable")), _bytes(ram.get("requestedRAM"))),
    }
    return {
        slot: Amount(**_spelled(slot, total, taken or Decimal(0)))
        for slot, (total, taken) in pairs.items()
        if total
    }


def _spelled(slot: str, total: Decimal, taken: Decimal) -> dict[str, str]:
    amounts = {"total": total, "free": max(total - taken, Decimal(0))}
    return {name: format_slots({slot: amount})[slot] for name, amount in amounts.items()}
