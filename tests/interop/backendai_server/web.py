"""The vendor's web server, on which people sign in with user name and password."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.interop.backendai_server import texts
from tests.interop.backendai_server.server import Server
from tests.interop.venvs import Venv
from tests.ports import free_port

_PINS = ("typing-extensions==4.12.2", "typeguard==4.4.2", "aiohttp-sse==2.2.0", "aiohttp-cors==0.7.0")
_PINS += ("attrs==25.1.0", "multidict==6.1.0", "cryptography==44.0.1", "etcd-client-py==0.4.0")
_PINS += ("hiredis==3.1.0", "setuptools==75.1.0")
ENVIRONMENT = Venv("3.12", ("backend.ai-webserver==25.5.2", *_PINS))


@contextmanager
def signing_in(server: Server, folder: Path) -> Iterator[str]:
    """The URL of a web server before a manager."""
    port = free_port()
    path = texts.write_web(folder, server.endpoint, server.ports.redis, port)
    url = f"http://127.0.0.1:{port}"
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [ENVIRONMENT.program("backend.ai"), "web", "start-server", "-f", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/func/", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("The web server did not start.")
