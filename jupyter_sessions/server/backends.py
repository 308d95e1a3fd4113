"""The routes about backends: which there are, adding one, and signing in to one.

What is secret comes in and never goes out. Code in kernels may look, no more: it is people who add
backends and sign in, in the browser or in a shell.
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
    """The backends, what they can do, and what is free."""

    @web.authenticated
    @authorized
    @operation({200: Backends}, query={"backend": (str, "Only this backend.")})
    async def get(self) -> None:
        """Describe all backends, or with `backend` one: what they can do, and what is free."""
        config = self.service.config
        backends = await self.service.describe(self.argument("backend") or None)
        types = self.service.additions.types()
        self.answer(Backends(config.default_backend, config.presets, types, backends))

    @web.authenticated
    @authorized
    @operation({201: BackendAdded}, body=NewBackend, caller="person")
    async def post(self) -> None:
        """Add a backend, if something of its type answers at its address."""
        by_a_person(self)
        wanted = self.read(NewBackend)
        self.answer(BackendAdded(wanted.name, await self.service.add_backend(wanted)), 201)


class BackendHandler(BaseHandler):
    """One backend."""

    @web.authenticated
    @authorized
    @operation({204: None}, caller="person")
    async def delete(self, backend: str) -> None:
        """Remove a backend that a person added; its sessions stay."""
        by_a_person(self)
        await self.service.remove_backend(backend)
        self.set_status(204)
        self.finish()


class SignInHandler(BaseHandler):
    """Signing in to a backend, and out."""

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
    """Another version's session manager, and this version's in its place."""

    @web.authenticated
    @authorized
    @operation({204: None}, caller="person")
    async def post(self, backend: str) -> None:
        """After an upgrade, have this version's session manager take over a backend's sessions, which go on."""
        by_a_person(self)
        await self.service.take_over(backend)
        self.set_status(204)
        self.finish()


def by_a_person(handler: BaseHandler) -> None:
    """Errors: Forbidden for what comes with a kernel's token."""
    if handler.scoped:
        raise Forbidden(
            "Kernels may not change backends or sign in to them.",
            hint="Do that in the panel or in a shell.",
        )
