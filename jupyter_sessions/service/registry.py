"""The backends of the configuration, of types that are entry points."""

from __future__ import annotations

import logging
import os
from importlib.metadata import entry_points
from typing import Any

from traitlets import TraitError
from traitlets.config import Configurable

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.config import JupyterSessions, load
from jupyter_sessions.errors import InvalidRequest, UnknownBackend

log = logging.getLogger("jupyter_sessions")

GROUP = "jupyter_sessions.backends"


def configuration(parent: Configurable | None = None) -> JupyterSessions:
    """Return the configuration. Errors: InvalidRequest with the reason if it cannot be used."""
    try:
        return load(parent)
    except Exception as error:  # A configuration file is a program.
        said = str(error) if isinstance(error, TraitError) else f"{type(error).__name__}: {error}"
        raise InvalidRequest(f"The configuration cannot be used: {said}", hint="Correct it.") from error


def find_types() -> dict[str, type[Backend]]:
    """Return the backend classes by type. A broken entry point is logged and skipped."""
    found: dict[str, type[Backend]] = {}
    for point in entry_points(group=GROUP):
        try:
            kind = point.load()
            if not (isinstance(kind, type) and issubclass(kind, Backend)):
                raise TypeError(f"{point.value} is no subclass of jupyter_sessions.backends.base.Backend")
        except Exception as error:
            log.warning("The session backend '%s' is skipped, it does not load: %s", point.name, error)
            continue
        found[point.name] = kind
    return found


def own_sessions() -> set[str]:
    """Return the ids of the session that this program runs in, "" if it runs in none."""
    return {os.environ.get(name, "") for kind in find_types().values() for name in kind.session_variables}


class BackendFactory:
    """Creates the backends of a configuration."""

    def __init__(self, config: JupyterSessions, kernel_spec_manager: Any = None) -> None:
        self.types = find_types()
        self._config = config
        self._kernel_spec_manager = kernel_spec_manager

    def all(self, added: dict[str, dict[str, Any]]) -> dict[str, Backend]:
        """Return the backends by name, including those that a person `added`. A broken one is logged and skipped."""
        there = {name: {"type": name} for name, kind in self.types.items() if kind.built_in}
        wanted: dict[str, dict[str, Any]] = there | self._config.backends
        wanted |= {name: options for name, options in added.items() if name not in wanted}
        wanted |= _found(self.types, wanted)
        made = {name: self.one(name, options) for name, options in wanted.items() if self.offers(name)}
        return {name: backend for name, backend in made.items() if backend is not None}

    def offers(self, name: str) -> bool:
        """Return whether the configuration allows a backend of that name."""
        return not self._config.enabled_backends or name in self._config.enabled_backends

    def one(self, name: str, options: dict[str, Any]) -> Backend | None:
        """Return a new backend, or log a warning and return None if that fails."""
        kind = str(options.get("type", name))
        if kind not in self.types:
            known = ", ".join(self.types)
            log.warning("The backend '%s' is skipped: there is no type '%s', only %s", name, kind, known)
            return None
        rest = {key: value for key, value in options.items() if key != "type"}
        try:
            usual = self.types[kind].configured(self._config, self._kernel_spec_manager)
            return self.types[kind](name, **(usual | rest))
        except Exception as error:
            log.warning("The backend '%s' is skipped, it cannot be made: %s", name, error)
            return None


def _found(types: dict[str, type[Backend]], wanted: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the backends that the environment names, by type, unless they are configured."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in types.items():
        options = kind.options_from_environment()
        if options is None or name in wanted:
            continue
        alike = [other for other_name, other in wanted.items() if other.get("type", other_name) == name]
        if not any(kind.same_server(options, other) for other in alike):
            found[name] = options
    return found


def pick(backends: dict[str, Backend], name: str) -> Backend:
    """Return a backend by its name. Errors: UnknownBackend listing the names."""
    try:
        return backends[name]
    except KeyError:
        known = ", ".join(backends) or "none"
        raise UnknownBackend(
            f"There is no backend '{name}'.", hint=f"Choose from: {known}.", field="backend"
        ) from None
