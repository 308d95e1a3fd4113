"""Handlers of services: list, start, stop and restart them, and read their logs. The `proxy` serves their pages."""

from __future__ import annotations

from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_sessions.server import proxy
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.bodies import Logs, Services, ServiceStart, ServiceStarted
from jupyter_sessions.server.operation import operation
from jupyter_sessions.server.proxy.shared_origin import key_of
from jupyter_sessions.server.reading import flag

_START = {
    "forced": (bool, "Start the service even if the session has too little memory (`NoRoom`)."),
    "restart": (bool, "End the service first if it runs."),
}


class ServicesHandler(BaseHandler):
    """The services of a session."""

    @web.authenticated
    @authorized
    @operation({200: Services})
    async def get(self, backend: str, id: str) -> None:
        """Return the services of a session, with their states."""
        self.answer(Services((await self.service.get(backend, id)).services))


class ServiceHandler(BaseHandler):
    """A service of a session."""

    @web.authenticated
    @authorized
    @operation({202: ServiceStarted, 303: None}, query=_START, body=ServiceStart)
    async def post(self, backend: str, id: str, name: str) -> None:
        """Start a service of a session, even one that has failed, and return its address.

        A form of a page is redirected to that address.
        """
        is_form = self.request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        arguments = self.read(ServiceStart).arguments if self.request.body and not is_form else None
        key = key_of(self)
        parts = (*([f"~{key}"] if key else []), backend, id, name)
        url = f"{self.base_url}{proxy.ROOT}{'/'.join(quote(part, safe=':') for part in parts)}/"
        forced = flag("forced", self.argument("forced"))
        if flag("restart", self.argument("restart")):
            await self.service.stop_service(backend, id, name)
        await self.service.start_service(backend, id, name, arguments=arguments, forced=forced, base_url=url)
        if is_form:
            self.redirect(url, status=303)
        else:
            self.answer(ServiceStarted(name, url), 202)

    @web.authenticated
    @authorized
    @operation({204: None})
    async def delete(self, backend: str, id: str, name: str) -> None:
        """End a service of a session; it starts again when it is opened."""
        await self.service.stop_service(backend, id, name)
        self.set_status(204)
        self.finish()


class ServiceLogHandler(BaseHandler):
    """The output of a service."""

    @web.authenticated
    @authorized
    @operation({200: Logs})
    async def get(self, backend: str, id: str, name: str) -> None:
        """Return the newest part of a service's output."""
        self.answer(Logs(await self.service.service_log(backend, id, name)))
