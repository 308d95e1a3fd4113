"""The Jupyter server extension."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec
from jupyter_events import EventLogger
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp

from jupyter_sessions._version import __version__
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.kernels import cleanup
from jupyter_sessions.kernels.auto_kernelspecs import SessionKernelSpecs
from jupyter_sessions.kernels.session_kernels import SessionKernels, use
from jupyter_sessions.server import handlers, heartbeat, proxy
from jupyter_sessions.server.access import ScopedToken, withdraw
from jupyter_sessions.server.base import TOKEN
from jupyter_sessions.server.streams import STREAMS
from jupyter_sessions.service import Batch, SessionService, configuration
from jupyter_sessions.wire.process_context import own_session_name
from jupyter_sessions.wire.proxy.rebase import SERVICE_PATH

SCHEMA_ID = "https://schema.jupyter.org/jupyter_sessions/session/v1"
_SCHEMA_FILE = Path(__file__).parent / "events" / "session" / "v1.yaml"


class SessionsExtension(ExtensionApp):
    """Compute sessions of all backends: REST API, pushed changes and service ports."""

    name = "jupyter_sessions"
    version = __version__
    classes = [JupyterSessions]
    service: SessionService | None = None
    _kernels: SessionKernels | None = None
    _offers: SessionKernelSpecs | None = None
    _token: ScopedToken
    _server: ServerApp
    _events: EventLogger
    _access_file: Path | None = None
    _tasks: list[asyncio.Task[None]] = []

    def load_config_file(self, *args: Any, **options: Any) -> None:
        """Do nothing: `config.load` reads the files. Reading them here would log them, keypairs included."""

    def initialize_settings(self) -> None:
        """Create the service and the scoped token.

        If the configuration cannot be used, every route reports what is wrong.
        """
        self._server = cast("ServerApp", self.serverapp)
        self._events = cast("EventLogger", self._server.event_logger)
        self._token = ScopedToken()
        self.settings[TOKEN] = self._token
        self.settings[STREAMS] = set[asyncio.Task[None]]()
        for file in (_SCHEMA_FILE, heartbeat.SCHEMA_FILE):
            self._events.register_event_schema(file)
        try:
            settings = configuration(self)
        except InvalidRequest as error:
            self.log.error("jupyter_sessions: %s", error)
            self.settings[proxy.SERVICES_KEY] = error
            return
        self.service = SessionService(settings, self._server.kernel_spec_manager, self._server.root_dir)
        self.settings[proxy.SERVICES_KEY] = self.service
        self.service.feed.listen(self._push)

    def initialize_handlers(self) -> None:
        """Register our routes."""
        base_url = self._server.base_url
        for rules in (handlers.handlers(base_url), proxy.handlers(base_url), handlers.unknown(base_url)):
            self._server.web_app.add_handlers(".*$", rules)  # type: ignore[no-untyped-call]
        if base_url.startswith(SERVICE_PATH):  # This is a session's own Jupyter.
            self._server.web_app.add_handlers(".*$", handlers.from_the_root(base_url))  # type: ignore[no-untyped-call]

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Tell kernels the address, and start to watch the backends, once the port is known."""
        self._access_file = self._token.publish(serverapp)
        if serverapp.base_url.startswith(SERVICE_PATH):
            _name_session(serverapp)
        self._tasks = [asyncio.create_task(heartbeat.beat(self._events, self.service))]
        if self.service is not None:
            self._kernels = SessionKernels(self.service)
            self._offers = SessionKernelSpecs(self.service, serverapp.kernel_spec_manager, self._kernels)
            self.service.feed.listen(self._offers.hear)
            self.service.feed.start(self.service.backends.values())
            use(self._kernels)
            self._tasks += [
                asyncio.create_task(cleanup.sweep(self.service)),
                asyncio.create_task(self._offers.keep()),
                asyncio.create_task(self.service.additions.keep_looking()),
            ]

    async def stop_extension(self) -> None:
        """Release all resources; sessions keep running."""
        if self._access_file is not None:
            withdraw(self._access_file)
        for stream in self.settings.get(STREAMS, ()):
            stream.cancel()
        for task in self._tasks:
            task.cancel()
        if self._offers is not None:
            self._offers.close()
        if self._kernels is not None:
            use(None)
            self._kernels.close()
        if self.service is not None:
            await self.service.close()

    def _push(self, batch: Batch) -> None:
        data: dict[str, Any] = msgspec.to_builtins(batch)
        self._events.emit(schema_id=SCHEMA_ID, data=data)


def _name_session(serverapp: ServerApp) -> None:
    """Add the name of the session to the title of the JupyterLab that runs in it."""
    name = own_session_name()
    for app in serverapp.extension_manager.extension_apps.get("jupyterlab", ()) if name else ():
        app.app_name = f"{name} · {app.app_name}"
