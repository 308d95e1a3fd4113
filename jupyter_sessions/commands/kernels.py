"""The verbs about kernels that run in sessions."""

from __future__ import annotations

import difflib
import os
from argparse import Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, plain
from jupyter_sessions.commands.verbs import Say, resources_of
from jupyter_sessions.errors import InvalidRequest, UnknownBackend, UnknownImage
from jupyter_sessions.kernels import specs
from jupyter_sessions.kernels.specs import Kernel
from jupyter_sessions.model import Image


async def add(api: Api, asked: Namespace, say: Say) -> Result:
    """Make a kernel."""
    kernel = await (_attached(api, asked) if asked.session else _owned(api, asked))
    specs.add(kernel)
    say(f"The kernel {kernel.name} is there: {plain(kernel.display_name)}")
    return Nothing()


async def _owned(api: Api, asked: Namespace) -> Kernel:
    image = await _image(api, asked.backend, asked.image)
    resources = await resources_of(api, asked)
    return Kernel(
        name=asked.name,
        display_name=asked.display_name or specs.title(asked.image, resources),
        language=image.language or "python",
        backend=asked.backend or "",
        image=asked.image,
        resources=resources,
    )


async def _attached(api: Api, asked: Namespace) -> Kernel:
    """One of a session that is there; its language is that of the session's image."""
    if await resources_of(api, asked):
        hint = "Leave them out, or leave out --session."
        raise InvalidRequest("--session: it has its resources already.", hint=hint, field="session")
    row = await api.find(asked.session)
    image = await _image(api, row.backend, row.image, known=False)
    return Kernel(
        name=asked.name,
        display_name=asked.display_name or f"Session {row.name}",
        language=image.language or "python",
        session=row.ref,
    )


async def _image(api: Api, backend: str | None, name: str, *, known: bool = True) -> Image:
    """The image of that name. Errors: UnknownImage naming the nearest, if it must be `known`."""
    offered = await api.describe()
    info = next((info for info in offered if (info.name == backend if backend else info.is_default)), None)
    if info is None:
        there = ", ".join(info.name for info in offered)
        raise UnknownBackend(
            f"backend: there is no backend '{backend}'.", hint=f"There are: {there}.", field="backend"
        )
    names = {name: image for image in info.images for name in (image.name, *image.aliases)}
    if name in names:
        return names[name]
    if known and names and not os.path.isfile(os.path.expanduser(name)):  # noqa: ASYNC240
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)
        hint = f"The nearest is '{nearest[0]}'." if nearest else ""
        raise UnknownImage(
            f"image: there is no environment '{name}' on {info.title}.", hint=hint, field="image"
        )
    return Image(name=name)


async def show(api: Api, asked: Namespace, say: Say) -> Result:
    """List kernels."""
    found = specs.listed()
    if asked.json:
        return Json(found)
    rows = [
        [kernel.name, kernel.display_name, kernel.session or kernel.image, kernel.backend] for kernel in found
    ]
    empty = (
        "No kernel runs in sessions. `%session kernel add NAME --image python --cpu 1 --mem 1g` makes one."
    )
    return Table(["Name", "Display name", "Session or image", "Backend"], rows, empty=empty)


async def remove(api: Api, asked: Namespace, say: Say) -> Result:
    """Remove kernels."""
    for name in asked.kernels:
        specs.remove(name)
        say(f"The kernel {name} is gone.")
    return Nothing()
