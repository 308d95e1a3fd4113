"""The one configuration class, read alike by the server extension, the manager, magics and the shell.

It comes from ``jupyter_sessions_config.{py,json}`` on the Jupyter configuration path; in a Jupyter
server that server's own configuration is laid over it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_config_path
from traitlets import Bool, Dict, Float, Int, List, TraitError, Unicode, validate
from traitlets.config import Config, Configurable
from traitlets.config.loader import (
    ConfigFileNotFound,
    FileConfigLoader,
    JSONFileConfigLoader,
    PyFileConfigLoader,
)

from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import SessionSpec, parse_slots

log = logging.getLogger("jupyter_sessions")

CONFIG_NAME = "jupyter_sessions_config"
_LOADERS: tuple[tuple[str, type[FileConfigLoader]], ...] = (
    (".json", JSONFileConfigLoader),
    (".py", PyFileConfigLoader),
)


class JupyterSessions(Configurable):
    """Compute sessions inside Jupyter."""

    backends = Dict(
        help="Backends by name, each {'type': …} with the options of that type, for example "
        "{'cluster': {'type': 'backendai', 'endpoint': 'https://…'}}. The backend 'local', "
        "this machine, needs no entry."
    ).tag(config=True)
    enabled_backends = List(
        Unicode(), help="Names of the backends to offer; all that are known if empty."
    ).tag(config=True)
    default_backend = Unicode("local", help="The backend of a session that names none.").tag(config=True)
    presets = Dict(help="Saved specs by name, for example {'big': {'resources': {'cpu': 8}}}.").tag(
        config=True
    )
    default_resources = Dict(
        help="What a session gets that asks for nothing, for example {'cpu': '2', 'mem': '4g'}."
    ).tag(config=True)
    max_resources = Dict(
        help="The most that this machine gives all local sessions together, for example {'mem': '16g'}."
    ).tag(config=True)
    max_sessions = Int(0, help="How many local sessions may run at once; 0 for as many as fit.").tag(
        config=True
    )
    gpus = List(
        Unicode(),
        help="GPU slots by hand, for a machine whose devices are not found or to offer some of them; "
        "each is a value for CUDA_VISIBLE_DEVICES.",
    ).tag(config=True)
    manager_timeout = Float(
        900,
        help="Seconds without a live session and without a request after which the local manager ends.",
    ).tag(config=True)
    owner_grace = Float(
        20,
        help="Seconds that a notebook's own session waits for the notebook's process when that has "
        "ended without saying so.",
    ).tag(config=True)
    cgroups = Bool(
        True, help="Whether the local manager may use cgroups to hold sessions to their limits."
    ).tag(config=True)

    @validate("default_resources", "max_resources")
    def _resources_are_readable(self, proposal: Any) -> dict[str, Any]:
        try:
            parse_slots(proposal["value"])
        except SessionError as error:
            raise TraitError(f"JupyterSessions.{proposal['trait'].name}: {error}") from error
        return dict(proposal["value"])

    @validate("presets")
    def _presets_are_specs(self, proposal: Any) -> dict[str, Any]:
        for name, preset in proposal["value"].items():
            try:
                parse_slots(msgspec.convert(preset, SessionSpec).resources)
            except (SessionError, msgspec.ValidationError) as error:
                raise TraitError(
                    f"JupyterSessions.presets: '{name}' is no session's spec: {error}"
                ) from error
        return dict(proposal["value"])

    @validate("backends")
    def _backends_are_options(self, proposal: Any) -> dict[str, Any]:
        for name, options in proposal["value"].items():
            if not isinstance(options, dict):
                raise TraitError(
                    f"JupyterSessions.backends: '{name}' must be a dict of options with a 'type'."
                )
        return dict(proposal["value"])


def load_config(paths: Sequence[str] | None = None) -> Config:
    """What the configuration files say; files earlier on the path win, and Python over JSON."""
    config = Config()
    for folder in reversed(paths or jupyter_config_path()):
        for suffix, loader in _LOADERS:
            try:
                config.merge(loader(CONFIG_NAME + suffix, path=folder).load_config())
            except ConfigFileNotFound:
                continue
    return config


OF_MANAGER = ("max_resources", "max_sessions", "gpus", "cgroups", "manager_timeout", "owner_grace")
"""What the manager of this machine reads when it starts, from the files alone: all servers share it."""


def load(parent: Configurable | None = None) -> JupyterSessions:
    """The configuration of this process; that of `parent` is laid over the files."""
    config = load_config()
    of_files = config.JupyterSessions.copy()
    if parent is not None:
        config.merge(parent.config)
    for name in OF_MANAGER:
        if config.JupyterSessions.get(name) != of_files.get(name):
            log.warning(
                "JupyterSessions.%s is ignored here: put it into %s.py, which this machine's manager reads.",
                name,
                CONFIG_NAME,
            )
    return JupyterSessions(config=config)
