"""The session API: create, inspect, restart and end sessions. Source: seed 000, managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.errors import AlreadyExists, InvalidRequest, UnknownImage
from jupyter_sessions.manager.api.auth import acting
from jupyter_sessions.manager.api.plan import plan
from jupyter_sessions.manager.api.request import NAMES, CreateRequest, read_create, read_environ
from jupyter_sessions.manager.api.slots import slots_of
from jupyter_sessions.manager.api.status import status_data
from jupyter_sessions.manager.api.versions import DESTROYED, ENDED, REUSED
from jupyter_sessions.manager.core import mounts
from jupyter_sessions.manager.core.changes import EnvironSet
from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.dependencies import dependents
from jupyter_sessions.manager.core.keys import Key, id_of
from jupyter_sessions.manager.core.record import Record, folder_of
from jupyter_sessions.manager.core.services import (
    FAILED,
    TITLES,
    ServiceDefinition,
    ServiceState,
    definitions,
    kind_of,
    refusal,
)
from jupyter_sessions.manager.run.logs import LogFiles
from jupyter_sessions.manager.run.session_port import check_preopened
from jupyter_sessions.manager.schedule.placement import Capacity
from jupyter_sessions.manager.sessions import NAME_RULE, SessionManager
from jupyter_sessions.wire import untrusted
from jupyter_sessions.wire.environment import Launch, Specs
from jupyter_sessions.wire.secret_variables import split
from jupyter_sessions.wire.spec_limits import check_size

SESSIONS = web.AppKey("sessions", SessionManager)
WAITING = frozenset({"PENDING", "SCHEDULED", "PREPARING"})
TO_BE_HAD = frozenset({"PENDING", "PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING"})
_ARCHITECTURES = {"arm64": "aarch64", "amd64": "x86_64"}
_STATS_VERSION = 2
"""The version of metrics with units (`usage`), which the vendor's command line expects (23.9.10 to 26.9.6)."""


class Made(msgspec.Struct, frozen=True):
    """The result of a create request. `status` may be TIMEOUT."""

    record: Record
    status: str
    created: bool

    def body(self) -> dict[str, Any]:
        """Return the fields that the answers of all versions have."""
        record = self.record
        return {
            "sessionId": record.id,
            "sessId": record.id,
            "sessionName": record.name,
            "status": self.status,
            "statusInfo": record.status_info,
            "servicePorts": service_ports(record),
            "service_ports": service_ports(record),
            "created": self.created,
        }


async def create(request: web.Request) -> web.Response:
    """Answer POST /session: a new session, or the live session with that name and image."""
    made = await make(request, await spec_of(request))
    return answer(made.body(), 201 if made.created else REUSED.of(request))


async def make(request: web.Request, body: dict[str, Any], **facts: Any) -> Made:
    """Perform a create request, and wait as long as the request says. `facts` are further fields of the record.

    Errors: SessionError.
    """
    sessions, asked = request.app[SESSIONS], read_create(body)
    who = acting(request, asked.owner_access_key)
    record = _orphan(sessions, asked, who) or _existing(sessions, asked, who)
    if record is not None:
        return Made(record, record.status, False)
    record = _new(sessions, asked, who, **facts)
    sessions.submit(record)
    if asked.enqueue_only:
        # The status may differ by now, but the vendor's `run` goes on only with PENDING (seed 000).
        return Made(record, "PENDING", True)
    return Made(record, await _wait(sessions, record, asked.max_wait_seconds), True)


def _orphan(sessions: SessionManager, asked: CreateRequest, who: Key) -> Record | None:
    """Return the session of the same notebook if its owner is gone, for example a server that was killed."""
    if not asked.notebook_path or asked.owner is None:
        return None
    image, launch = _resolve(asked)
    slots = slots_of(asked, launch, _capacity_for(sessions, asked))
    wanted = (who.access_key, asked.notebook_path, image, slots)
    for record in sessions.live:
        same = (record.access_key, record.notebook_path, record.image, record.slots) == wanted
        if same and record.status in TO_BE_HAD and record.owner is not None and not record.owner.alive():
            sessions.claim(record, asked.owner)
            return record
    return None


def _existing(sessions: SessionManager, asked: CreateRequest, who: Key) -> Record | None:
    NAME_RULE.check(asked.name)
    record = sessions.named(asked.name, who.access_key)
    if record is None:
        return None
    if asked.reuse_if_exists and record.image == _resolve(asked)[0] and record.status != "ERROR":
        return record
    image = "" if record.status == "ERROR" else record.image
    raise AlreadyExists.session(asked.name, record.id, image=image)


