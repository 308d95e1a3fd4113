"""The verbs `manager status` and `manager restart`, about the session manager of this machine."""

from __future__ import annotations

from argparse import Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.backends import own_service
from jupyter_sessions.commands.cells import Cell
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import survival
from jupyter_sessions.commands.grouped import Grouped
from jupyter_sessions.commands.result import Json, Nothing, Result, Text
from jupyter_sessions.commands.verb import Verb, no_options
from jupyter_sessions.errors import NotSupported
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import place

_NONE = "No session manager runs. The first session on this machine starts it."


async def status(api: Api, asked: Namespace, face: Face) -> Result:
    """Show whether the manager runs, where its files are, and what people should know of it."""
    folder, contact = place(), place().running()
    if contact is None:
        return Json({"running": False, "folder": str(folder.folder)}) if asked.json else Text(_NONE)
    async with own_service(api) as service:
        rows = (await service.list(backend=_managed(service))).sessions
        remarks = await service.remarks()
    found = {
        "running": True,
        "pid": contact.identity.pid,
        "version": contact.version,
        "address": contact.url,
        "folder": str(folder.folder),
        "log": str(folder.folder / "manager.log"),
        "sessions": len(rows),
    }
    if asked.json:
        return Json(found)
    lines = [
        ("Process", Cell(str(found["pid"]))),
        ("Version", Cell(contact.version)),
        ("Address", Cell(contact.url)),
        ("State", Cell(str(found["folder"]))),
        ("Log", Cell(str(found["log"]))),
        ("Live sessions", Cell(str(len(rows)))),
    ]
    if rows:
        lines.append(("They survive", Cell(survival(rows[0].survives))))
    lines += [("Note", Cell(remark)) for remark in remarks]
    return Grouped({"Session manager of this machine": lines})


async def restart(api: Api, asked: Namespace, face: Face) -> Result:
    """Replace the manager by a new process, which follows the configuration as it is now. Sessions go on."""
    if place().running() is None:
        return Text(_NONE)
    async with own_service(api) as service:
        await service.take_over(_managed(service))
    contact = place().running()
    face(f"The session manager runs as process {contact.identity.pid} now." if contact else _NONE)
    return Nothing()


def _managed(service: SessionService) -> str:
    """Return the backend whose sessions the manager of this machine runs. Errors: NotSupported."""
    for backend in service.backends.values():
        if backend.can_be_taken_over():
            return backend.name
    raise NotSupported("No backend here has a session manager on this machine.", hint="Enable one.")


VERBS = (
    Verb(
        "manager status",
        "show this machine's session manager",
        "Show whether the session manager of this machine runs, and where its files are.",
        options.json,
        status,
    ),
    Verb(
        "manager restart",
        "restart the session manager",
        "Restart the session manager of this machine. Sessions go on running.",
        no_options,
        restart,
    ),
)
