"""Find the service plug-ins of Python environments: entry points of jupyter-server-proxy, which is not required.

The interpreter with the plug-ins lists them in a process of its own, once until its packages change.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_sessions.manager.core.services import ServiceDefinition, read_definition
from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.runtime.helpers import HELPERS
from jupyter_sessions.wire.environment import SERVICE_NAME

log = logging.getLogger("jupyter_sessions")

PROGRAM = "service_plugins.py"
_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "HOME")
"""Variables that decide where Python looks for packages."""

Plugins = dict[str, ServiceDefinition]


class _Answer(msgspec.Struct):
    """The output of the program: descriptions by name, and the folders in which it looked for packages."""

    services: dict[str, dict[str, Any]]
    paths: list[str]


class PluginFinder:
    """Finds the plug-ins of interpreters, and remembers them until a package is installed or removed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._found: dict[tuple[str, ...], tuple[dict[str, int], Plugins]] = {}
        self._lock = asyncio.Lock()

    async def find(self, interpreters: Sequence[str], env: Mapping[str, str]) -> Plugins:
        """Return the plug-ins of all interpreters by name; those of the first interpreter take precedence."""
        found: Plugins = {}
        for interpreter in interpreters:
            found = await self._of(interpreter, env) | found
        return found

    async def _of(self, interpreter: str, env: Mapping[str, str]) -> Plugins:
        key = (interpreter, *(env.get(name, "") for name in _VARIABLES))
        async with self._lock:
            changes, plugins = self._found.get(key, ({}, {}))
            if not changes or changes != _changes(changes):
                try:
                    output = await self._runtime.output([interpreter, HELPERS.program(PROGRAM), "list"], env)
                    answer = msgspec.json.decode(output, type=_Answer)
                except (OSError, TimeoutError, msgspec.MsgspecError) as error:
                    log.warning("The service plug-ins of %s cannot be listed: %s", interpreter, error)
                    return plugins
                plugins = _read(answer.services, interpreter)
                self._found[key] = _changes(answer.paths), plugins
            return plugins


def _read(services: Mapping[str, dict[str, Any]], interpreter: str) -> Plugins:
    found: Plugins = {}
    for name, described in services.items():
        if SERVICE_NAME.fullmatch(name):
            found[name] = read_definition(described, plugin=interpreter)
        else:
            log.warning(
                "The plug-in '%s' of %s is left out: its name is not valid in a path.", name, interpreter
            )
    return found


def _changes(paths: Sequence[str] | Mapping[str, int]) -> dict[str, int]:
    """Return when each folder has changed last, 0 for a missing folder."""
    found = {}
    for path in paths:
        found[path] = 0
        with suppress(OSError):
            found[path] = os.stat(path).st_mtime_ns
    return found
