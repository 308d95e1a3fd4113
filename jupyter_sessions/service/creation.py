"""Create sessions: complete a person's spec, so that backends get a request that they can carry out as it stands."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec
from msgspec import structs

from jupyter_sessions.amounts import parse_slots, slot_label
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.backends.kernelspec_images import KernelspecImages
from jupyter_sessions.backends.recent import Recent
from jupyter_sessions.backends.session_request import SessionRequest, normalized
from jupyter_sessions.backends.takes import check_taken
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import (
    AlreadyExists,
    InvalidRequest,
    NotEnough,
    NotSupported,
    SessionError,
    SessionNotFound,
)
from jupyter_sessions.model import (
    REPLICA_COUNT,
    REPLICA_ID,
    TYPE_ALIASES,
    TYPES,
    Group,
    Image,
    SessionInfo,
    SessionSpec,
)
from jupyter_sessions.service.registry import find_types
from jupyter_sessions.wire.identity import Identity, identify
from jupyter_sessions.wire.minimum import at_least, check

_AT_ONCE = 16  # As many as skaha 1.7.0 asks for.
_IMAGES_SECONDS = 60.0


class Creates(Protocol):
    """The part of `SessionService` that replicas need."""

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Request a session, and return its row at once."""
        ...

    async def create_many(self, spec: SessionSpec) -> list[SessionInfo]:
        """Request a spec's `replicas` at once. Errors: NotSupported, in which case nothing has been created."""
        ...


async def create_replicas(where: Creates, spec: SessionSpec) -> tuple[list[SessionInfo], list[SessionError]]:
    """Create the sessions NAME-1 to NAME-N for a spec of N `replicas`; return them and why others failed.

    Each finds its number in REPLICA_ID, from 1 on, and N in REPLICA_COUNT. Source: skaha 1.7.0, canfar 1.5.2.
    """
    with suppress(NotSupported):
        return await where.create_many(spec), []
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
    """Return a name for a session that was given none."""
    return f"{(spec.image or 'session').split('/')[-1].split(':')[0]}-{secrets.token_hex(3)}"


class SessionCreation:
    """Asks backends for sessions. `find` looks up a session of a backend by name or id."""

    def __init__(self, find: Callable[[Backend, str], Awaitable[SessionInfo]]) -> None:
        self._find = find
        self._images: WeakKeyDictionary[Backend, Recent[list[Image]]] = WeakKeyDictionary()
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def create(self, backend: Backend, spec: SessionSpec) -> SessionInfo:
        """Return the row of a new session, or of the live one of that name or notebook.

        Errors: NotSupported for what the backend does not take; InvalidRequest; AlreadyExists; the backend's own.
        """
        if spec.replicas != 1:
            hint = "Ask for each of them, as `%session create --replicas N` does."
            raise NotSupported("One request makes one session.", hint=hint, field="replicas")
        request = await self.request(backend, spec)
        if backend.checks_requests:
            return await backend.create(request)
        async with self._turns.setdefault((backend.name, request.name), asyncio.Lock()):
            return await self._existing(backend, request) or await backend.create(request)

    async def create_many(self, backend: Backend, spec: SessionSpec) -> list[SessionInfo]:
        """Return the rows of a spec's `replicas`, created in one request.

        Errors: NotSupported by a backend that has no such request, or for names of which some are live: then each
        session is to be created by itself. Others as for `create`.
        """
        count = spec.replicas
        if "create_many" not in backend.capabilities():
            raise NotSupported(f"{backend.title} creates one session in one request.", field="replicas")
        names = [each.name for each in replicas_of(spec)]
        backend.name_rule.check(str(names[-1]))
        request = await self.request(backend, structs.replace(spec, replicas=1))
        if any(row.name in names for row in await backend.list(Query())):
            raise NotSupported("Some of these sessions are live.", field="replicas")
        return await backend.create_many(request, count)

    async def request(self, backend: Backend, spec: SessionSpec) -> SessionRequest:
        """Return a spec as the backend gets it. Errors: as `create`."""
        check_taken(spec, backend.takes, backend.title)
        request = normalized(spec)
        request.type = await self._type(backend, spec)
        least: Mapping[str, Decimal] = {}
        if isinstance(backend, KernelspecImages):
            request.image, request.launch = await backend.launch(spec)
            least = parse_slots(request.launch.minimum)
        elif not backend.checks_requests and (image := await self._image(backend, request.image)):
            least = parse_slots(image.resources)
        given = request.resources
        if not backend.checks_requests:
            check(given, {slot: amount for slot, amount in least.items() if slot in given})
        filled = at_least(await backend.default_resources(given), least)
        request.resources = filled | given
        if request.resource_group and not backend.checks_requests:
            _check_group(request, (await backend.choices()).groups)
        if request.dependencies:
            request.dependencies = [await self._dependency(backend, ref) for ref in request.dependencies]
        return request

    async def _type(self, backend: Backend, spec: SessionSpec) -> str:
        """Return the type in our words; without one, the first that the image is for.

        Errors: NotSupported for a type that only other backends have, InvalidRequest for one that none has.
        """
        found = TYPE_ALIASES.get(spec.type, spec.type)
        if not found and not backend.checks_requests and "images" in backend.capabilities():
            types = next(
                (image.types for image in await self._all_images(backend) if spec.image == image.name), []
            )
            found = next((TYPE_ALIASES.get(one, one) for one in types), "")
        found = found or TYPES[0]
        if found not in backend.types and not any(found in kind.types for kind in find_types().values()):
            hint = f"Use {' or '.join(backend.types)}."
            raise InvalidRequest(f"There are no {found} sessions.", hint=hint, field="type")
        if found not in backend.types:
            raise NotSupported(
                f"{backend.title} has no {found} sessions.",
                hint=f"Choose from: {', '.join(backend.types)}.",
                field="type",
            )
        return found

    async def _image(self, backend: Backend, name: str | None) -> Image | None:
        """Return what is known of an image; None if the backend does not tell."""
        if name is None or "images" not in backend.capabilities():
            return None
        try:
            images = await self._all_images(backend)
        except SessionError:
            return None
        return next((image for image in images if name in (image.name, *image.aliases)), None)

    async def _all_images(self, backend: Backend) -> list[Image]:
        if backend not in self._images:
            self._images[backend] = Recent(backend.images, _IMAGES_SECONDS)
        return await self._images[backend].get()

    async def _dependency(self, backend: Backend, ref: str) -> str:
        try:
            return (await self._find(backend, ref)).id
        except SessionNotFound as error:
            raise InvalidRequest(
                f"There is no session '{ref}' to depend on.",
                hint="Give the ids or names of sessions that exist.",
                field="dependencies",
            ) from error

    async def _existing(self, backend: Backend, request: SessionRequest) -> SessionInfo | None:
        """Return the live session that the request means. Errors: AlreadyExists."""
        name = request.name.lower() if backend.name_rule.lower else request.name
        rows = [row for row in await backend.list(Query()) if row.live and row.status != "TERMINATING"]
        image = await self._image(backend, request.image) if rows else None
        images = {request.image, *((image.name, *image.aliases) if image else ())}
        row = next((row for row in rows if row.name == name), None)
        if row is not None:
            another = request.image is not None and row.image not in images
            if not request.reuse_if_exists or row.status == "ERROR" or another:
                raise AlreadyExists.session(row.name, row.id, image=row.image)
            return structs.replace(row, reused=True)
        if request.notebook_path is None or request.owner is None:
            return None
        same = (row for row in rows if row.notebook_path == request.notebook_path and row.image in images)
        found = next((row for row in same if _is_orphan(row) and _has(row, request)), None)
        return None if found is None else structs.replace(found, reused=True)


