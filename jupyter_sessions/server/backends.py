"""The routes about backends: listing, adding and removing them, and signing in.

Secrets come in and never go out. Code in kernels may only read: people add backends and sign in, in the browser or in
a shell.
"""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.errors import Forbidden
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.bodies import BackendAdded, Backends, SignInRequest
from jupyter_sessions.server.operation import operation
from jupyter_sessions.service import NewBackend


class BackendsHandler(BaseHandler):
    """The backends, their capabilities, and their free resources."""

    @web.authenticated
    @authorized
    @operation({200: Backends}, query={"backend": (str, "Describe only this backend.")})
    async def get(self) -> None:
        """Describe all backends, or only the one named by `backend`: capabilities and free resources."""
        config = self.service.config
        backends = await self.service.describe(self.argument("backend") or None)
        types = self.service.additions.types()
        self.answer(Backends(config.default_backend, config.presets, types, backends))

    @web.authenticated
    @authorized
    @operation({201: BackendAdded}, body=NewBackend, caller="person")
    async def post(self) -> None:
        """Add a backend, provided that a server of its type answers at its address."""
        by_a_person(self)
        wanted = self.read(NewBackend)
        self.answer(BackendAdded(wanted.name, await self.service.add_backend(wanted)), 201)


class BackendHandler(BaseHandler):
    """A backend."""

    @web.authenticated
    @authorized
    @operation({204: None}, caller="person")
    async def delete(self, backend: str) -> None:
        """Remove a backend that a person added; its sessions keep running."""
        by_a_person(self)
        await self.service.remove_backend(backend)
        self.set_status(204)
        self.finish()


class SignInHandler(BaseHandler):
    """Signing in to a backend, and signing out."""

    @web.authenticated
    @authorized
    @operation({204: None}, body=SignInRequest, caller="person")
    async def post(self, backend: str) -> None:
        """Sign in to a backend."""
        by_a_person(self)
        given = self.read(SignInRequest)
        credentials = Credentials(given.method, given.values)
        await self.service.sign_in(backend, credentials, remember=given.remember)
        self.set_status(204)
        self.finish()

    @web.authenticated
    @authorized
    @operation({204: None}, caller="person")
    async def delete(self, backend: str) -> None:
        """Sign out of a backend."""
        by_a_person(self)
        await self.service.sign_out(backend)
        self.set_status(204)
        self.finish()


class TakeoverHandler(BaseHandler):
    """Replacing the session manager of another version."""

    @web.authenticated
    @authorized
    @operation({204: None}, caller="person")
    async def post(self, backend: str) -> None:
        """After an upgrade, replace a backend's session manager by this version's; its sessions keep running."""
        by_a_person(self)
        await self.service.take_over(backend)
        self.set_status(204)
        self.finish()


def by_a_person(handler: BaseHandler) -> None:
    """Check that a person sent the request. Errors: Forbidden for a request with a kernel's token."""
    if handler.scoped:
        raise Forbidden(
            "Kernels may not change backends or sign in to them.",
            hint="Use the panel or a shell instead.",
        )
