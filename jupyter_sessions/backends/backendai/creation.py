"""Asking a manager for a session: once, whatever becomes of the answer, and with errors that say what there is."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import structs

from jupyter_sessions.backends.backendai import convert
from jupyter_sessions.backends.backendai.connection import Reached
from jupyter_sessions.backends.backendai.versions import statuses_of
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.lost_creates import may_be_done, recovered
from jupyter_sessions.backends.parsing import rows_of, understood
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.errors import (
    AlreadyExists,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotSupported,
    SessionError,
    UnknownImage,
)
from jupyter_sessions.model import SessionInfo

_NAMED = """query($status: String, $filter: String, $access_key: String) {
  compute_session_list(limit: 10, offset: 0, status: $status, filter: $filter, access_key: $access_key) {
    items { id name image status } total_count } }"""
_MANY = 10


class SessionCreator:
    """Creates one session of a manager; `send` sends the request, once."""

    def __init__(
        self,
        backend: Reached,
        request: SessionRequest,
        send: Callable[[SessionRequest], Awaitable[SessionInfo]],
    ) -> None:
        self._backend = backend
        self._request = request
        self._send = send

    async def create(self) -> SessionInfo:
        """Return the session, new or reused; if the answer is lost, look for it by its name.

        Which ones have that name before is asked first: clocks may be wrong, and another may be as old.

        Errors: what the manager says, naming what there is instead of what there is not.
        """
        before = {row.id for row in await self._namesakes_told()}
        try:
            row = await self._send(self._request)
        except (InvalidRequest, NotFound) as error:
            raise await self._explained(error) from error
        except SessionError as error:
            if not may_be_done(error):
                raise
            return await recovered(error, lambda: self._found(before))
        if row.reused and row.status == "TERMINATING":  # 26.9.6 gives that, too.
            raise AlreadyExists.session(row.name, row.id)
        return row

    async def _found(self, before: set[str]) -> SessionInfo | None:
        """Return the session of a lost answer: one that was not there `before`, or the live one of that image.

        Errors: AlreadyExists if that is of another image, or not to be reused.
        """
        rows = await self._namesakes()
        if new := next((row for row in rows if row.id not in before), None):
            return await self._backend.get(new.id)
        old = next((row for row in rows if row.status != "TERMINATING"), None)
        if old is None:
            return None
        if not (self._request.reuse_if_exists and await self._same_image(old.image)):
            raise AlreadyExists.session(old.name, old.id, image=old.image)
        return structs.replace(await self._backend.get(old.id), reused=True)

    async def _same_image(self, image: str) -> bool:
        """Return whether an image is the requested one, by any of its names."""
        names = {image, str(self._request.image)}
        if len(names) == 1:
            return True
        images = await self._backend.images()
        return any(names <= {one.name, *one.aliases} for one in images)

    async def _namesakes_told(self) -> list[SessionInfo]:
        """Return the namesakes, or none if the manager refuses to tell."""
        try:
            return await self._namesakes()
        except (Forbidden, InvalidRequest, NotFound, NotSupported):
            return []

    async def _namesakes(self) -> list[SessionInfo]:
        """Return the key's live sessions of that name, with the fields that distinguish them."""
        client = await self._backend.client()
        owner = self._request.owner_access_key or await self._backend.access_key()
        dialect = await client.dialect()
        if not dialect.envelope:  # Those do not filter.
            rows = await self._backend.list(Query())
            return [row for row in rows if (row.name, row.access_key) == (self._request.name, owner)]
        variables: dict[str, object] = {
            "status": statuses_of("live", dialect.statuses),
            "filter": f'name == "{self._request.name}"',
            "access_key": owner,
        }
        data = await client.query(_NAMED, variables)
        with understood(self._backend.title):
            items = data["compute_session_list"]["items"]
        return await rows_of(
            items, lambda item: convert.session_of(item, self._backend.name), self._backend.title
        )

    async def _explained(self, error: SessionError) -> SessionError:
        with suppress(SessionError):
            if found := await self._missing(error):
                field, what, asked, known = found
                near = difflib.get_close_matches(asked, known, n=1, cutoff=0.4) if len(known) > _MANY else []
                there = ", ".join(known[:_MANY]) or "none that you may use"
                kind = type(error) if isinstance(error, InvalidRequest) else InvalidRequest
                return kind(
                    f"{self._backend.title} has no {what} '{asked}'.",
                    hint=f"Did you mean '{near[0]}'?" if near else f"Choose from: {there}.",
                    field=field,
                )
        return error

    async def _missing(self, error: SessionError) -> tuple[str, str, str, list[str]] | None:
        """Return what was requested and does not exist: its field, its noun, its name, and the names that exist.

        Managers from 26 on say of projects and resource groups no more than that something was not found.
        """
        request, lost = self._request, isinstance(error, NotFound)
        if isinstance(error, UnknownImage):
            images = await self._backend.images()
            names = [name for image in images for name in (image.name, *image.aliases)]
            return "image", "image", str(request.image), names
        choices = await self._backend.choices()
        folders = [folder.name for folder in choices.folders]
        if error.field == "mounts":
            absent = [name for name in request.mounts if name not in folders]
            return "mounts", "folder", ", ".join(absent or request.mounts), folders
        groups = [group.name for group in choices.groups]
        unknown = request.resource_group is not None and request.resource_group not in groups
        if error.field == "resource_group" or (lost and unknown):
            return "resource_group", "resource group", str(request.resource_group), groups
        if (lost or "group" in error.message.lower()) and request.group not in choices.projects:
            return "group", "project", str(request.group), choices.projects
        return None
