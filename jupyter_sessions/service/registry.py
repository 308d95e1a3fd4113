"""Which backends there are: those of the configuration, of types found as entry points."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Any

from traitlets import TraitError
from traitlets.config import Configurable

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.config import JupyterSessions, load
from jupyter_sessions.errors import InvalidRequest, UnknownBackend

log = logging.getLogger("jupyter_sessions")

GROUP = "jupyter_sessions.backends"
LOCAL = "local"


def configuration(parent: Configurable | None = None) -> JupyterSessions:
    """What `config.load` reads. Errors: InvalidRequest, in one sentence, for one that cannot be used."""
    try:
        return load(parent)
    except Exception as error:  # A configuration file is a program.
        said = str(error) if isinstance(error, TraitError) else f"{type(error).__name__}: {error}"
        raise InvalidRequest(f"The configuration cannot be used: {said}", hint="Correct it.") from error


def find_types() -> dict[str, type[Backend]]:
    """Backend classes by type. A broken entry point is warned of and skipped."""
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


def make_backends(config: JupyterSessions, kernel_spec_manager: Any = None) -> dict[str, Backend]:
    """The backends to offer, by name. One that cannot be made is warned of and skipped."""
    types = find_types()
    wanted: dict[str, dict[str, Any]] = {LOCAL: {"type": LOCAL}} | config.backends
    local = {"kernel_spec_manager": kernel_spec_manager, "default_resources": config.default_resources}
    made: dict[str, Backend] = {}
    for name, options in wanted.items():
        if config.enabled_backends and name not in config.enabled_backends:
            continue
        kind = str(options.get("type", name))
        if kind not in types:
            log.warning(
                "The backend '%s' is skipped: there is no type '%s', only %s", name, kind, ", ".join(types)
            )
            continue
        rest = {key: value for key, value in options.items() if key != "type"}
        try:
            made[name] = types[kind](name, **((local | rest) if kind == LOCAL else rest))
        except Exception as error:
            log.warning("The backend '%s' is skipped, it cannot be made: %s", name, error)
    return made


def pick(backends: dict[str, Backend], name: str) -> Backend:
    """A backend by its name. Errors: UnknownBackend listing those there are."""
    try:
        return backends[name]
    except KeyError:
        known = ", ".join(backends) or "none"
        raise UnknownBackend(
            f"backend: there is no backend '{name}'.", hint=f"There are: {known}.", field="backend"
        ) from None
