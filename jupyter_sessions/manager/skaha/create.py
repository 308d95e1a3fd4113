"""Translate create requests of Skaha's clients into those of the session API."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from typing import Any
from uuid import uuid4

from aiohttp import web

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.session import SESSIONS, make
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.schedule.placement import Capacity
from jupyter_sessions.manager.skaha import params
from jupyter_sessions.manager.skaha.answers import invalid
from jupyter_sessions.manager.skaha.images import CatalogImage, ImageCatalog
from jupyter_sessions.manager.skaha.lifetime import lifetime
from jupyter_sessions.manager.skaha.lookup import live
from jupyter_sessions.manager.skaha.params import Params

KINDS = {"headless": "batch", "notebook": "interactive"}
ELSEWHERE = frozenset({"desktop", "carta", "contributed", "firefly", "desktop-app"})
_NAME = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9][A-Za-z0-9-]*", re.ASCII)
_LONGEST_NAME = 63
_LONGEST_LABEL = 55
_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_GIB = 1024**3


async def create(request: web.Request) -> Record:
    """Perform a create request. Errors: InvalidRequest, NotEnough."""
    asked, session_id = await params.of(request), _unused(request)
    body = _body(asked, session_id, request.app[SESSIONS].capacity)
    return (await make(request, body, id=session_id, skaha_name=_name(asked))).record


def _body(asked: Params, session_id: str, capacity: Capacity) -> dict[str, Any]:
    """Return the request for the session API, checked in the order of servers up to 1.4.0."""
    image = _image(asked)
    kind = _kind(asked, image.types)
    resources = _resources(asked)
    gpus = _gpus(asked, capacity)
    name = _label(_name(asked), session_id)
    config = {
        "resources": resources | gpus,
        "environ": _environ(asked),
        "idle_timeout": 0,
        "time_limit": lifetime(kind == "headless").total_seconds(),
    }
    body = {"name": name, "image": image.name, "type": KINDS[kind], "config": config}
    command = {"startupCommand": _command(asked)} if kind == "headless" else {}
    return body | command | {"enqueueOnly": True, "reuseIfExists": False}


def _unused(request: web.Request) -> str:
    """Return a new session id whose Skaha id no live session has."""
    while live(request, skaha_id(session_id := str(uuid4()))):
        pass
    return session_id


def _image(asked: Params) -> CatalogImage:
    wanted = asked.get("image")
    if not wanted:
        raise InvalidRequest("Missing parameter 'image'.", field="image")
    return ImageCatalog.here().find(wanted)


def _kind(asked: Params, types: list[str]) -> str:
    kind = asked.get("type").lower() or "headless"
    if kind not in KINDS:
        why = ", which this machine does not have" if kind in ELSEWHERE else ""
        hint = f"Choose from: {', '.join(KINDS)}."
        raise InvalidRequest(f"Invalid session type: {kind}{why}.", hint=hint, field="type")
    if kind not in types:
        raise InvalidRequest(
            "Invalid session type: notebook needs JupyterLab, which is not installed beside jupyter_sessions.",
            hint="Install it with `pip install jupyterlab`.",
            field="type",
        )
    return kind


def _resources(asked: Params) -> dict[str, str]:
    """Return CPU and memory; the session API fills in what is left out."""
    found = {}
    if cores := asked.get("cores"):
        found["cpu"] = str(_amount("cores", cores))
    if ram := asked.get("ram"):
        found["mem"] = str(int(_amount("ram", ram) * _GIB))
    return found


def _amount(name: str, value: str) -> Decimal:
    if not _AMOUNT.fullmatch(value):
        raise invalid(name, value, "Use a number.")
    return Decimal(value)


def _gpus(asked: Params, capacity: Capacity) -> dict[str, str]:
    """Return the number of whole GPUs, in the slot in which this machine counts them."""
    value = asked.get("gpus")
    if value and not _COUNT.fullmatch(value):
        raise invalid("gpus", value, "Use a whole number.")
    return {capacity.gpu_slot: str(int(value) * capacity.whole)} if value.strip("0") else {}


def _name(asked: Params) -> str:
    """Return the name in lower case, as servers keep it. Errors: InvalidRequest."""
    name = asked.get("name")
    if not name:
        raise InvalidRequest("Missing parameter 'name'.", field="name")
    if not _NAME.fullmatch(name):
        raise InvalidRequest("name can only contain alpha-numeric chars and '-'.", field="name")
    return name.lower()[:_LONGEST_NAME].rstrip("-") or name.lower().strip("-")[:_LONGEST_NAME]


def _label(name: str, session_id: str) -> str:
    """Return the session's name for other clients, which differs among live sessions."""
    return "-".join(filter(None, (name[:_LONGEST_LABEL].strip("-"), skaha_id(session_id))))


def _environ(asked: Params) -> dict[str, str]:
    """Return the variables; a value may hold "=", or be empty."""
    pairs = [entry.partition("=") for entry in asked.all("env")]
    for name, equals, _ in pairs:
        if not equals:
            raise invalid("env", name, "Use NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _command(asked: Params) -> str:
    """Return the shell command: `cmd` is one word of it, `args` are words between single spaces.

    Source: servers up to 1.4.0. They have no quoting, so every word is quoted for the shell.
    """
    program, args = asked.get("cmd"), asked.get("args")
    if not program:
        raise InvalidRequest(
            "Missing parameter 'cmd'.",
            hint="Name a program: environments of this machine have no default command.",
            field="cmd",
        )
    words = args.split(" ") if args else []
    # A bare word might be one of the shell's own, or set a variable.
    quoted = "'" + program.replace("'", "'\"'\"'") + "'"
    return " ".join([quoted, *map(shlex.quote, words)])
