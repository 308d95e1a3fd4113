"""How a manager is reached, and how people sign in to it."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from jupyter_sessions.backends.backendai import credentials
from jupyter_sessions.backends.backendai.access import API, SESSION
from jupyter_sessions.backends.backendai.credentials import BackendAILogin
from jupyter_sessions.backends.backendai.http import CONNECT_SECONDS, SECONDS, ManagerClient
from jupyter_sessions.backends.backendai.problems import CHECK_ADDRESS
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.draining import Draining
from jupyter_sessions.backends.parsing import understood
from jupyter_sessions.backends.signin import KEYPAIR, PASSWORD, SignIn, SignInMethod
from jupyter_sessions.errors import (
    BadAnswer,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotSupported,
    SessionError,
    Unauthorized,
)

_OWNER = "query { keypair { access_key } }"


class Reached(Backend):
    """The connection of a backend to a manager of Backend.AI."""

    type_title = "Backend.AI"
    address_option = "endpoint"

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._client: ManagerClient | None = None
        self._connecting = asyncio.Lock()
        self._draining = Draining()
        self._login: BackendAILogin | None = None
        self._projects: dict[str, str] = {}
        self._access_key = ""

    async def client(self) -> ManagerClient:
        """Return the connection, a new one if the credentials have changed. Errors: InvalidRequest, those of signing in."""
        async with self._connecting:
            login = await asyncio.to_thread(self._find_login)
            if self._client is None or self._login != login:
                await self.reconnect()
                self._login = login
                self._projects = {}
                self._access_key = login.access_key
                self._client = self._connection(login)
            return self._client

    async def access_key(self) -> str:
        """Whose sessions are one's own; the manager knows of those who signed in with a password."""
        client = await self.client()
        if not self._access_key:
            found = await client.query(_OWNER, {})
            with understood(self.title):
                self._access_key = str(found["keypair"]["access_key"])
        return self._access_key

    def _find_login(self) -> BackendAILogin:
        return credentials.find(self.options, self.name, self.signed_in_credentials)

    def _connection(self, login: BackendAILogin) -> ManagerClient:
        access = login.access(self.title)
        return ManagerClient(
            login.endpoints,
            access,
            who=self.title,
            seconds=self._seconds(login.read_timeout or SECONDS),
            connect_seconds=login.connection_timeout or CONNECT_SECONDS,
            verify=not login.skip_sslcert_validation,
        )

    def address(self) -> str:
        """Return the addresses that credentials are for."""
        return credentials.where(credentials.gathered(self.options))

    def sign_in_methods(self) -> builtins.list[SignInMethod]:
        """Managers take keypairs, their web servers names and passwords."""
        kind = credentials.gathered(self.options).get("endpoint_type")
        return [PASSWORD if kind == SESSION else KEYPAIR]

    def sign_in_state(self) -> SignIn:
        """Return who is signed in. Keypairs and passwords do not say when they expire."""
        renew = f"jupyter session login {self.name}"
        try:
            methods, given = self.sign_in_methods(), self.signed_in_credentials()
        except SessionError:
            return SignIn(renew=renew)
        if given is None:
            return SignIn(methods=methods, renew=renew)
        who = given.values[methods[0].fields[0].name]
        return SignIn(
            methods=methods,
            signed_in=True,
            remembered=self.credential_store.remembered(),
            who=who,
            renew=renew,
        )

    async def probe(self) -> str:
        """A manager says its version at `/`, a web server before one at `/func/`. Source: both of 25.5.2."""
        asked = self.options.get("endpoint_type")
        if asked:
            credentials.check_type(str(asked), self.name)
        kinds = [str(asked)] if asked else [API, SESSION]
        how = credentials.typed(credentials.gathered(self.options), self.name)
        for kind in kinds:
            client = self._connection(BackendAILogin(endpoint=self.address(), endpoint_type=kind, **how))
            try:
                dialect = await client.dialect()
            except (BadAnswer, NotFound, NotSupported, Unauthorized):
                continue
            finally:
                await client.close()
            self.options["endpoint_type"] = kind
            return f"{_called(dialect)}, API {dialect.version}"
        raise BadAnswer(
            f"{self.address()} is no Backend.AI manager or web server.", hint=CHECK_ADDRESS, field="url"
        )


def _called(dialect: Dialect) -> str:
    """Return the kind of a manager, for people."""
    major, minor = dialect.release
    return "A manager of jupyter_sessions" if dialect.ours else f"Backend.AI {major}.{minor}"


def is_uuid(id: str) -> bool:
    """Managers answer a query for anything else with an error of its syntax."""
    try:
        return str(UUID(id)) == id.lower()
    except ValueError:
        return False


async def told(work: Awaitable[Any], otherwise: Any) -> Any:
    """Return the result of a request, or a default if the manager refuses it."""
    try:
        return await work
    except (Forbidden, InvalidRequest, NotFound, NotSupported):
        return otherwise
