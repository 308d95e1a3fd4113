"""Sessions on a Skaha server."""

from __future__ import annotations

import asyncio
import builtins
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from msgspec import structs

from jupyter_sessions.backends.base import Backend, Query, Storage
from jupyter_sessions.backends.draining import Draining
from jupyter_sessions.backends.lost_creates import LOST, recovered
from jupyter_sessions.backends.parsing import made_of, rows_of
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.backends.signin import CERTIFICATE, TOKEN, SignIn, SignInMethod
from jupyter_sessions.backends.skaha import convert, credentials
from jupyter_sessions.backends.skaha.credentials import SkahaLogin, find, where
from jupyter_sessions.backends.skaha.http import ID, SECONDS, SkahaClient, versions_of
from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint, KernelEndpoint
from jupyter_sessions.errors import (
    BadAnswer,
    InvalidRequest,
    NotReached,
    NotRunning,
    NotSupported,
    RateLimited,
    SessionError,
    SessionNotFound,
    Unauthorized,
)
from jupyter_sessions.model import (
    TYPES,
    USABLE,
    Amount,
    Event,
    Image,
    NameRule,
    SessionInfo,
    in_group,
    standing,
)
from jupyter_sessions.wire.own_ports import is_own


class Skaha(Backend):
    """A Skaha server, reached with a token or a certificate.

    Options: `url` with or without a version, and `token` or `certificate` (the path of a PEM file that holds
    its key, too); `timeout`, seconds that an answer may take. What is left out is taken from where canfar and skaha, the vendor's clients, have it.
    """

    type = "skaha"
    type_title = "Skaha (CANFAR)"
    address_option = "url"
    direct = True
    types = (*TYPES, *convert.OWN_TYPES)
    takes = frozenset({"environ", "startup_command"})
    session_variables = ("skaha_sessionid",)
    where_files_are = (
        "Copy files below /arc with `vcp` or a notebook session; https://www.canfar.net/storage/ shows them."
    )
    storage = Storage(about="Files below /arc stay when a session ends; those in /scratch are deleted.")
    name_rule = NameRule(
        r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
        "Use up to 63 letters, digits and '-', beginning and ending with a letter or digit.",
        lower=True,
    )

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._client: SkahaClient | None = None
        self._connecting = asyncio.Lock()
        self._draining = Draining()

    @classmethod
    def options_from_environment(cls) -> dict[str, Any] | None:
        """Return the server that the vendor's clients are signed in to.

        A manager of this user on this machine is none, not even one that has ended: anybody may listen there.
        """
        url = credentials.named()
        if url is None or is_own(url):
            return None
        return {"url": url} if url else {}

    @classmethod
    def same_server(cls, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """Return whether both name the same server."""
        return credentials.same(one, other)

    async def client(self) -> SkahaClient:
        """Return the connection, a new one if the credentials have changed. Errors: InvalidRequest, Unauthorized."""
        async with self._connecting:
            login: SkahaLogin = await asyncio.to_thread(self._login)
            if self._client is None or self._client.login != login:
                await self.reconnect()
                self._client = self._connect(login)
            return self._client

    def _connect(self, login: SkahaLogin) -> SkahaClient:
        return SkahaClient(login, who=self.title, seconds=self._seconds(SECONDS))

    def _login(self) -> SkahaLogin:
        login = find(self.options, signed=self.signed_in_credentials)
        if login.expires is not None and login.expires <= datetime.now(UTC):
            what = "token" if login.token else "certificate"
            when = login.expires.astimezone().isoformat(" ", "minutes")
            raise Unauthorized(f"The {what} for {self.title} expired at {when}.", hint="Get a new one.")
        return login

    def address(self) -> str:
        """Return the address of the server, without a version."""
        return where(self.options)

    def sign_in_methods(self) -> builtins.list[SignInMethod]:
        """Return a token or a certificate."""
        return [TOKEN, CERTIFICATE]

    def sign_in_state(self) -> SignIn:
        """Return who is signed in, here or in the vendor's clients."""
        state = SignIn(methods=self.sign_in_methods(), renew=f"jupyter session login {self.name}")
        try:
            given = self.signed_in_credentials()
            login = find(self.options, signed=self.signed_in_credentials)
        except SessionError:
            return state
        return structs.replace(
            state,
            signed_in=given is not None,
            remembered=given is not None and self.credential_store.remembered(),
            who=given.values.get("certificate", "") if given is not None else "",
            expires=login.expires,
            renew=login.renew or state.renew,
        )

    async def probe(self) -> str:
        """Return the versions in the server's document of capabilities. Source: skaha 1.7.0, servers up to 1.4.0."""
        root = self.address()
        client = self._connect(SkahaLogin(root=root, version=""))
        try:
            versions = versions_of(await client.text("GET", "/capabilities"))
        except (SessionNotFound, Unauthorized):
            versions = []
        finally:
            await client.close()
        if not versions:
            hint = "Give its address, such as https://HOST/skaha."
            raise BadAnswer(f"{root} is no Skaha server.", hint=hint, field="url")
        self.options.setdefault("version", versions[-1])
        return f"Skaha, API {' and '.join(versions)}"

    async def reconnect(self) -> None:
        """Let requests under way end, and use a new connection from now on."""
        client, self._client = self._client, None
        if client is not None:
            self._draining.add(client)

    async def close(self) -> None:
        """Close connections."""
        await super().close()
        await self.reconnect()
        await self._draining.close()

    # The four.

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return the person's own sessions. Skaha has no pages, and forgets ended sessions after a while.

        Of everyone's it tells the user, type, status and start (`view=all`).
        """
        client = await self.client()
        if query.everyone:
            items = await client.json("/session", [("view", "all")])
            rows = await rows_of(items, lambda item: self._row({"id": "", **item}), self.title)
        else:
            rows = await rows_of(await client.json("/session"), self._row, self.title)
        rows = [row for row in rows if in_group(row.status, query.status)]
        rows.sort(
            key=lambda row: (row.started_at.timestamp() if row.started_at else float("inf"), row.id),
            reverse=True,
        )
        return rows[query.offset : None if query.limit is None else query.offset + query.limit]

    async def get(self, id: str) -> SessionInfo:
        """Return a session. Errors: SessionNotFound, also when the server has forgotten it."""
        client = await self.client()
        try:
            item = await client.json(self._path(id))
        except SessionNotFound:
            raise self._unknown(id) from None
        return await made_of(item, self._row, SessionInfo, self.title)

    def _row(self, item: Any) -> SessionInfo:
        return convert.session_of(item, self.name)

    def _path(self, id: str) -> str:
        if not ID.fullmatch(id):
            raise self._unknown(id)
        return f"/session/{id}"

    def _unknown(self, id: str) -> SessionNotFound:
        hint = "List the sessions to see which there are."
        return SessionNotFound(f"There is no session '{id}' on {self.title}.", hint=hint, field="session")

    async def create(self, request: SessionRequest) -> SessionInfo:
        """Request a session.

        A request whose answer is lost is not sent again, but its session is looked for. One that was made is told
        of, whatever the server says to a look at it.
        """
        query = convert.create_query(request, self.title)
        client = await self.client()
        try:
            made = await client.made(query)
        except (NotReached, RateLimited):
            raise
        except LOST as error:
            return await recovered(error, lambda: self._named(request.name))
        try:
            return await self.get(made)
        except SessionError:
            return convert.session_made(request, made, self.name)

    async def _named(self, name: str) -> SessionInfo | None:
        rows = await self.list(Query())
        return next((row for row in rows if row.name == name.lower() and row.status != "TERMINATING"), None)

    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """Delete a session, which the server then forgets."""
        row = await self.get(id)
        await (await self.client()).text("DELETE", self._path(id))
        status = "CANCELLED" if row.status == "PENDING" else "TERMINATING"
        return structs.replace(row, status=status, status_info="user-requested") if row.live else row

    # The optional ones.

    async def kernel_endpoint(self, id: str) -> KernelEndpoint:
        """Return the Jupyter server of a notebook session, with the token that its connectURL carries.

        Errors: NotRunning; NotSupported for the other kinds of session, which have none. Source: connectURL of servers
        up to 1.4.0, `…/session/notebook/ID/lab/tree/HOME?token=ID`.
        """
        row = await self.get(id)
        if row.type != TYPES[0]:
            raise NotSupported(
                f"'{row.name}' is no notebook session: only those have a kernel.",
                hint="Create a session of the type 'interactive' to run code.",
                field="session",
            )
        if row.status not in USABLE:
            raise NotRunning(standing(row.name, row.status, row.status_info), hint="Wait until it runs.")
        url = urlsplit(next((service.url or "" for service in row.services), ""))
        before, found, _ = url.path.partition(f"/{id}/")
        if not found:
            raise BadAnswer(f"{self.title} does not say where the Jupyter server of '{row.name}' is.")
        return JupyterEndpoint(url=urlunsplit(url._replace(path=f"{before}/{id}/", fragment="")))

    async def restart(self, id: str) -> SessionInfo:
        """Start the kernel of a notebook session again; its files stay."""
        await self.kernel_cells.restart(id)
        return await self.get(id)

    async def logs(self, id: str) -> str:
        """Return what a session printed; "" while it waits and when the server has forgotten it."""
        return await (await self.client()).text("GET", self._path(id), [("view", "logs")])

    async def events(self, id: str) -> builtins.list[Event]:
        """Return the events of the platform about a session; none while it has no node yet."""
        try:
            said = await (await self.client()).text("GET", self._path(id), [("view", "events")])
        except SessionNotFound:
            await self.get(id)
            return []
        return await made_of(said, convert.events_of, builtins.list[Event], self.title)

    async def renew(self, id: str) -> SessionInfo:
        """Restart a session's lifetime, unless more is left of it. Errors: SessionNotFound of one that has ended."""
        try:
            await (await self.client()).text("POST", self._path(id), [("action", "renew")])
        except InvalidRequest as error:
            if (await self.get(id)).live:
                raise
            raise self._unknown(id) from error
        return await self.get(id)

    async def images(self) -> builtins.list[Image]:
        """Return the public images, each with the kinds of session it is for."""
        items = await (await self.client()).json("/image")
        return await made_of(items, convert.images_of, builtins.list[Image], self.title)

    async def capacity(self) -> dict[str, Amount]:
        """Return the total and free amounts."""
        stats = await (await self.client()).json("/session", [("view", "stats")])
        return await made_of(stats, convert.capacity_of, dict[str, Amount], self.title)