def _check_group(request: SessionRequest, groups: Sequence[Group]) -> None:
    """Check a request against the limits of its resource group, if the backend tells any. Errors: InvalidRequest."""
    group = next((group for group in groups if group.name == request.resource_group), None)
    if group is None:
        if groups:
            raise InvalidRequest(
                f"There is no resource group '{request.resource_group}'.",
                hint=f"There are: {', '.join(group.name for group in groups)}.",
                field="resource_group",
            )
        return
    for slot, most in parse_slots(group.most).items():
        if request.resources.get(slot, Decimal(0)) > most:
            raise NotEnough(
                f"A session in '{group.name}' can have at most {slot_label(slot, most)}.",
                hint="Ask for less, or choose another resource group.",
                field=slot,
            )
    if group.longest is not None and (request.time_limit or 0) > group.longest:
        raise InvalidRequest(
            f"A session in '{group.name}' can run for at most {human_time(group.longest)}.",
            hint="Choose a shorter time limit, or another resource group.",
            field="time_limit",
        )


def _is_orphan(row: SessionInfo) -> bool:
    """Return whether the process is gone for which a session was created."""
    owner = row.owner
    if owner is None or row.status == "ERROR":
        return False
    return identify(owner.pid) != Identity(*structs.astuple(owner))


def _has(row: SessionInfo, request: SessionRequest) -> bool:
    """Return whether a session has the resources that are asked for."""
    try:
        return parse_slots(row.resources) == request.resources
    except InvalidRequest:
        return False


def with_preset(spec: SessionSpec, presets: Mapping[str, Mapping[str, Any]]) -> SessionSpec:
    """Return a spec with what it leaves out taken from the preset that it names. Errors: InvalidRequest."""
    if spec.preset is None:
        return spec
    if spec.preset not in presets:
        known = ", ".join(presets) or "none"
        raise InvalidRequest(
            f"There is no preset '{spec.preset}'.", hint=f"Choose from: {known}.", field="preset"
        )
    preset, given = presets[spec.preset], msgspec.to_builtins(spec)
    merged = {**preset, **given}
    for key in ("resources", "environ"):
        merged[key] = {**preset.get(key, {}), **given.get(key, {})}
    merged["secrets"] = [*dict.fromkeys([*preset.get("secrets", []), *spec.secrets])]
    merged["replicas"] = spec.replicas  # Who makes several reads the preset's number, and asks for each.
    return msgspec.convert({key: value for key, value in merged.items() if key != "preset"}, SessionSpec)
