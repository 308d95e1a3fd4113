"""The plug-ins of jupyter-server-proxy in one Python environment: lists them, and starts one.

Runs in the interpreter that has the plug-ins, which need not have this package or jupyter-server-proxy, so it imports
nothing but the standard library of Python 3.8. Usage:

    python service_plugins.py list
    python service_plugins.py start NAME PORT UNIX_SOCKET BASE_URL [ARGUMENT ...]

`list` prints JSON: {"services": {name: description}, "paths": [folders that were searched]}. `start` becomes the
plug-in's command. Source: jupyter-server-proxy 4.4, "Server Process options".
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from importlib import metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GROUP = "jupyter_serverproxy_servers"
REFUSED = {
    "rewrite_response": "rewrites responses (rewrite_response)",
    "mappath": "maps paths (mappath)",
    "raw_socket_proxy": "passes raw sockets through a WebSocket (raw_socket_proxy)",
}
"""Options that change what passes the proxy, with the words for people."""


def describe(options: Any) -> dict[str, Any]:
    """Return what a service's options say about it, without calling anything in them; `refused` says why it cannot run."""
    if not isinstance(options, dict):
        return {"refused": "gives no dictionary of options"}
    launcher = options.get("launcher_entry") or {}
    found = {
        "title": launcher.get("title"),
        "icon_path": launcher.get("icon_path"),
        "path": launcher.get("path_info"),
        "new_browser_tab": options.get("new_browser_tab"),
        "absolute_url": options.get("absolute_url"),
        "unix_socket": bool(options.get("unix_socket")),
        "timeout": options.get("timeout"),
        "request_headers": options.get("request_headers_override"),
    }
    for name, words in REFUSED.items():
        if options.get(name):
            found["refused"] = words
    if not options.get("command"):
        found["refused"] = "has no command, but names a port on which something listens already"
    return {name: value for name, value in found.items() if value is not None}


def plugins() -> list[Any]:
    """Return the entry points of all installed plug-ins."""
    found = metadata.entry_points()
    if hasattr(found, "select"):
        return list(found.select(group=GROUP))
    return list(found.get(GROUP, ()))  # Python 3.8 and 3.9.


def package(plugin: Any) -> str:
    """Return the name and version of the package that a plug-in comes from."""
    dist = getattr(plugin, "dist", None)
    return f"{dist.metadata['Name']} {dist.version}" if dist else plugin.value


def described(plugin: Any) -> dict[str, Any]:
    """Load a plug-in and describe its service."""
    try:
        found = describe(plugin.load()())
        json.dumps(found)
    except BaseException as error:  # Whatever a plug-in does, it harms no other.
        return {"refused": f"cannot be loaded: {type(error).__name__}: {error}", "package": package(plugin)}
    return {**found, "package": package(plugin)}


def start(name: str, port: str, unix_socket: str, base_url: str, *arguments: str) -> None:
    """Become the command of a plug-in's service."""
    values = {"port": int(port), "unix_socket": unix_socket, "base_url": base_url}
    options = next(plugin for plugin in plugins() if plugin.name == name).load()()
    command = realize(options["command"], values)
    environment = realize(options.get("environment") or {}, values)
    os.environ.update({key: str(value) for key, value in environment.items()})
    sys.stdout.flush()
    os.execvp(command[0], [*map(str, command), *arguments])  # noqa: S606


def realize(value: Any, values: dict[str, Any]) -> Any:
    """Return a value with its functions called and its placeholders filled in."""
    if callable(value):
        asked = inspect.signature(value).parameters
        value = value(**{name: values[name] for name in values if name in asked})
    if isinstance(value, str):
        return value.format(**values)
    if isinstance(value, dict):
        return {realize(key, values): realize(one, values) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [realize(one, values) for one in value]
    return value


def main() -> None:
    """Do what the command line says."""
    verb, *arguments = sys.argv[1:]
    if verb == "start":
        start(*arguments)
        return
    out = os.dup(1)
    os.dup2(2, 1)  # A plug-in that prints does not spoil the answer.
    found = {"services": {plugin.name: described(plugin) for plugin in plugins()}, "paths": sys.path[1:]}
    with os.fdopen(out, "w") as answer:
        json.dump(found, answer)


if __name__ == "__main__":
    main()
