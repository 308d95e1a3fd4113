"""Which module has which verb, so that a shell imports only the verb that was typed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache

from jupyter_sessions.commands.verb import Verb

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "Sessions": {
        "create": ("create", "start"),
        "run": ("run",),
        "ps": ("ps", "list", "admin session list"),
        "info": ("info",),
        "waits": ("wait",),
        "ends": ("rm", "terminate", "destroy", "kill", "prune"),
        "specs": ("spec",),
        "changes": ("restart", "renew", "rename"),
    },
    "What they run": {
        "logs": ("logs",),
        "history": ("events",),
        "outputs": ("output",),
        "services": ("services", "open"),
        "notebook": ("use", "attach"),
        "console": ("console",),
        "files": ("upload", "download", "ls"),
    },
    "What there is": {"overview": ("stats", "images", "sizes", "folders", "presets")},
    "Kernels": {"kernels": ("kernel add", "kernel list", "kernel rm")},
    "Backends": {
        "backends": ("backend list", "backends", "backend add", "backend rm", "backend takeover"),
        "signing_in": ("login", "logout"),
        "keys": ("env", "keys add", "keys list", "keys rm"),
        "settings": ("config",),
        "manager": ("manager status", "manager restart"),
        "shell_completion": ("completion", "complete"),
        "uninstall": ("uninstall",),
    },
}
"""Names and aliases of the verbs, by the heading of the help and by module."""

_MODULES = {name: module for group in GROUPS.values() for module, names in group.items() for name in names}
NAMES = tuple(_MODULES)
"""All names and aliases."""


@cache
def verb(name: str) -> Verb:
    """Return a verb by its name or an alias."""
    return next(one for one in _verbs(_MODULES[name]) if name in (one.name, *one.aliases))


def listed() -> dict[str, list[Verb]]:
    """Return all verbs by the headings of the help."""
    return {head: [one for module in group for one in _verbs(module)] for head, group in GROUPS.items()}


@cache
def _verbs(module: str) -> Iterable[Verb]:
    found: tuple[Verb, ...] = importlib.import_module(f"jupyter_sessions.commands.{module}").VERBS
    return found