def _capacity_for(sessions: SessionManager, asked: CreateRequest) -> Capacity:
    """Return the part of the machine that the client may use."""
    return sessions.capacity.within(parse_slots(asked.bounds), asked.visible_devices)


def _resolve(asked: CreateRequest) -> tuple[str, Launch]:
    if asked.launch is not None:
        return asked.image, asked.launch
    try:
        return Specs.lately().resolve(asked.image)
    except UnknownImage as error:
        if not os.path.exists(sys.executable):
            error.hint = (
                f"The environment of this session manager, {sys.prefix}, has been removed: "
                f"`jupyter session backend takeover` starts one of another environment. {error.hint}"
            )
        raise


def _new(sessions: SessionManager, asked: CreateRequest, who: Key, **facts: Any) -> Record:
    domain, group = sessions.store.keys.place(who, asked.domain, asked.group)
    _check_architecture(asked.architecture)
    image, launch = _resolve(asked)
    shown, hidden = split(asked.environ, asked.secrets)
    inherited = {name: value for name, value in launch.env.items() if name not in hidden}
    launch = msgspec.structs.replace(launch, env=inherited)
    capacity = _capacity_for(sessions, asked)
    slots = slots_of(asked, launch, capacity)
    who.check(slots)
    check_preopened(asked.preopen_ports, sessions.live, sessions.ending(asked.name, who.access_key))
    record = Record(
        name=asked.name,
        image=image,
        access_key=who.access_key,
        domain=domain,
        group=group,
        user_email=who.email,
        slots=slots,
        bounds=parse_slots(asked.bounds),
        allowed_gpus=None if asked.visible_devices is None else capacity.gpus,
        launch=launch,
        folder="",
        environ=shown,
        secrets=sorted(hidden),
        resource_opts=asked.resource_opts,
        tag=asked.tag,
        owner=asked.owner,
        notebook_path=asked.notebook_path,
        type=asked.type,
        cluster_mode=asked.cluster_mode,
        subs=[MemberRecord(idx=number) for number in range(1, asked.cluster_size)],
        startup_command=asked.startup_command,
        bootstrap_script=asked.bootstrap_script,
        mounts=mounts.choose(sessions.folders, asked.mounts, asked.mount_map),
        preopen_ports=asked.preopen_ports,
        startup_services=asked.services,
        **plan(asked, sessions, who),
        **facts,
    )
    sessions.secrets.put(record.id, hidden)
    folder = folder_of(sessions.state_folder, record.id)
    if asked.launch is None:
        launch = msgspec.structs.replace(launch, cwd=os.path.join(folder, "work"))
    record = msgspec.structs.replace(record, folder=folder, launch=launch)
    mounts.check(record.mounts, record.launch.cwd)
    return record


def _check_architecture(asked: str | None) -> None:
    machine = platform.machine()
    wanted = asked or machine
    if _ARCHITECTURES.get(wanted, wanted) != _ARCHITECTURES.get(machine, machine):
        raise InvalidRequest(
            f"This machine is {machine}, not {wanted}.",
            hint="Leave it out.",
            field="architecture",
        )


async def _wait(sessions: SessionManager, record: Record, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds or None):
            await sessions.wait(record, lambda record: record.status not in WAITING)
    except TimeoutError:
        return "TIMEOUT"
    return record.status


async def info(request: web.Request) -> web.Response:
    """Answer GET /session/{ref} as in seeds 000 and 001; `memoryLimit`, of one member, is in KiB."""
    sessions = request.app[SESSIONS]
    record = find(request) if ENDED.of(request) == 404 else find_any(request)
    record = sessions.measured(record.id) or record
    slots = msgspec.json.encode({name: str(amount) for name, amount in record.slots.items()}).decode()
    return answer(
        {
            "domainName": record.domain,
            "groupId": id_of(record.domain, record.group),
            "userId": id_of(record.access_key),
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
            "statusData": status_data(record),
            "result": record.result.lower(),
            "age": record.age_ms(),
            "creationTime": record.created.isoformat(),
            "terminationTime": record.ended.isoformat() if record.ended else None,
            "numQueriesExecuted": record.num_queries,
            "memoryLimit": int(record.member_slots["mem"]) // 1024,
            "cpuCreditUsed": record.cpu_ms,
            "lastStat": record.last_stat or sessions.live_stat(record),
            "idleChecks": sessions.time.checks(record),
        }
    )


async def restart(request: web.Request) -> web.Response:
    """Answer PATCH /session/{ref}: restart a session, and answer when it runs again."""
    await request.app[SESSIONS].restart(find(request))
    return web.Response(status=204)


