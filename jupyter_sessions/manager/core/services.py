"""The definitions and states of a session's services."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from jupyter_sessions.manager.runtime.programs.service_plugins import describe
from jupyter_sessions.wire.environment import FUNCTIONS, Launch

TERMINAL = "terminal"
"""The service that every session has."""
NOT_STARTED, STARTING, READY, FAILED = "not started", "starting", "ready", "failed"
TITLES = {"jupyter": "JupyterLab", "vscode": "VS Code", "tensorboard": "TensorBoard"}
"""The titles of services without a title of their own."""
_ICON_BYTES = 100_000


class ServiceDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to start a service, and how to reach it; the options of jupyter-server-proxy.

    `command`, `environment` and `request_headers` may contain {port}, {unix_socket} and {base_url}. `plugin` is the
    interpreter with the entry point, which knows the command itself. A service with `absolute_url` sees itself below
    `base_url` instead of at the root. `refused` is the end of a sentence about what is not supported.
    """

    command: list[str] = []
    environment: dict[str, str] = {}
    plugin: str = ""
    package: str = ""
    title: str = ""
    icon_path: str = ""
    path: str = ""
    absolute_url: bool = False
    unix_socket: bool = False
    timeout: float = 5
    request_headers: dict[str, str] = {}
    new_browser_tab: bool = True
    refused: str = ""

    def icon(self) -> str:
        """Return the text of its icon, an SVG file, or "" if it cannot be read."""
        if not self.icon_path.endswith(".svg"):
            return ""
        try:
            with open(self.icon_path, encoding="utf-8") as file:
                return file.read(_ICON_BYTES) if os.fstat(file.fileno()).st_size <= _ICON_BYTES else ""
        except (OSError, ValueError):
            return ""


class ServiceState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a service.

    `since` is the time at which the state began, `reason` is why the service ended, and `over_memory` is true if the
    session's memory was the reason.
    """

    state: str = NOT_STARTED
    since: datetime | None = None
    arguments: dict[str, str] = {}
    port: int = 0
    reason: str = ""
    over_memory: bool = False

    def stopped(self) -> ServiceState:
        """Return the state of the service after it was stopped, with the same arguments."""
        return ServiceState(arguments=self.arguments)


def read_definition(described: Mapping[str, Any], **more: Any) -> ServiceDefinition:
    """Return the definition of a described service (`service_plugins.describe`), refused if it cannot be read."""
    try:
        return msgspec.convert({**described, **more}, ServiceDefinition)
    except msgspec.ValidationError as error:
        return ServiceDefinition(refused=f"has options that cannot be read: {error}")


def _configured(options: Mapping[str, Any]) -> ServiceDefinition:
    """Return the definition of a service in the server's configuration, whose functions were left out."""
    command, environment = options.get("command"), options.get("environment") or {}
    described = describe(options)
    if functions := options.get(FUNCTIONS):
        described["refused"] = (
            f"is configured with a function ({', '.join(functions)}); only plug-ins may have those"
        )
    return read_definition(described, command=command or [], environment=environment)


def kind_of(name: str) -> str:
    """Return the kind of a service: "tensorboard" for "tensorboard:2"."""
    return name.partition(":")[0]


def definitions(launch: Launch, plugins: Mapping[str, ServiceDefinition]) -> dict[str, ServiceDefinition]:
    """Return the definitions of a session's services by kind; the session's own take precedence over plug-ins."""
    own = {
        name: ServiceDefinition(command=command, unix_socket=True, absolute_url=True)
        for name, command in launch.services.items()
    }
    configured = {name: _configured(options) for name, options in launch.configured_services.items()}
    own[TERMINAL] = ServiceDefinition(title="Terminal", unix_socket=True, new_browser_tab=False)
    return own | {name: one for name, one in {**plugins, **configured}.items() if name not in own}


def refusal(kind: str, definition: ServiceDefinition) -> str:
    """Return why a service cannot be started, with the name of its package, or ""."""
    where = f" ({definition.package})" if definition.package else ""
    return f"The service '{kind}'{where} {definition.refused}." if definition.refused else ""
