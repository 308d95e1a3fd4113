"""The verbs about kernels that run in sessions."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.resources import resources_of
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.kernels import specs
from jupyter_sessions.kernels.definition import KernelRequest, make


def _add_options(verb: ArgumentParser) -> None:
    verb.add_argument("name", help="name of the kernel")
    verb.add_argument("--image", default="python", help="environment or image (default: python)")
    options.backend(verb, "backend of its sessions")
    options.amounts(verb)
    verb.add_argument("--session", help="attach to this session instead")
    verb.add_argument("--display-name", metavar="TEXT", help="name that the launcher shows")


def _rm_options(verb: ArgumentParser) -> None:
    verb.add_argument("kernels", nargs="+", metavar="kernel", help="name of the kernel")


async def add(api: Api, asked: Namespace, face: Face) -> Result:
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
    face(f"Added the kernel {kernel.name}: {plain(kernel.display_name)}")
    return Nothing()


async def show(api: Api, asked: Namespace, face: Face) -> Result:
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


async def remove(api: Api, asked: Namespace, face: Face) -> Result:
    """Remove kernels that run in sessions."""
    for name in asked.kernels:
        specs.remove(name)
        face(f"Removed the kernel {name}.")
    return Nothing()


VERBS = (
    Verb(
        "kernel add",
        "create a kernel that runs in sessions",
        "Create a kernel for notebooks that runs in a session of its own, or in SESSION.",
        _add_options,
        add,
    ),
    Verb("kernel list", "list such kernels", "List kernels that run in sessions.", options.json, show),
    Verb("kernel rm", "remove such kernels", "Remove kernels. Their sessions go on.", _rm_options, remove),
)
