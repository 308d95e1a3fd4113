"""Session fields as text for people, and the names by which people ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from jupyter_sessions.amounts import parse_slots, slot_label
from jupyter_sessions.commands.result import plain
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import RESERVED_FIELDS, Container, Service, SessionInfo, reason, status_clause

_ALIASES = {
    "session_id": "id",
    "occupying_slots": "occupied_slots",
    "agent_ids": "agents",
    "scaling_group": "resource_group",
    "service_ports": "services",
}
"""Field names of Backend.AI's command line (seed 003)."""
_EVENTS = {"server_restart": "a restart of the server", "logout": "a logout", "reboot": "a reboot"}


def describe(row: SessionInfo, places: Mapping[str, str]) -> str:
    """Describe a session in one line: "demo is running: python3 · 1 CPU · 512 MiB on this machine".

    `places` names where the sessions of each backend run; see `Defaults`.
    """
    sentence = row.status_info.endswith(".")
    why = f" ({reason(row.status_info)})" if row.status_info and not sentence else ""
    where = places.get(row.backend, row.backend)
    what = " · ".join(filter(None, (row.image, resources(row))))
    also = f". {row.status_info}" if sentence else ""
    if row.expected_at and row.status == "PENDING":
        also = f"{also.removesuffix('.')}. It is expected to start at {words(row.expected_at)}."
    return plain(f"{row.name} {status_clause(row.status)}{why}: {what} on {where}{also}")


def resources(row: SessionInfo) -> str:
    """Return the resources of a session in words."""
    return " · ".join(
        slot_label(name, Decimal(amount)) for name, amount in parse_slots(row.resources).items()
    )


def show(row: SessionInfo, field: str) -> str:
    """Return a field of a session as text. Errors: InvalidRequest listing the fields."""
    if field == "resources":
        return resources(row)
    if field == "survives":
        return survival(row.survives)
    name = field_of(field)
    return words(row.extra.get(name) if name in RESERVED_FIELDS else getattr(row, name))


def survival(survives: dict[str, bool]) -> str:
    """Return what a session outlives, and what first ends it: "a restart of the server, not a reboot"."""
    named = [(_EVENTS.get(event, event.replace("_", " ")), yes) for event, yes in survives.items()]
    outlived = " and ".join(event for event, yes in named if yes)
    ending = next((f"not {event}" for event, yes in named if not yes), "")
    return ", ".join(filter(None, (outlived, ending)))


def words(value: object) -> str:
    """Return a value as text for people; `--json` has the value for programs."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone().isoformat(" ", "seconds")
        case Service():
            return value.name
        case Container():
            return f"{value.hostname} {value.status}"
        case dict():
            return ", ".join(f"{key}: {words(part)}" for key, part in value.items())
        case list():
            return ", ".join(map(words, value))
        case _:
            return str(value)


def field_of(given: str) -> str:
    """Return the field for a name that people use. Errors: InvalidRequest listing the fields."""
    name = _ALIASES.get(given.strip(), given.strip())
    known = (*SessionInfo.__struct_fields__, *RESERVED_FIELDS)
    if name not in known:
        hint = f"Choose from {', '.join(known)}."
        raise InvalidRequest(f"A session has no field '{name}'.", hint=hint, field="format")
    return name