async def destroy(request: web.Request) -> web.Response:
    """Answer DELETE /session/{ref}: start to end a session; `forced` skips the grace period.

    With `recursive`, dependent sessions are ended first. `stats` are the last ones before the end.
    """
    record, asked = find(request), await params_of(request)
    sessions, who = request.app[SESSIONS], acting(request)
    stats = sessions.live_stat(record) or record.last_stat
    forced, recursive = (_flag(asked, name) for name in ("forced", "recursive"))
    others = [one for one in dependents(record, sessions.live) if who.sees(one)] if recursive else []
    for one in [*others, record]:
        await sessions.terminate(one, forced=forced)
    if DESTROYED.of(request) == 204:
        return web.Response(status=204)
    versioned = {**stats, "version": _STATS_VERSION} if stats else {}
    return answer({"stats": {**versioned, "status": record.status.lower()}})


def _flag(asked: dict[str, Any], name: str) -> bool:
    return str(asked.get(name, "false")).lower() in ("true", "yes", "1")


async def rename(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}/rename; the new name is in the query or the body, in any spelling."""
    asked = dict(request.query) | await params_of(request)
    name = next((asked[alias] for alias in NAMES if alias in asked), "")
    request.app[SESSIONS].rename(find(request), str(name))
    return web.Response(status=204)


async def set_environ(request: web.Request) -> web.Response:
    """Answer POST …/{ref}/environ: set variables for processes started from now on."""
    record = find(request)
    environ = read_environ((await body_of(request)).get("environ"))
    shown, hidden = split(environ, record.secrets)
    request.app[SESSIONS].secrets.put(record.id, hidden)
    request.app[SESSIONS].machine.apply(record, EnvironSet(shown, sorted(hidden)))
    return web.Response(status=204)


async def logs(request: web.Request) -> web.Response:
    """Answer GET /session/{ref}/logs, for live and ended sessions."""
    record = find_any(request)
    return answer({"result": {"logs": LogFiles(Path(record.folder)).text()}})


def find(request: web.Request) -> Record:
    """Return the live session that the path names, if the key may use it. Errors: SessionNotFound, Ambiguous."""
    return request.app[SESSIONS].find(request.match_info["ref"], acting(request))


def find_any(request: web.Request) -> Record:
    """Return the session that the path names, live or ended. Errors: those of `find`."""
    return request.app[SESSIONS].find_any(request.match_info["ref"], acting(request))


def container_id(record: Record) -> str | None:
    """Return the process id of a session's main process as its container id, or None."""
    return str(record.process.child.pid) if record.process and record.live else None


def service_ports(record: Record) -> list[dict[str, Any]]:
    """Return the service ports of a running session, or none for other sessions.

    Additions of this manager to Backend.AI's name, protocol and ports: those of `model.Service`.
    """
    if not record.usable:
        return []
    known = definitions(record.launch, record.plugins)
    kinds = {name: known[kind_of(name)] for name in [*known, *record.services] if kind_of(name) in known}
    own = [_service_port(record, name, definition) for name, definition in kinds.items()]
    return own + [
        {"name": str(port), "protocol": "preopen", "ports": [port]} for port in record.preopen_ports
    ]


def _service_port(record: Record, name: str, definition: ServiceDefinition) -> dict[str, Any]:
    state = record.services.get(name, ServiceState())
    unusable = refusal(kind_of(name), definition)
    port: dict[str, Any] = {
        "name": name,
        "title": definition.title or TITLES.get(name, ""),
        "protocol": "http",
        "ports": [],
        "path": definition.path.lstrip("/"),
        "state": FAILED if unusable else state.state,
        "since": state.since,
        "ended": unusable or state.reason,
        "arguments": state.arguments,
    }
    found = {key: value for key, value in port.items() if value or key == "ports"}
    return found | ({} if definition.new_browser_tab else {"new_tab": False})


def answer(body: object, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request, {} if there is none. Errors: InvalidRequest."""
    return read_object(await request.read())


async def spec_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a create request. Errors: InvalidRequest."""
    check_size(await request.read())
    return await body_of(request)


async def params_of(request: web.Request) -> dict[str, Any]:
    """Return a request's parameters: its body, or its query if it has none. Source: managers 23.09 to 26.8."""
    return dict(await body_of(request) if request.body_exists else request.query)


def read_object(text: str | bytes, field: str = "") -> dict[str, Any]:
    """Parse the JSON object in a text, {} if the text is empty. Errors: InvalidRequest."""
    what = f"The value of '{field}'" if field else "The request's body"
    try:
        found = untrusted.decode(text) if text else {}
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{what} is not JSON: {error}.", field=field) from None
    if not isinstance(found, dict):
        raise InvalidRequest(f"{what} must be a JSON object.", field=field)
    return found
