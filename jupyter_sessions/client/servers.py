"""This user's Jupyter servers on this machine, called with the tokens in the files that they write.

Source: `jpserver-PID.json` of jupyter_server 2.21. A server with a password, or behind a hub, writes no token and
cannot be called in this way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from jupyter_core.paths import jupyter_runtime_dir

from jupyter_sessions import errors
from jupyter_sessions.backends.files import is_private
from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.client.streams import refused
from jupyter_sessions.wire import untrusted
from jupyter_sessions.wire.encoding import encoded
from jupyter_sessions.wire.log_redaction import QuietClient
from jupyter_sessions.wire.unix_http import unix_transport

_SECONDS = 30.0
_NO_SUCH_ROUTE = 404


class Running(msgspec.Struct, frozen=True):
    """The relevant part of a server's file."""

    pid: int
    url: str
    token: str = ""
    sock: str = ""
    base_url: str = "/"

    def __repr__(self) -> str:
        return f"Running({self.url!r})"


def running() -> list[Running]:
    """Return the servers that run and accept their token."""
    return [server for server in _files() if server.token and _listens(server)]


def _listens(server: Running) -> bool:
    """Return whether a process of this user listens where the file says.

    Files outlive servers that were killed, and machines may share a home: by now the pid may belong to another
    process, or another process may listen in the server's place.
    """
    import psutil  # Takes 10 ms, and only signing in needs it.

    try:
        process, port = psutil.Process(server.pid), urlsplit(server.url).port
        if sys.platform != "win32" and process.uids().real != os.getuid():
            return False
        found = process.net_connections("unix" if server.sock else "tcp")
    except (psutil.Error, ValueError):
        return False
    if server.sock:
        return any(str(one.laddr) == server.sock for one in found)
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)


def _files() -> Iterator[Running]:
    for path in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            if is_private(path):
                yield untrusted.read(path.read_bytes(), Running)
        except (OSError, ValueError):
            continue


async def sign_in(backend: str, given: Credentials) -> list[str]:
    """Sign in on each server that has the backend, and return the servers' addresses.

    Errors: those of the servers, if none accepts the credentials; NotSupported if none has the backend.
    """
    answers = await _each("POST", backend, {"method": given.method, "values": given.values})
    if done := [url for url, error in answers.items() if error is None]:
        return done
    for error in answers.values():
        if error is not None and not isinstance(error, errors.NotReached):
            raise error
    raise errors.NotSupported(
        f"No Jupyter server of yours that runs here has the backend '{backend}'.",
        hint="Add `--save` to keep the credentials in a file that only you can read.",
    )


async def sign_out(backend: str) -> list[str]:
    """Sign out on each server, and return the addresses of those where that failed."""
    answers = await _each("DELETE", backend, None)
    return [url for url, error in answers.items() if error is not None]


async def _each(method: str, backend: str, body: object) -> dict[str, errors.SessionError | None]:
    """Send a request to each server that has, or may have, the backend, and return its error or None, by address."""
    answers: dict[str, errors.SessionError | None] = {}
    for server in filter(_listens, _files()):
        try:
            answers[server.url] = await _asked(server, method, backend, body)
        except errors.NotFound:
            continue
    return answers


async def _asked(server: Running, method: str, backend: str, body: object) -> errors.SessionError | None:
    """Send a request to a server, and return its error or None. Errors: NotFound if it has no such backend."""
    not_reached = errors.NotReached(f"{server.url} cannot be reached.", hint="Sign in or out there.")
    if not server.token:
        return not_reached
    try:
        response = await _send(server, method, backend, body)
    except (httpx.HTTPError, httpx.InvalidURL):
        return not_reached
    if response.status_code == _NO_SUCH_ROUTE:
        raise errors.NotFound(f"{server.url} has no backend '{backend}'.")
    return None if response.is_success else refused(response.status_code, response.content)


async def _send(server: Running, method: str, backend: str, body: object) -> httpx.Response:
    transport = unix_transport(server.sock) if server.sock else None
    path = f"jupyter-sessions/backends/{quote(backend, safe='')}/sign-in"
    async with QuietClient(transport=transport, timeout=_SECONDS, trust_env=False) as http:
        return await http.request(
            method,
            (f"http://localhost{server.base_url}" if server.sock else server.url) + path,
            content=None if body is None else encoded(body),
            headers={"Authorization": f"token {server.token}", "Content-Type": "application/json"},
        )
