"""How people sign in to a backend while the server runs."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jupyter_sessions.backends.credential_store import CredentialStore, Kept
from jupyter_sessions.backends.signin import Credentials, SignIn, SignInMethod, checked, fits, without_secrets
from jupyter_sessions.backends.values import Query
from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.model import SessionInfo


class SigningIn(ABC):
    """The methods of a backend that are about signing in; without `sign_in_methods`, nobody needs to."""

    name: str
    title: str
    options: dict[str, Any]
    credential_store: CredentialStore
    address_option: ClassVar[str] = ""
    """The option that holds the address, for types that people may add with an address alone."""

    @abstractmethod
    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return the sessions that match."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections."""

    async def reconnect(self) -> None:
        """Use new credentials from now on; requests under way may end with the earlier ones."""
        await self.close()

    def address(self) -> str:
        """Return the address that credentials are for. Errors: InvalidRequest."""
        return str(self.options.get(self.address_option, ""))

    def sign_in_methods(self) -> builtins.list[SignInMethod]:
        """Return the ways to sign in, the usual one first; `signed_in_credentials` returns what people gave."""
        return []

    def signed_in_credentials(self, address: str | None = None) -> Credentials | None:
        """Return what somebody signed in with, which takes precedence over the configuration. Errors: Unauthorized.

        `address` is where the credentials will be used, if that is known already.
        """
        methods = self.sign_in_methods()
        found = self.credential_store.get(self.address() if address is None else address) if methods else None
        return found if found is not None and fits(methods, found) else None

    def sign_in_state(self) -> SignIn:
        """Return who is signed in, without asking the server; files may be read."""
        return SignIn(methods=self.sign_in_methods())

    async def sign_in(self, given: Credentials, *, remember: bool = False) -> None:
        """Sign in: try the credentials with another backend like this one, and keep them if it gets in.

        Errors: InvalidRequest naming the field; those of the backend, in which case nothing has changed.
        """
        given, address = checked(self.sign_in_methods(), given), self.address()
        trial = type(self)(self.name, title=self.title, **self.options)  # type: ignore[call-arg]
        trial.credential_store = CredentialStore(self.name, Kept(address, given))
        try:
            await trial.list(Query(limit=1))
        except SessionError as error:
            raise without_secrets(error, given, self.sign_in_methods()) from None
        finally:
            await trial.close()
        if self.address() != address:
            raise InvalidRequest(
                f"The address of {self.title} has changed in the meantime.", hint="Try again."
            )
        self.credential_store.keep(given, address, remember=remember)
        await self.reconnect()

    async def sign_out(self) -> None:
        """Forget what somebody signed in with; the configuration applies again."""
        self.credential_store.forget()
        await self.reconnect()
