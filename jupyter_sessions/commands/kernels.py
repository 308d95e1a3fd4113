"""The verbs about kernels that run in sessions."""

from __future__ import annotations

from argparse import Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, plain
from jupyter_sessions.commands.verbs import resources_of
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.kernels import specs
from jupyter_sessions.kernels.definition import KernelRequest, make


async def add(api: Api, asked: Namespace, say: Say) -> Result:
    """Create a kernel that runs in sessions."""
    resources = await resources_of(api, asked)
    if asked.session and resources:
        hint = "Leave them out, or leave out --session."
        raise InvalidRequest("A kernel of a session has the session's resources.", hint=hint, field="session")
    request = KernelRequest(
        name=asked.name,
        display_name=asked.display_name or "",
        backend=asked.backend or "",
        image="" if asked.session else asked.image,
        resources=resources,
        session=asked.session or "",
    )
    kernel = await make(api, request)
    specs.add(kernel)
    say(f"Added the kernel {kernel.name}: {plain(kernel.display_name)}")
    return Nothing()


async def show(api: Api, asked: Namespace, say: Say) -> Result:
    """List the kernels that run in sessions."""
    found = specs.listed()
    if asked.json:
        return Json(found)
    rows = [
        [kernel.name, kernel.display_name, kernel.session or kernel.image, kernel.backend] for kernel in found
    ]
    empty = (
        "No kernel runs in sessions. `%session kernel add NAME --image python --cpu 1 --mem 1g` creates one."
    )
    return Table(["Name", "Display name", "Session or image", "Backend"], rows, empty=empty)


async def remove(api: Api, asked: Namespace, say: Say) -> Result:
    """Remove kernels that run in sessions."""
    for name in asked.kernels:
        specs.remove(name)
        say(f"Removed the kernel {name}.")
    return Nothing()
