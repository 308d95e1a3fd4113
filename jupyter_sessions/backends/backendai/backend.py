"""Sessions on a Backend.AI manager."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from msgspec import structs

from jupyter_sessions.backends.backendai import catalog, convert, credentials
from jupyter_sessions.backends.backendai.cells import Cells
from jupyter_sessions.backends.backendai.connection import is_uuid, told
from jupyter_sessions.backends.backendai.creation import SessionCreator
from jupyter_sessions.backends.backendai.event_stream import Watcher
from jupyter_sessions.backends.backendai.files import ManagerFiles
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.backendai.services import ManagerServices
from jupyter_sessions.backends.backendai.versions import statuses_of
from jupyter_sessions.backends.base import Output, Query, Storage
from jupyter_sessions.backends.parsing import made_of, rows_of, understood
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.errors import (
    BadAnswer,
    Forbidden,
    NeedsForce,
    NotFound,
    NotSupported,
    SessionError,
    SessionNotFound,
)
from jupyter_sessions.model import (
    TYPES,
    Amount,
    Choices,
    Event,
    Image,
    NameRule,
    SessionInfo,
)
from jupyter_sessions.wire.own_ports import is_own
from jupyter_sessions.wire.signing import Keypair

PAGE = 100
_LIST = """query($limit: Int!, $offset: Int!, $status: String%s) {
  compute_session_list(limit: $limit, offset: $offset, status: $status%s) { items { %s } total_count }
}"""
_OF_KEY = (", $access_key: String", ", access_key: $access_key")
"""Restricts the list to the sessions of a key."""
_STEADY = ', order: "-created_at,id"'
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_INFO = "query($id: UUID!) { compute_session(id: $id) { %s } }"
_DEFAULT = "default"
_RECONNECT_SECONDS = 0.5


class BackendAI(ManagerFiles, ManagerServices):
    """A Backend.AI manager, reached with a keypair, or through its web server with user name and password.

    Options: `endpoint` (URL, or several with commas between), `access_key` and `secret_key`; or with
    `endpoint_type` "session": `username` and `password`. `domain` and `group` (project) of sessions that name
    none, `vfolder_mounts` folders of each session. `timeout`: seconds that an answer may take, `read_timeout` the
    same in the vendor's words, `connection_timeout` seconds to connect; `skip_sslcert_validation` "yes" trusts any
    certificate. `credentials`: a file of variables such as `export BACKEND_ACCESS_KEY=…`. What is left out is taken
    from the environment, if that speaks of the same manager.
    """

    type = "backendai"
    types: ClassVar[tuple[str, ...]] = (*TYPES, "inference", "system")
    takes = EVERY - {"idle_timeout", "time_limit", "kernel_arguments", "requirements", "services"}
    checks_requests = True
    session_variables = ("BACKENDAI_SESSION_ID",)
    storage = Storage(
        about="Files that lie in no mounted folder are deleted when a session ends.", needs_mount=True
    )
    name_rule = NameRule(
        r"(?!(create|from-template)$)(?=.{4,64}$)\w[\w.-]*\w",
        "Use 4 to 64 letters, digits, '.', '_' or '-', beginning and ending with a letter, digit or '_'; "
        "but not 'create' or 'from-template', which mean something else in addresses.",
    )
    page_size = PAGE
    poll_seconds = 15.0  # Events tell most.
    more_fields = ""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._restarts = True
        self._cells = Cells()
        with suppress(SessionError):
            if self.storage.needs_mount and credentials.gathered(options).get("vfolder_mounts"):
                self.storage = structs.replace(self.storage, needs_mount=False)

    @classmethod
    def options_from_environment(cls) -> dict[str, Any] | None:
        """Return the manager that the vendor's variables name.

        One of this user on this machine is none, not even one that has ended: anybody may listen there.
        """
        given = credentials.of_environment(os.environ)
        if not credentials.named(given) or any(map(is_own, credentials.addresses(given["endpoint"]))):
            return None
        return {"endpoint": given["endpoint"]}

    @classmethod
    def same_server(cls, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """Return whether both name a common address."""
        return not {*credentials.addresses(one.get("endpoint"))}.isdisjoint(
            credentials.addresses(other.get("endpoint"))
        )

    def capabilities(self) -> builtins.list[str]:
        """Return the capabilities as far as they are known; managers from 26 on cannot restart sessions."""
        return [name for name in super().capabilities() if name != "restart" or self._restarts]

    async def client_environment(self) -> dict[str, str]:
        """Return the variables that Backend.AI's client reads. Source: client 23.9.10 to 26.9.6."""
        await self.client()
        assert self._login is not None  # noqa: S101
        if not self._login.access_key:
            raise NotSupported(
                f"The backend '{self.name}' has no keypair to give.", hint="Sign in with the client itself."
            )
        return vendor_environment(self._login.endpoint, self._login.keypair)

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return sessions, page by page.

        Those of more than a page are asked for in an order that does not change meanwhile, else rows that change
        are lost from page to page; others' managers mix up those that changed at the same time even so.
        """
        dialect = await (await self.client()).dialect()
        status = statuses_of(query.status, dialect.statuses)
        if status == "":
            return []
        if query.limit is not None or query.offset or not dialect.envelope:
            return await self._pages(query, status, "")
        if dialect.ours:
            page = await self._pages(structs.replace(query, limit=self.page_size), status, "")
            if len(page) < self.page_size:
                return page
        rows = {row.id: row for row in await self._pages(query, status, _STEADY)}
        return sorted(rows.values(), key=lambda row: (row.status_changed or _LONG_AGO, row.id), reverse=True)

    def lists_field(self, field: str) -> bool:
        """Lists leave out what is long, or takes the manager another query."""
        return convert.is_listed(field)

    async def states(self) -> builtins.list[SessionInfo]:
        """Return all live sessions with only the fields that show changes, a third of those of `list`."""
        dialect = await (await self.client()).dialect()
        order = _STEADY if dialect.envelope else ""
        query = Query()
        return await self._pages(
            query, statuses_of(query.status, dialect.statuses), order, convert.STATE_FIELDS
        )

    async def _pages(
        self, query: Query, status: str | None, order: str, fields: str = ""
    ) -> builtins.list[SessionInfo]:
        client = await self.client()
        rows: list[SessionInfo] = []
        wanted = query.limit
        known = convert.list_fields(await client.dialect(), query.fields)
        variable, argument = _OF_KEY if query.access_key else ("", "")
        text = _LIST % (variable, argument + order, fields or known + self.more_fields)
        while True:
            size = self.page_size if wanted is None else min(self.page_size, wanted - len(rows))
            variables: dict[str, object] = {
                "limit": size,
                "offset": query.offset + len(rows),
                "status": status,
            }
            if query.access_key:
                variables["access_key"] = query.access_key
            data = await client.query(text, variables)
            with understood(self.title):
                page = data["compute_session_list"]
                items, total = page["items"], int(page["total_count"])
            rows += await rows_of(items, self._row, self.title, already=len(rows))
            if not items or len(rows) == wanted or len(rows) >= total - query.offset:
                return rows

    def _row(self, item: Any) -> SessionInfo:
        return convert.session_of(item, self.name)

    async def get(self, id: str) -> SessionInfo:
        """Return a session. Errors: SessionNotFound."""
        client = await self.client()
        fields = convert.info_fields(await client.dialect()) + self.more_fields
        data = await client.query(_INFO % fields, {"id": id}) if is_uuid(id) else {}
        item = data.get("compute_session")
        if item is None:
            hint = "List the sessions to see which there are."
            raise SessionNotFound(f"There is no session '{id}' on {self.title}.", hint=hint, field="session")
        return await self._with_project(await made_of(item, self._row, SessionInfo, self.title))

    async def _with_project(self, row: SessionInfo) -> SessionInfo:
        """Return the row with the full name of its project, of which 25.5 gives only the first letter."""
        if row.group_id is None or len(row.group_name or "") != 1:
            return row
        if row.group_id not in self._projects:
            with suppress(SessionError), understood(self.title):
                data = await (await self.client()).query(catalog.PROJECT, {"id": row.group_id})
                self._projects[row.group_id] = str(data["group"]["name"])
        return structs.replace(row, group_name=self._projects.get(row.group_id, row.group_name))

    async def create(self, request: SessionRequest) -> SessionInfo:
        """Request a session, or return the live one of that name and image.

        If the answer is lost the session is looked for by its name; the request is never sent twice.
        """
        client = await self.client()
        if not request.group:
            request = structs.replace(request, group=await self._project(client))
        if self._login:
            mounts = [*dict.fromkeys([*request.mounts, *self._login.vfolder_mounts])]
            domain = request.domain or self._login.domain or None
            request = structs.replace(request, domain=domain, mounts=mounts)
        return await SessionCreator(self, request, self.send_create).create()

    async def send_create(self, request: SessionRequest) -> SessionInfo:
        """Send the create request, once."""
        client = await self.client()
        body = convert.create_body(request, await client.dialect())
        body["config"] |= self.of_asker()
        answer = await client.request("POST", "/session", json=body)
        if not isinstance(answer, dict) or not answer.keys() & {"sessionId", "sessId"}:
            raise BadAnswer(f"{self.title} does not say which session it made.", hint="Look at the list.")
        try:
            row = await self.get(str(answer.get("sessionId") or answer["sessId"]))
        except SessionError:  # Whatever it is, the session is there.
            row = await made_of(
                answer, lambda made: convert.session_made(request, made, self.name), SessionInfo, self.title
            )
        row.reused = not answer.get("created", True)
        return row

    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End or cancel a session. Errors: NeedsForce for one that only force ends now."""
        flags = {"forced": forced, "recursive": recursive}
        params = {name: "true" for name, on in flags.items() if on}
        try:
            await (await self.client()).request("DELETE", f"/session/{quote(id)}", params=params or None)
        except Forbidden as error:
            row = await self.get(id)
            if row.status == "TERMINATING" or not row.live:
                return row
            hint = "Try again once that is over." if forced else "Try again once it runs, or end it by force."
            message = f"{self.title} does not end '{row.name}' while it is {row.status}: {error.message}"
            kind = Forbidden if forced else NeedsForce
            raise kind(message.rstrip(".") + ".", hint=hint) from error
        return await self.get(id)

    async def restart(self, id: str) -> SessionInfo:
        """Restart a session; returns when it runs again. Errors: NotSupported by managers from 26 on."""
        client = await self.client()
        if not (await client.dialect()).restarts:
            self._restarts = False
            raise self._cannot("restart sessions")
        await client.request("PATCH", f"/session/{quote(id)}", wait=120)
        return await self.get(id)

    async def rename(self, id: str, name: str) -> SessionInfo:
        """Rename a session. The name is sent twice: managers from 26 on want a body, older ones take either."""
        self.name_rule.check(name)
        path, said = f"/session/{quote(id)}/rename", {"name": name}
        await (await self.client()).request("POST", path, params=said, json=said)
        return await self.get(id)

    async def logs(self, id: str) -> str:
        """Return what a session printed; "" while it has no container. Errors: NotFound if it has ended."""
        try:
            answer = await (await self.client()).request("GET", f"/session/{quote(id)}/logs")
        except SessionError as error:
            if type(error) is SessionError:
                return await self._no_logs(id, error)
            raise
        with understood(self.title):
            return str(answer["result"]["logs"])

    async def _no_logs(self, id: str, error: SessionError) -> str:
        """Replace the "internal server error" that managers answer for a session without a container."""
        row = await self.get(id)
        if not row.live:
            raise NotFound(
                f"{self.title} keeps no logs of '{row.name}', which is {row.status}.",
                hint="Read them while a session runs.",
            ) from error
        if any(container.container_id for container in row.containers):
            raise error
        return ""

    async def events(self, id: str) -> builtins.list[Event]:
        """Return when the session entered each status."""
        return await made_of(await self.get(id), convert.events_of, builtins.list[Event], self.title)

    async def images(self) -> builtins.list[Image]:
        """Return the images of the manager with their minimum."""
        client = await self.client()
        self._restarts = (await client.dialect()).restarts
        items = (await client.query(catalog.IMAGES, {})).get("images") or []
        return await made_of(items, catalog.images_of, builtins.list[Image], self.title)

    async def capacity(self) -> dict[str, Amount]:
        """Return the total and free amounts for the key and its project."""
        return await made_of(await self._presets(), catalog.capacity_of, dict[str, Amount], self.title)

    async def choices(self) -> Choices:
        """Return sizes, resource groups, projects and folders, as far as the manager tells them."""
        client = await self.client()
        group = {"group": await self._project(client)}
        sizes, groups, folders = await asyncio.gather(
            told(self._presets(), {}),
            told(client.request("GET", "/scaling-groups", params=group), {}),
            told(client.request("GET", "/folders"), []),
        )
        found = (sizes, groups, sorted(self._projects.values()), folders)
        return await made_of(found, catalog.choices_of, Choices, self.title)

    async def _presets(self) -> Any:
        client = await self.client()
        body = {"group": await self._project(client)}
        return await client.request("POST", "/resource/check-presets", json=body | self.of_asker())

    def of_asker(self) -> dict[str, Any]:
        """Return facts about this process to send with requests; nothing to a manager elsewhere."""
        return {}

    async def _project(self, client: ManagerClient) -> str:
        """Return the default project: the configured one, "default", or the first."""
        if not self._projects:
            found = await told(client.query(catalog.PROJECTS, {}), {})
            with understood(self.title):
                groups = found.get("groups") or []
                self._projects = {str(item["id"]): str(item["name"]) for item in groups}
        names = sorted(self._projects.values())
        if self._login and self._login.group:
            return self._login.group
        return _DEFAULT if _DEFAULT in names or not names else names[0]

    async def execute(self, id: str, code: str, *, stdin: bool = False) -> AsyncIterator[Output]:
        """Run code, and yield its messages as they come."""
        async for output in self._cells.execute(await self.client(), id, code, stdin=stdin):
            yield output

    async def interrupt(self, id: str) -> None:
        """Interrupt the running code."""
        await (await self.client()).request("POST", f"/session/{quote(id)}/interrupt")

    async def input(self, id: str, run: str, text: str) -> None:
        """Answer a run that waits for input. Errors: NotRunning."""
        await self._cells.answer(await self.client(), id, run, text)

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """Yield all live rows, and then those that changed, as events report them.

        A stream that ends is opened anew, signed anew, and what changed meanwhile is told.
        """
        watcher = Watcher(self, self.states)
        while True:
            async for rows in watcher.stream():
                yield rows
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def reconnect(self) -> None:
        """Close what leads to sessions and is idle, and let what is under way end."""
        client, self._client = self._client, None
        if client is not None:
            self._draining.add(client)
        await self._tunnels.close()
        await self._cells.close()

    async def close(self) -> None:
        """Close connections."""
        await self.reconnect()
        await self._draining.close()


def vendor_environment(endpoint: str, keypair: Keypair) -> dict[str, str]:
    """Return the variables that lead Backend.AI's own client to a manager."""
    return {
        "BACKEND_ENDPOINT": endpoint,
        "BACKEND_ENDPOINT_TYPE": "api",
        "BACKEND_ACCESS_KEY": keypair.access_key,
        "BACKEND_SECRET_KEY": keypair.secret_key,
    }
