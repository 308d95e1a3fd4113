"""The configuration class, which the server extension, the manager, magics and the command line share.

It is read from ``jupyter_sessions_config.{py,json}`` on the Jupyter configuration path. In a Jupyter server, the
server's own configuration takes precedence.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_config_path
from traitlets import Bool, Dict, Float, Int, List, TraitError, Unicode, Union, validate
from traitlets.config import Config, Configurable
from traitlets.config.loader import (
    ConfigFileNotFound,
    FileConfigLoader,
    JSONFileConfigLoader,
    PyFileConfigLoader,
)

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.durations import parse_duration
from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import SessionSpec

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
        Unicode(), help="Names of the backends to offer; all configured backends if empty."
    ).tag(config=True)
    default_backend = Unicode("local", help="The backend of a session that names none.").tag(config=True)
    presets = Dict(help="Saved specs by name, for example {'big': {'resources': {'cpu': 8}}}.").tag(
        config=True
    )
    default_resources = Dict(
        help="The resources of a session that requests none, for example {'cpu': '2', 'mem': '4g'}."
    ).tag(config=True)
    max_resources = Dict(
        help="The most that all local sessions may have together, for example {'mem': '16g'}."
    ).tag(config=True)
    max_sessions = Int(0, help="The most local sessions that run at a time; 0 for as many as fit.").tag(
        config=True
    )
    idle_timeout = Union(
        [Float(), Unicode()],
        default_value=0.0,
        help="How long a local session may be unused before it is ended, in seconds or such as '2h', "
        "unless the session sets another value; 0 for no limit.",
    ).tag(config=True)
    time_limit = Union(
        [Float(), Unicode()],
        default_value=0.0,
        help="How long a local session may run before it is ended, in seconds or such as '12h', "
        "unless the session sets another value; 0 for no limit.",
    ).tag(config=True)
    gpus = List(
        Unicode(),
        help="GPU slots for a machine whose devices are not found, or to offer only some of them; "
        "each is a value for CUDA_VISIBLE_DEVICES.",
    ).tag(config=True)
    gpu_shares = Int(
        0,
        min=0,
        help="Shares that each GPU is divided into: local sessions then request cuda.shares and may share a GPU, "
        "whose memory is not limited; 0 for whole GPUs, cuda.device.",
    ).tag(config=True)
    manager_timeout = Float(
        900,
        help="Seconds without live sessions and requests after which the local manager ends.",
    ).tag(config=True)
    owner_grace = Float(
        20,
        help="Seconds that a notebook's own session stays after the notebook's process has ended unexpectedly.",
    ).tag(config=True)
    folders = Dict(
        help="Folders that local sessions may mount, by name: a path, or {'path': …, 'read_only': True}."
    ).tag(config=True)
    cgroups = Bool(True, help="Whether the local manager may use cgroups to limit sessions.").tag(config=True)

    pids = Int(
        0,
        min=0,
        help="The most processes and threads of each local session; 0 for the larger of 4096 and 256 for each of "
        "its CPUs. Never more than this machine allows.",
    ).tag(config=True)

    allowed_hosts = List(
        Unicode(),
        help="Host names besides localhost for requests to the local manager, for example of a proxy on this "
        "machine, with any port.",
    ).tag(config=True)

    warm_pool = Int(
        1,
        min=0,
        help="How many Python interpreters the local manager starts ahead of time for recently started kernels; "
        "0 for none. Each takes about 50 MiB, until 15 minutes after its kind was last used.",
    ).tag(config=True)

    notifications = Dict(
        help="Targets of messages by name: {'phone': 'ntfy:https://ntfy.sh/…', 'team': 'slack:https://hooks.slack.com/…', "
        "'mail': 'mailto:me@example.org', 'here': 'command:notify-send \"$JUPYTER_SESSION_MESSAGE\"'}."
    ).tag(config=True)
    notify = List(
        Unicode(),
        help="Names or targets that are told of every session that names none: that it runs after waiting, is about to "
        "end, has ended or has failed.",
    ).tag(config=True)
    smtp = Unicode(
        "smtp://localhost:25",
        help="The mail server: smtp://HOST:PORT, with smtp://USER:PASSWORD@… after STARTTLS, or smtps://…; "
        "TLS needs a valid certificate",
    ).tag(config=True)

    @validate("default_resources", "max_resources")
    def _resources_are_readable(self, proposal: Any) -> dict[str, Any]:
        try:
            parse_slots(proposal["value"])
        except SessionError as error:
            raise TraitError(f"JupyterSessions.{proposal['trait'].name} cannot be used: {error}") from error
        return dict(proposal["value"])

    @validate("idle_timeout", "time_limit")
    def _spans_are_readable(self, proposal: Any) -> Any:
        try:
            return parse_duration(proposal["value"], field=proposal["trait"].name)
        except SessionError as error:
            name = proposal["trait"].name
            raise TraitError(f"JupyterSessions.{name} cannot be used: {error}") from error

    @validate("presets")
    def _presets_are_specs(self, proposal: Any) -> dict[str, Any]:
        for name, preset in proposal["value"].items():
            try:
                parse_slots(msgspec.convert(preset, SessionSpec).resources)
            except (SessionError, msgspec.ValidationError) as error:
                raise TraitError(
                    f"The preset '{name}' in JupyterSessions.presets cannot be used: {error}"
                ) from error
        return dict(proposal["value"])

    @validate("folders")
    def _folders_have_paths(self, proposal: Any) -> dict[str, Any]:
        for name, folder in proposal["value"].items():
            path = folder.get("path") if isinstance(folder, dict) else folder
            if not isinstance(path, str) or not os.path.isabs(os.path.expanduser(path)):
                raise TraitError(
                    f"The folder '{name}' in JupyterSessions.folders must be an absolute path, or have one."
                )
            if not name or "/" in name or name.startswith("."):
                raise TraitError(f"{name!r} in JupyterSessions.folders cannot be the name of a folder.")
        return dict(proposal["value"])

    @validate("backends")
    def _backends_are_options(self, proposal: Any) -> dict[str, Any]:
        for name, options in proposal["value"].items():
            if not isinstance(options, dict):
                raise TraitError(
                    f"The backend '{name}' in JupyterSessions.backends must be a dict of options with a 'type'."
                )
        return dict(proposal["value"])


def load_config(paths: Sequence[str] | None = None) -> Config:
    """Load the configuration files. Files earlier on the path take precedence, and Python over JSON."""
    config = Config()
    for _, found in _files(paths):
        config.merge(found)
    return config


def sources() -> dict[str, str]:
    """Return by option the file that sets it; options that no file sets are left out."""
    return {name: file for file, found in _files() for name in found.JupyterSessions}


def _files(paths: Sequence[str] | None = None) -> Iterator[tuple[str, Config]]:
    """Yield each configuration file with its content, in ascending precedence."""
    for folder in reversed(paths or jupyter_config_path()):
        for suffix, loader in _LOADERS:
            try:
                yield (
                    os.path.join(folder, CONFIG_NAME + suffix),
                    loader(CONFIG_NAME + suffix, folder).load_config(),
                )
            except ConfigFileNotFound:
                continue


def stamps() -> dict[str, tuple[int, int, int]]:
    """Return inode, time and size of the configuration files by path, which show any change of them."""
    found = {}
    for folder in jupyter_config_path():
        for suffix, _ in _LOADERS:
            path = os.path.join(folder, CONFIG_NAME + suffix)
            try:
                status = os.stat(path)
            except OSError:
                continue
            found[path] = status.st_ino, status.st_mtime_ns, status.st_size
    return found


OF_MANAGER = (
    "max_resources",
    "max_sessions",
    "gpus",
    "gpu_shares",
    "folders",
    "cgroups",
    "manager_timeout",
    "owner_grace",
    "pids",
    "warm_pool",
    "allowed_hosts",
)
"""The options of this machine's manager, which reads only the files, because all servers share the manager."""


def load(parent: Configurable | None = None) -> JupyterSessions:
    """Load the configuration of this process. The configuration of `parent` takes precedence over the files."""
    config = load_config()
    of_files = config.JupyterSessions.copy()
    if parent is not None:
        config.merge(parent.config)
    for name in OF_MANAGER:
        if config.JupyterSessions.get(name) != of_files.get(name):
            log.warning(
                "JupyterSessions.%s is ignored here: set it in %s.py, which this machine's manager reads.",
                name,
                CONFIG_NAME,
            )
    return JupyterSessions(config=config)
