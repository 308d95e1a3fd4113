"""The resources of this machine, and the state of this manager. Source: managers 23.09 to 26.8."""

from __future__ import annotations

from decimal import Decimal

from aiohttp import web

from jupyter_sessions._version import __version__
from jupyter_sessions.amounts import MEMORY_SLOTS, parse_slots
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api import machine, versions
from jupyter_sessions.manager.api.auth import WHO, acting
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, params_of
from jupyter_sessions.manager.core.keys import ADMIN, DEFAULT, SUPERADMIN, USER
from jupyter_sessions.manager.schedule.placement import Slots, free_gpus, used
from jupyter_sessions.wire.places import PROTOCOL


async def version(request: web.Request) -> web.Response:
    """Answer GET /: the API version (the only route that needs no signature)."""
    about = {"package": __version__, "protocol": PROTOCOL}
    return answer({"version": versions.ADVERTISED, "manager": __version__, "jupyter_sessions": about})


async def announcement(request: web.Request) -> web.Response:
    """Answer GET /manager/announcement: there is none."""
    return answer({"enabled": False, "message": ""})


async def status(request: web.Request) -> web.Response:
    """Answer GET /manager/status: the manager runs."""
    live = request.app[SESSIONS].live
    node = {"num_proc": 1, "service_addr": "", "heartbeat_timeout": 0.0, "ssl_enabled": False}
    about = {"active_sessions": len(live), "status": "running", "manager": __version__}
    return answer({"nodes": [node | about], **about})


async def echo(request: web.Request) -> web.Response:
    """Answer GET or POST /auth and /auth/test: the key and its signature are valid."""
    asked = await params_of(request)
    if "echo" not in asked:
        raise InvalidRequest("The value of 'echo' is missing.", field="echo", data={"echo": "is required"})
    return answer({"authorized": "yes", "echo": str(asked["echo"])})


async def role(request: web.Request) -> web.Response:
    """Answer GET /auth/role: the role of the key."""
    who = request[WHO]
    return answer(
        {
            "global_role": SUPERADMIN if who.role == SUPERADMIN else USER,
            "domain_role": ADMIN if who.is_admin else USER,
            "group_role": USER,
        }
    )


async def slot_types(request: web.Request) -> web.Response:
    """Answer GET /config/resource-slots: the resources of this machine and their units."""
    names = {"cpu", "mem", *request.app[SESSIONS].capacity.slots}
    return answer({name: "bytes" if name in MEMORY_SLOTS else "count" for name in sorted(names)})


async def scaling_groups(request: web.Request) -> web.Response:
    """Answer GET /scaling-groups: this machine is the only one."""
    return answer({"scaling_groups": [{"name": DEFAULT}]})


async def presets(request: web.Request) -> web.Response:
    """Answer GET /resource/presets: there are no predefined sizes."""
    return answer({"presets": []})


async def folders(request: web.Request) -> web.Response:
    """Answer GET /folders: the configured folders, which sessions may mount."""
    return answer(machine.folders(request.app[SESSIONS]))


async def check_presets(request: web.Request) -> web.Response:
    """Answer POST /resource/check-presets: the resources of this machine, the key's share, and what is free.

    Additions of this manager: the client's `bounds`, and its CUDA_VISIBLE_DEVICES as `visible_devices`.
    """
    sessions, who = request.app[SESSIONS], acting(request)
    bounds, capacity = await _bounds(request), sessions.capacity.within({}, await _visible_devices(request))
    total = {"cpu": Decimal(0), "mem": Decimal(0)} | capacity.within(bounds).slots
    mine = used(
        record for record in sessions.live if record.holds_slots and record.access_key == who.access_key
    )
    room = _left(
        sessions.capacity.slots, {name: Decimal(str(amount)) for name, amount in sessions.used().items()}
    )
    if capacity is not sessions.capacity:
        there = free_gpus(capacity, (record for record in sessions.live if record.holds_slots))
        room[capacity.gpu_slot] = min(room[capacity.gpu_slot], there)
    if bounds:
        same = used(record for record in sessions.live if record.holds_slots and record.bounds == bounds)
        room = {name: min(room.get(name, amount), amount) for name, amount in _left(total, same).items()}
    limits = {name: min(amount, who.max_slots.get(name, amount)) for name, amount in total.items()}
    using = {name: mine.get(name, Decimal(0)) for name in total}
    return answer(
        {
            "presets": [],
            "keypair_limits": _texts(limits),
            "keypair_using": _texts(using),
            "keypair_remaining": _texts(_left(limits, using)),
            "group_limits": _texts(total),
            "group_using": _texts(_left(total, room)),
            "group_remaining": _texts(room),
            "scaling_group_remaining": _texts(room),
            "scaling_groups": {DEFAULT: {"using": _texts(_left(total, room)), "remaining": _texts(room)}},
            "gpu_shares": sessions.capacity.gpu_shares or None,
        }
    )


async def _bounds(request: web.Request) -> Slots:
    given = (await body_of(request)).get("bounds") or {}
    if not isinstance(given, dict):
        raise InvalidRequest(
            "The value of 'bounds' must be an object.", hint="Send {slot: amount}.", field="bounds"
        )
    return parse_slots(given)


async def _visible_devices(request: web.Request) -> str | None:
    given = (await body_of(request)).get("visible_devices")
    if not isinstance(given, str | None):
        raise InvalidRequest(
            "The value of 'visible_devices' must be text.",
            hint="Send a list, as '0,1'.",
            field="visible_devices",
        )
    return given


def _left(total: Slots, taken: Slots) -> Slots:
    return {name: max(amount - taken.get(name, Decimal(0)), Decimal(0)) for name, amount in total.items()}


def _texts(slots: Slots) -> dict[str, str]:
    return {name: str(amount) for name, amount in slots.items()}
