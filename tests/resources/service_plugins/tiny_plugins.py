"""Plug-ins of jupyter-server-proxy in all forms: each function returns a service's options."""

import os
import sys

HERE = os.path.join(os.path.dirname(__file__), "tiny_server.py")


def by_port():
    """A service on a port that sees itself at the root."""
    return {
        "command": [sys.executable, HERE, "--port={port}"],
        "environment": {"TINY_BASE": "{base_url}"},
        "timeout": 30,
        "request_headers_override": {"X-Tiny": "{port}"},
        "new_browser_tab": False,
        "launcher_entry": {"title": "Tiny one", "path_info": "hello?a=1", "icon_path": HERE},
    }


def by_socket():
    """A service on a unix socket that sees itself below the server's base URL, with a function for its command."""

    def command(unix_socket, base_url):
        return [sys.executable, HERE, f"--socket={unix_socket}", f"--prefix={base_url}by-socket"]

    return {
        "command": command,
        "environment": lambda base_url: {"TINY_BASE": base_url},
        "unix_socket": True,
        "absolute_url": True,
    }


def dying():
    """A service that ends at once, and says why."""
    return {"command": [sys.executable, "-c", "raise SystemExit('no licence for {port}')"]}


def slow():
    """A service that takes a while."""
    return {
        "command": ["sh", "-c", f"echo warming up; sleep 3; exec {sys.executable} {HERE} --port={{port}}"]
    }


def rewriting():
    """A service that wants its responses rewritten."""
    return {"command": ["true"], "rewrite_response": lambda response: response}


def mapping():
    """A service that wants paths mapped."""
    return {"command": ["true"], "mappath": {"/a": "/b"}}


def raw():
    """A service that is no web server."""
    return {"command": ["true"], "raw_socket_proxy": True}


def unmanaged():
    """A port on which something listens already."""
    return {"port": 5, "command": []}


def broken():
    """A plug-in that fails, and prints."""
    print("not JSON")  # noqa: T201
    raise RuntimeError("no such program: tiny")
