"""The session API: create, look, restart, end. Source: seed 000, managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from jupyter_sessions.errors import AlreadyExists, Forbidden, InvalidRequest, SessionNotFound
from jupyter_sessions.manager.api.auth import ACCESS_KEY
from jupyter_sessions.manager.api.problems import is_legacy
from jupyter_sessions.manager.api.request import CreateRequest, read_create
from jupyter_sessions.manager.logs import Logs
from jupyter_sessions.manager.record import Record, folder_of
from jupyter_sessions.manager.scheduler import MINIMUM
from jupyter_sessions.manager.sessions import NAME_RULE, Sessions
from jupyter_sessions.wire.environment import Specs

SESSIONS = web.AppKey("sessions", Sessions)
WAITING = frozenset({"PENDING", "SCHEDULED", "PREPARING"})
_ARCHITECTURES = {"arm64": "aarch64", "amd64": "x86_64"}


async def create(request: web.Request) -> web.Response:
    """POST /session: a new session, or the live one of that name and image."""
    sessions = request.app[SESSIONS]
    asked = read_create(await body_of(request))
    record = _existing(sessions, asked)
    created = record is None
    if record is None:
        record = _new(sessions, asked, request[ACCESS_KEY])
        sessions.submit(record)
    status = record.status
    if created and not asked.enqueue_only:
        status = await _wait(sessions, record, asked.max_wait_seconds)
    code = 200 if is_legacy(request) and not created else 201
    return answer(
        {
            "sessionId": record.id,
            "sessId": record.id,
            "sessionName": record.name,
            "status": status,
            "statusInfo": record.status_info,
            "servicePorts": service_ports(record),
            "service_ports": service_ports(record),
            "created": created,
        },
        code,
    )


def _existing(sessions: Sessions, asked: CreateRequest) -> Record | None:
    NAME_RULE.check(asked.name)
    try:
        record = sessions.find(asked.name)
    except SessionNotFound:
        return None
    if asked.reuse_if_exists and record.image == _resolve(asked)[0] and record.status != "ERROR":
        return record
    image = "" if record.status == "ERROR" else f" with the image '{record.image}'"
    raise AlreadyExists(
        f"name: a session '{asked.name}' exists already{image}, {record.status}.",
        hint="Use another name, or terminate that one.",
        field="name",
        data={"existingSessionId": record.id},
    )


def _resolve(asked: CreateRequest) -> tuple[str, Any]:
    if asked.launch is not None:
        return asked.image, asked.launch
    return Specs.here().resolve(asked.image)


def _new(sessions: Sessions, asked: CreateRequest, access_key: str) -> Record:
    if asked.owner_access_key not in (None, access_key):
        hint = "Leave it out."
        raise Forbidden(
            "owner_access_key: this is not the key that asks.", hint=hint, field="owner_access_key"
        )
    machine = platform.machine()
    wanted = asked.architecture or machine
    if _ARCHITECTURES.get(wanted, wanted) != machine:
        raise InvalidRequest(
            f"architecture: this machine is {machine}, not {wanted}.",
            hint="Leave it out.",
            field="architecture",
        )
    slots = MINIMUM | asked.slots()
    sessions.capacity.check(slots)
    image, launch = _resolve(asked)
    record = Record(
        name=asked.name,
        image=image,
        access_key=access_key,
        slots=slots,
        launch=launch,
        folder="",
        environ=asked.environ,
        resource_opts=asked.resource_opts,
        tag=asked.tag,
        owner=asked.owner,
    )
    record.folder = folder_of(sessions.state_folder, record.id)
    return record


async def _wait(sessions: Sessions, record: Record, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds or None):
            await sessions.wait(record, lambda record: record.status not in WAITING)
    except TimeoutError:
        return "TIMEOUT"
    return record.status


async def info(request: web.Request) -> web.Response:
    """GET /session/{ref}: what seed 000 says of a session."""
    sessions = request.app[SESSIONS]
    record = sessions.find_any(request.match_info["ref"]) if is_legacy(request) else find(request)
    slots = msgspec.json.encode({name: str(amount) for name, amount in record.slots.items()}).decode()
    return answer(
        {
            "domainName": record.domain,
            "groupId": record.group,
            "userId": record.access_key,
            "lang": record.image,
            "image": record.image,
            "architecture": platform.machine(),
            "registry": "local",
            "tag": record.tag,
            "containerId": container_id(record),
            "occupiedSlots": slots if record.holds_slots else "{}",
            "occupyingSlots": slots if record.holds_slots else "{}",
            "requestedSlots": slots,
            "occupiedShares": "{}",
            "environ": msgspec.json.encode(record.environ).decode(),
            "resourceOpts": msgspec.json.encode(record.resource_opts).decode(),
            "status": record.status,
            "statusInfo": record.status_info,
            "statusData": record.status_data,
            "age": record.age_ms(),
            "creationTime": record.created.isoformat(),
            "terminationTime": record.ended.isoformat() if record.ended else None,
            "numQueriesExecuted": record.num_queries,
            "lastStat": record.last_stat,
            "idleChecks": {},
        }
    )


async def restart(request: web.Request) -> web.Response:
    """PATCH /session/{ref}: restart it, and answer when it runs again."""
    await request.app[SESSIONS].restart(find(request))
    return web.Response(status=204)


async def destroy(request: web.Request) -> web.Response:
    """DELETE /session/{ref}: begin to end it; `forced` skips the grace time."""
    record = find(request)
    forced = request.query.get("forced", "false").lower() in ("true", "yes", "1")
    await request.app[SESSIONS].terminate(record, forced=forced)
    if is_legacy(request):
        return web.Response(status=204)
    status = "cancelled" if record.status == "CANCELLED" else "terminated"
    return answer({"stats": {**(record.last_stat or {}), "status": status}})


async def rename(request: web.Request) -> web.Response:
    """POST /session/{ref}/rename?name=…"""
    request.app[SESSIONS].rename(find(request), request.query.get("name", ""))
    return web.Response(status=204)


async def logs(request: web.Request) -> web.Response:
    """GET /session/{ref}/logs: of live and ended sessions."""
    record = request.app[SESSIONS].find_any(request.match_info["ref"])
    return answer({"result": {"logs": Logs(Path(record.folder)).text()}})


def find(request: web.Request) -> Record:
    """The live session that the path names. Errors: SessionNotFound, Ambiguous."""
    return request.app[SESSIONS].find(request.match_info["ref"])


def container_id(record: Record) -> str | None:
    """The runtime's handle: the process number of the main process, while there is one."""
    return str(record.process.child.pid) if record.process and record.live else None


def service_ports(record: Record) -> list[dict[str, Any]]:
    """The service ports of a running session; none are known before."""
    names = record.launch.services if record.usable else ()
    return [{"name": name, "protocol": "http", "ports": []} for name in names]


def answer(body: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of a request; {} if there is none. Errors: InvalidRequest."""
    return read_object(await request.read())


def read_object(text: str | bytes, field: str = "") -> dict[str, Any]:
    """The JSON object in a text, {} if it is empty. Errors: InvalidRequest."""
    what = f"{field}: this" if field else "The request's body"
    try:
        found = msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"{what} is no JSON: {error}.", field=field) from None
    if not isinstance(found, dict):
        raise InvalidRequest(f"{what} must be a JSON object.", field=field)
    return found
