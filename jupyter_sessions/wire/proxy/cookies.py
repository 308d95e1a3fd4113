"""Cookies across the proxy: the server's own stay out, a service's stay within its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .credentials import ServerCredentials

# Browsers take a "__Host-" cookie only with Path=/, which a service must not have. Its cookies of
# that kind travel under this name; a real "__Host-" cookie in a request is somebody else's.
_HOST = "__host-"
_HOST_ALIAS = "__Secure-service-host."


def upward(pairs: Iterable[tuple[str, str]], credentials: ServerCredentials) -> str:
    """The Cookie header for the service; empty if nothing is left."""
    kept = []
    for name, value in pairs:
        if not name or name.lower().startswith(_HOST) or credentials.owns_cookie(name):
            continue
        if not credentials.occur_in(f"{name}={value}"):
            kept.append(f"{_restored(name)}={value}")
    return "; ".join(kept)


def _restored(name: str) -> str:
    return "__Host-" + name[len(_HOST_ALIAS) :] if name.startswith(_HOST_ALIAS) else name


def downward(line: str, prefix: str, credentials: ServerCredentials) -> str | None:
    """A service's Set-Cookie line for the browser, confined to `prefix`; None if it must not pass.

    A cookie without a name is refused: `=_xsrf=x` would come back as `_xsrf=x`.
    """
    pair, *attributes = line.split(";")
    name, equals, value = pair.partition("=")
    name = name.strip()
    if not name or not equals or credentials.owns_cookie(name):
        return None
    if name.lower().startswith(_HOST):
        name = _HOST_ALIAS + name[len(_HOST) :]
    path = prefix
    kept = [f"{name}={value.strip()}"]
    for attribute in (item.strip() for item in attributes):
        key, _, setting = attribute.partition("=")
        match key.strip().lower():
            case "domain" | "":
                pass
            case "path":
                path = _confined(setting.strip(), prefix)
            case _:
                kept.append(attribute)
    return "; ".join([*kept, f"Path={path}"])


def _confined(path: str, prefix: str) -> str:
    return path if path.startswith(prefix) else prefix
