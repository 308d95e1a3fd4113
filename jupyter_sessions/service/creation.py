"""What a session is asked to be: filled in by its backend, and asked for once or several times."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from msgspec import structs

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.takes import check_taken
from jupyter_sessions.errors import InvalidRequest, NotSupported, SessionError
from jupyter_sessions.model import (
    REPLICA_COUNT,
    REPLICA_ID,
    TYPE_ALIASES,
    SessionInfo,
    SessionSpec,
)
from jupyter_sessions.service.registry import find_types

_AT_ONCE = 16  # As many as skaha 1.7.0 asks for.


class Creates(Protocol):
    """What can ask for a session."""

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Ask for a session; its row at once."""
        ...


async def create_replicas(where: Creates, spec: SessionSpec) -> tuple[list[SessionInfo], list[SessionError]]:
    """The sessions NAME-1 to NAME-N for a spec of N `replicas`, and why some of them could not be made.

    Each finds its number in REPLICA_ID, from 1 on, and N in REPLICA_COUNT. Source: skaha 1.7.0, canfar 1.5.2.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(each: SessionSpec) -> SessionInfo | SessionError:
        async with turn:
            try:
                return await where.create(each)
            except SessionError as error:
                error.message = f"{each.name}: {error.message}"
                return error

    made = await asyncio.gather(*map(one, replicas_of(spec)))
    rows = [one for one in made if isinstance(one, SessionInfo)]
    return rows, [one for one in made if isinstance(one, SessionError)]


def replicas_of(spec: SessionSpec) -> list[SessionSpec]:
    """Return the specs of the sessions NAME-1 to NAME-N for a spec of N `replicas`, which may be 1."""
    name, count = spec.name or new_name(spec), str(spec.replicas)
    return [
        structs.replace(
            spec,
            name=f"{name}-{number}",
            environ=spec.environ | {REPLICA_ID: str(number), REPLICA_COUNT: count},
            replicas=1,
        )
        for number in range(1, spec.replicas + 1)
    ]


def new_name(spec: SessionSpec) -> str:
    """A name for a session that was given none."""
    return f"{(spec.image or 'session').split('/')[-1].split(':')[0]}-{secrets.token_hex(3)}"


async def create(backend: Backend, spec: SessionSpec) -> SessionInfo:
    """Ask a backend for a session, with its own choices for what the spec leaves out.

    Errors: NotSupported for a type of session that the backend does not have, or for several; InvalidRequest; the
    backend's own.
    """
    if spec.replicas != 1:
        hint = "Ask for each of them, as `%session create --replicas N` does."
        raise NotSupported("One request makes one session.", hint=hint, field="replicas")
    check_taken(spec, backend.takes, backend.title)
    asked = {name: value for name, value in spec.resources.items() if value not in (None, "")}
    parse_slots(asked)
    spec.type = await _type(backend, spec)
    spec.resources = {**(await backend.default_resources(asked, spec.image)), **asked}
    return await backend.create(spec)


async def _type(backend: Backend, spec: SessionSpec) -> str:
    """The type in our words. Errors: NotSupported for one that only others have, InvalidRequest for one that none has."""
    found = TYPE_ALIASES.get(spec.type, spec.type) or await backend.default_type(spec.image)
    if found not in backend.types and not any(found in kind.types for kind in find_types().values()):
        hint = f"Use {' or '.join(backend.types)}."
        raise InvalidRequest(f"There are no {found} sessions.", hint=hint, field="type")
    if found not in backend.types:
        raise NotSupported(
            f"{backend.title} has no {found} sessions.",
            hint=f"There are: {', '.join(backend.types)}.",
            field="type",
        )
    return found


def with_preset(spec: SessionSpec, presets: Mapping[str, Mapping[str, Any]]) -> SessionSpec:
    """Return a spec with what it leaves out taken from the preset that it names. Errors: InvalidRequest."""
    if spec.preset is None:
        return spec
    if spec.preset not in presets:
        known = ", ".join(presets) or "none"
        raise InvalidRequest(
            f"There is no preset '{spec.preset}'.", hint=f"There are: {known}.", field="preset"
        )
    preset, given = presets[spec.preset], msgspec.to_builtins(spec)
    merged = {**preset, **given}
    for key in ("resources", "environ"):
        merged[key] = {**preset.get(key, {}), **given.get(key, {})}
    merged["replicas"] = spec.replicas  # Who makes several reads the preset's number, and asks for each.
    return msgspec.convert({key: value for key, value in merged.items() if key != "preset"}, SessionSpec)
