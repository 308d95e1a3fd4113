"""Turn a person's request for a kernel into a checked kernel with language and title."""

from __future__ import annotations

import difflib
import os
import re

import msgspec
from msgspec import structs

from jupyter_sessions.amounts import format_slots, parse_slots
from jupyter_sessions.client import Api
from jupyter_sessions.errors import InvalidRequest, NotRunning, UnknownBackend, UnknownImage
from jupyter_sessions.kernels.specs import Kernel, title
from jupyter_sessions.model import Image, SessionInfo, standing
from jupyter_sessions.service import BackendInfo
from jupyter_sessions.wire.identity import here


class KernelRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for a kernel with `image` and `resources` in sessions of its own, or in an existing `session`.

    Plain numbers of memory are bytes. A kernel of a session without a `name` is removed when the session ends.
    """

    name: str = ""
    display_name: str = ""
    backend: str = ""
    image: str = ""
    resources: dict[str, str | int | float] = {}
    session: str = ""


async def make(api: Api, asked: KernelRequest) -> Kernel:
    """Return the requested kernel, not yet installed. Errors: SessionError with the field."""
    return await (_attached(api, asked) if asked.session else _owned(api, asked))


async def _owned(api: Api, asked: KernelRequest) -> Kernel:
    for field in ("name", "image"):
        if not getattr(asked, field):
            raise InvalidRequest(f"The kernel's {field} is missing.", hint=f"Give '{field}'.", field=field)
    resources = dict(format_slots(parse_slots(asked.resources)))
    image = _image(await _place(api, asked.backend), asked.image)
    return Kernel(
        name=asked.name,
        display_name=asked.display_name.strip() or title(asked.image, resources),
        language=image.language or "python",
        backend=asked.backend,
        image=asked.image,
        resources=resources,
    )


async def _attached(api: Api, asked: KernelRequest) -> Kernel:
    """Return a kernel of an existing session, with the language of the session's image."""
    if asked.resources or asked.image:
        hint = "Leave out image and resources, or leave out the session."
        raise InvalidRequest(
            "A kernel of a session has the session's image and resources.", hint=hint, field="session"
        )
    row = await api.find(asked.session)
    if not row.live:
        raise NotRunning(standing(row.name, row.status, row.status_info), hint="Create the session again.")
    kernel = await of_session(api, row)
    if asked.name:
        kernel = Kernel(
            name=asked.name,
            display_name=kernel.display_name,
            language=kernel.language,
            session=row.ref,
        )
    return structs.replace(kernel, display_name=asked.display_name.strip() or kernel.display_name)


async def of_session(api: Api, row: SessionInfo) -> Kernel:
    """Return the kernel that opens notebooks on a session."""
    place = await _place(api, row.backend)
    return Kernel(
        name=name_for(row.backend, row.id),
        display_name=title_of(row.name),
        language=_image(place, row.image, known=False).language or "python",
        session=f"{row.backend}/{row.id}",
        ends_with_session=True,
        host=here().hostname if place.on_this_machine else "",
    )


def title_of(session: str) -> str:
    """Return the title of a session's kernel."""
    return f"Session {session}"


def name_for(backend: str, id: str) -> str:
    """Return the stable name of the kernel that opens notebooks on a session."""
    return re.sub(r"[^a-z0-9._-]", "-", f"session-{backend}-{id}".lower())


async def _place(api: Api, backend: str) -> BackendInfo:
    """Return a backend, for "" the default one. Errors: UnknownBackend."""
    offered = await api.describe(backend or None)
    info = next((info for info in offered if backend or info.is_default), None)
    if info is None:
        there = ", ".join(info.name for info in offered)
        raise UnknownBackend(
            "The default backend is not available.", hint=f"Choose from: {there}.", field="backend"
        )
    return info


def _image(info: BackendInfo, name: str, *, known: bool = True) -> Image:
    """Return the image with a name. Errors: UnknownImage with the nearest name, if it must be `known`."""
    names = {name: image for image in info.images for name in (image.name, *image.aliases)}
    if name in names:
        return names[name]
    if known and names and not os.path.isfile(os.path.expanduser(name)):
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)
        hint = f"Did you mean '{nearest[0]}'?" if nearest else ""
        raise UnknownImage(f"There is no environment '{name}' on {info.title}.", hint=hint, field="image")
    return Image(name=name)
