"""`/jupyter-sessions/sessions`: sessions as rows of our own model, for our own client of this manager.

GraphQL resolves a list field by field, which takes seconds for 10,000 sessions. These rows are built from records
directly, and in slices, so that other requests are served meanwhile. Keys see the same sessions as in GraphQL.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal

import msgspec
from aiohttp import web

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.auth import WHO
from jupyter_sessions.manager.api.fields import dependencies, resource_opts
from jupyter_sessions.manager.api.session import (
    SESSIONS,
    answer,
    container_id,
    make,
    service_ports,
    spec_of,
)
from jupyter_sessions.manager.api.status import main_status, status_data
from jupyter_sessions.manager.api.survival import survives
from jupyter_sessions.manager.core.cluster import MemberRecord, hostname
from jupyter_sessions.manager.core.columns import scheduled
from jupyter_sessions.manager.core.expiry import ended_by
from jupyter_sessions.manager.core.keys import SUPERADMIN, Key, id_of
from jupyter_sessions.manager.core.minilang import one_of
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.session_index import visible_to
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.model import STATUSES, Container, Service, SessionInfo

SLICE = 100
"""How many rows are built before other requests are served."""
MOST_IDS = 1000
LONG_QUEUE = 10
LOOK_SECONDS = 0.5
"""The time within which the scheduler examines a short queue."""
_ENCODER = msgspec.json.Encoder()


async def list_rows(request: web.Request) -> web.StreamResponse:
    """Answer GET /jupyter-sessions/sessions?backend=…: rows, one a line, the most recently changed first.

    `status` (statuses separated by commas), `limit` and `offset` select rows; `ids` (separated by commas) returns
    sessions with all details. `backend` is the client's name for this machine.
    """
    rows = _by_ids(request) if "ids" in request.query else _listed(request)
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    with suppress(ConnectionError):
        await response.prepare(request)
        for some in rows:
            await response.write(_ENCODER.encode_lines(some))
            await asyncio.sleep(0)
    return response


async def create(request: web.Request) -> web.Response:
    """Answer POST /jupyter-sessions/sessions?backend=… like POST /session, but with the whole row.

    The row says why the session waits, unless the queue is long: then the answer comes before that is known.
    """
    sessions, made = request.app[SESSIONS], await make(request, await spec_of(request))
    if sessions.pending(LONG_QUEUE) < LONG_QUEUE:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await sessions.wait(
                    made.record, lambda record: record.status != "PENDING" or record.status_info != ""
                )
    row = _RowMaker(request).detailed(made.record)
    return answer({"session": row, "created": made.created}, 201)


def _listed(request: web.Request) -> Iterator[list[SessionInfo]]:
    sessions, who, query = request.app[SESSIONS], request[WHO], request.query
    names = [name for name in query.get("status", ",".join(STATUSES)).split(",") if name in STATUSES]
    limit, offset = _number(query.get("limit", "-1")), _number(query.get("offset", "0"))
    ids = sessions.store.ids(visible_to(who) & one_of("status", names), limit=limit, offset=offset)
    return _slices(ids, sessions.known, lambda record: record.status in names, _RowMaker(request).listed)


def _by_ids(request: web.Request) -> Iterator[list[SessionInfo]]:
    ids = request.query["ids"].split(",")
    if len(ids) > MOST_IDS:
        raise InvalidRequest(f"More than {MOST_IDS} ids are asked for at once.", field="ids")
    rows = _RowMaker(request)
    return _slices(ids, rows.sessions.measured, rows.who.sees, rows.detailed)


def _slices(
    ids: list[str],
    find: Callable[[str], Record | None],
    suits: Callable[[Record], bool],
    row: Callable[[Record], SessionInfo],
) -> Iterator[list[SessionInfo]]:
    """Yield rows, in slices, of the sessions that match when their turn comes."""
    for start in range(0, len(ids), SLICE):
        found = map(find, ids[start : start + SLICE])
        yield [row(record) for record in found if record and suits(record)]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest("limit and offset must be whole numbers.") from None


class _RowMaker:
    """Builds rows for the sender of a request."""

    def __init__(self, request: web.Request) -> None:
        self.sessions: SessionManager = request.app[SESSIONS]
        self.who: Key = request[WHO]
        self._backend = request.query.get("backend", "local")

    def listed(self, record: Record) -> SessionInfo:
        """Return the row of a session in a list."""
        ending = self.sessions.time.ending(record)
        slots = format_slots(record.slots)
        return SessionInfo(
            backend=self._backend,
            id=record.id,
            name=record.name,
            image=record.image,
            type=record.type,
            status=record.status,
            status_info=record.status_info,
            resources=slots,
            main_kernel_id=record.id,
            services=[Service(**port) for port in service_ports(record)],
            created_at=record.created,
            status_changed=record.changed,
            started_at=record.started,
            terminated_at=record.ended,
            result=record.result.upper(),
            exit_code=record.exit_code,
            occupied_slots=slots if record.holds_slots else {},
            environ=record.environ,
            secrets=record.secrets,
            cwd=record.launch.cwd,
            cluster_size=record.size,
            cluster_mode=record.cluster_mode,
            mounts=[mount.name for mount in record.mounts],
            tag=record.tag or None,
            startup_command=record.startup_command or None,
            group_name=record.group or None,
            access_key=record.access_key,
            age=record.age_ms(),
            cpu_credit_used=record.cpu_ms,
            ends_at=ending.at if ending else None,
            ends_why=ending.why if ending else ended_by(record),
            survives=survives(),
            limits=record.limits,
            restarts=record.restarts,
            owned=record.owner is not None,
            extra={"gpus": record.gpus} if record.gpus else {},
        )

    def detailed(self, record: Record) -> SessionInfo:
        """Return the row of a session with all details."""
        row = self.listed(record)
        row.scheduled_at, row.starts_at = scheduled(record), record.starts_at
        row.status_data = status_data(record)
        row.status_history = msgspec.to_builtins(record.history)
        row.resource_opts = resource_opts(record)
        row.architecture, row.registry, row.resource_group = platform.machine(), "local", "default"
        row.dependencies = [other.id for other in dependencies(record, self.sessions, self.who)]
        row.domain_name, row.group_id = record.domain or None, id_of(record.domain, record.group)
        row.user_id, row.user_email = id_of(record.access_key), record.user_email or None
        row.agents = [platform.node()] if scheduled(record) else []
        row.num_queries = record.num_queries
        row.idle_checks = self.sessions.time.checks(record) or None
        row.containers = [self._main(record), *(self._sub(record, sub) for sub in record.subs)]
        row.live_stat, row.last_stat = row.containers[0].live_stat, row.containers[0].last_stat
        return row

    def _main(self, record: Record) -> Container:
        return Container(
            id=record.id,
            status=main_status(record),
            status_info=record.status_info,
            container_id=container_id(record),
            agent=self._agent(),
            occupied_slots=_member_slots(record),
            live_stat=self.sessions.live_stat(record, 0),
            last_stat=record.last_stat or None,
        )

    def _sub(self, record: Record, sub: MemberRecord) -> Container:
        return Container(
            id=sub.id,
            role=sub.role,
            hostname=hostname(sub.rank),
            status=sub.status,
            status_info=sub.status_info,
            container_id=str(sub.process.child.pid) if sub.process and not sub.ended else None,
            agent=self._agent(),
            occupied_slots={} if sub.ended else _member_slots(record),
            live_stat=None if sub.ended else self.sessions.live_stat(record, sub.rank),
            last_stat=sub.last_stat or None,
        )

    def _agent(self) -> str | None:
        return platform.node() if self.who.role == SUPERADMIN else None


def _member_slots(record: Record) -> dict[str, str]:
    slots: dict[str, Decimal] = record.member_slots if record.holds_slots else {}
    return format_slots(slots)
