"""A real JupyterHub without a domain for each user: `victim` has Jupyter, `neighbour` a server of their own making.

The hub is in a virtual environment of its own, its proxy is the one that npm has; both are made once and
kept (see `venvs`). The victim's server runs on the interpreter of the tests, with this package.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from jupyter_sessions.wire.places import STATE_VARIABLE
from tests.interop.venvs import JUPYTERHUB, node_package
from tests.ports import free_port, wait_for_port

PASSWORD = "hub"
VICTIM, NEIGHBOUR = "victim", "neighbour"
_PROXY = ("configurable-http-proxy", "5.3.0")
_SINGLE_USER = """
import site, sys
site.addsitedir({site!r})  # Last on the path: all but JupyterHub comes from where the tests run.
from jupyterhub.singleuser import main
sys.exit(main())
"""
# What the neighbour serves: any server may answer whatever its owner likes to whoever comes.
_NEIGHBOUR = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>neighbour</title><p>Hello")

    do_POST = do_GET

where = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
HTTPServer((where.hostname, where.port), Page).serve_forever()
"""


@dataclass
class Hub:
    """The hub that runs. `token` may do everything; `url` ends with a slash."""

    url: str
    token: str
    folder: Path

    def server(self, user: str) -> str:
        """The URL of a user's server, with a slash at its end."""
        return f"{self.url}user/{user}/"

    def ask(self, method: str, url: str, **more: object) -> httpx.Response:
        """A request with the token."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, url, headers=headers, timeout=60, trust_env=False, **more)  # type: ignore[arg-type]

    def start(self, user: str) -> None:
        """Start the server of a new user, and wait until the hub says that it is ready."""
        self.ask("POST", f"{self.url}hub/api/users/{user}").raise_for_status()
        self.ask("POST", f"{self.url}hub/api/users/{user}/server").raise_for_status()
        self.wait(lambda: bool(self.ask("GET", f"{self.url}hub/api/users/{user}").json()["server"]))

    def wait(self, condition: Callable[[], bool]) -> None:
        """Return once a condition holds."""
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def log(self) -> str:
        """The end of what hub and servers have printed."""
        return (self.folder / "hub.log").read_text(errors="replace")[-8000:]


@contextmanager
def running(folder: Path, state: Path) -> Iterator[Hub]:
    """A hub with both servers; all its processes end with it. `state` is that of the victim's sessions."""
    hub = Hub(f"http://127.0.0.1:{free_port()}/", secrets.token_hex(16), folder)
    config = folder / "jupyterhub_config.py"
    config.write_text(_config(hub, state))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")}
    with (folder / "hub.log").open("ab") as log:
        process = subprocess.Popen(
            [JUPYTERHUB.program("jupyterhub"), "-f", str(config)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=environment | {"CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16)},
        )
    try:
        wait_for_port(int(hub.url.rpartition(":")[2].strip("/")), process)
        hub.wait(lambda: hub.ask("GET", f"{hub.url}hub/api").status_code == 200)
        for user in (VICTIM, NEIGHBOUR):
            hub.start(user)
        yield hub
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the hub, and what it leaves behind if it had only begun to start."""
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    process.wait(30)
    for left in below:
        with suppress(psutil.NoSuchProcess):
            left.kill()


def _config(hub: Hub, state: Path) -> str:
    """The configuration: all may log in, with one password, and each has a home folder."""
    programs = {VICTIM: _SINGLE_USER.format(site=JUPYTERHUB.site_packages()), NEIGHBOUR: _NEIGHBOUR}
    commands = {}
    for user, program in programs.items():
        (hub.folder / user).mkdir()
        file = hub.folder / f"{user}.py"
        file.write_text(program)
        commands[user] = [sys.executable, str(file)]
    proxy = ["node", str(node_package(*_PROXY) / "bin" / "configurable-http-proxy")]
    environment = {STATE_VARIABLE: str(state), "JUPYTER_PREFER_ENV_PATH": "1"}
    options: dict[str, object] = {
        "JupyterHub.bind_url": hub.url,
        "JupyterHub.hub_port": free_port(),
        "JupyterHub.authenticator_class": "dummy",
        "JupyterHub.spawner_class": "simple",
        "JupyterHub.db_url": "sqlite:///:memory:",
        "JupyterHub.cleanup_servers": True,
        "JupyterHub.services": [{"name": "tests", "api_token": hub.token}],
        "JupyterHub.load_roles": [
            {
                "name": "tests",
                "services": ["tests"],
                "scopes": ["admin:users", "admin:servers", "access:servers"],
            }
        ],
        "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{free_port()}",
        "ConfigurableHTTPProxy.command": proxy,
        "Authenticator.allow_all": True,
        "DummyAuthenticator.password": PASSWORD,
        "SimpleLocalProcessSpawner.home_dir_template": f"{hub.folder}/{{username}}",
        "Spawner.args": ["--allow-root"] if os.geteuid() == 0 else [],
        "Spawner.default_url": "/lab",
        "Spawner.environment": environment,
        "Spawner.http_timeout": 90,
    }
    lines = [f"c.{name} = {value!r}" for name, value in options.items()]
    lines += [
        f"commands = {json.dumps(commands)}",
        "c.Spawner.pre_spawn_hook = lambda spawner: setattr(spawner, 'cmd', commands[spawner.user.name])",
    ]
    return "\n".join(lines) + "\n"
