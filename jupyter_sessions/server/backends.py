"""The routes about backends: which there are, adding one, and signing in to one.

What is secret comes in and never goes out. Code in kernels may look, no more: it is people who add
backends and sign in, in the browser or in a shell.
"""

from __future__ import annotations

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.errors import Forbidden
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.service import NewBackend


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to sign in: a method, its fields' values, and whether to keep them in a file."""

    method: str
    values: dict[str, str]
    remember: bool = False

    def __repr__(self) -> str:
        return f"Given({self.method!r})"


class BackendsHandler(BaseHandler):
    """The backends, what they can do, and what is free."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Describe them all, or with `backend` one."""
        config = self.service.config
        self.answer(
            {
                "default_backend": config.default_backend,
                "presets": config.presets,
                "types": self.service.additions.types(),
                "backends": await self.service.describe(self.get_query_argument("backend", None)),
            }
        )

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Add one, if something of its type answers at its address."""
        by_a_person(self)
        wanted = self.read(NewBackend)
        self.answer({"name": wanted.name, "found": await self.service.add_backend(wanted)}, 201)


class BackendHandler(BaseHandler):
    """One backend."""

    @web.authenticated
    @authorized
    async def delete(self, backend: str) -> None:
        """Offer it no more; its sessions stay."""
        by_a_person(self)
        await self.service.remove_backend(backend)
        self.set_status(204)
        self.finish()


class SignInHandler(BaseHandler):
    """Signing in to a backend, and out."""

    @web.authenticated
    @authorized
    async def post(self, backend: str) -> None:
        """Sign in."""
        by_a_person(self)
        given = self.read(Given)
        credentials = Credentials(given.method, given.values)
        await self.service.sign_in(backend, credentials, remember=given.remember)
        self.set_status(204)
        self.finish()

    @web.authenticated
    @authorized
    async def delete(self, backend: str) -> None:
        """Sign out."""
        by_a_person(self)
        await self.service.sign_out(backend)
        self.set_status(204)
        self.finish()


def by_a_person(handler: BaseHandler) -> None:
    """Errors: Forbidden for what comes with a kernel's token."""
    if handler.scoped:
        raise Forbidden(
            "Kernels may not change backends or sign in to them.",
            hint="Do that in the panel or in a shell.",
        )
