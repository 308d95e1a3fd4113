"""The fields of a spec that backends support, and the refusal of others."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_sessions.errors import NotSupported
from jupyter_sessions.model import SessionSpec

WORDS = {
    "environ": "environment variables",
    "startup_command": "startup commands",
    "resource_opts": "resource options",
    "architecture": "a choice of architecture",
    "group": "projects",
    "domain": "domains",
    "resource_group": "resource groups",
    "cluster_size": "sessions of several members",
    "cluster_mode": "sessions of several members",
    "mounts": "a choice of folders",
    "mount_map": "a choice of folders",
    "preopen_ports": "ports opened beforehand",
    "services": "services that start with a session",
    "tag": "tags",
    "starts_at": "start times",
    "bootstrap_script": "bootstrap scripts",
    "dependencies": "dependencies",
    "callback_url": "callbacks",
    "owner_access_key": "sessions of other owners",
    "priority": "priorities",
    "batch_timeout": "time limits of batch sessions",
    "idle_timeout": "an idle timeout",
    "time_limit": "a time limit",
    "kernel_arguments": "arguments of kernels",
    "requirements": "requirements, but images that have the packages",
}
"""The fields that a backend may support, in words; every backend supports the others."""
BASIC = frozenset({"environ", "startup_command"})
"""The fields that a backend supports by default."""
EVERY = frozenset(WORDS)
_DEFAULTS = SessionSpec()
_NONE = {"idle_timeout": 0, "time_limit": 0}


def check_taken(spec: SessionSpec, takes: Iterable[str], title: str) -> None:
    """Errors: NotSupported for a field that a spec gives and a backend does not take."""
    for field in [name for name in WORDS if name not in takes]:
        if getattr(spec, field) not in (None, getattr(_DEFAULTS, field), _NONE.get(field)):
            raise NotSupported(f"{title} does not take {WORDS[field]}.", hint="Leave it out.", field=field)
