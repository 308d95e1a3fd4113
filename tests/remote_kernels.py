"""Kernels as other people's machines have them: a plain ipykernel over TCP, and one in a Jupyter server."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import zmq

from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint, ZmqEndpoint
from tests.ports import free_port, wait_for_port

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class PlainKernel:
    """An ipykernel at TCP ports; another one may follow it there."""

    def __init__(self, folder: Path, *, curve: bool = False) -> None:
        self._file = folder / "kernel.json"
        self._log = folder / "kernel.log"
        keys = dict[str, str]()
        if curve:
            public, secret = zmq.curve_keypair()
            keys = {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
        ports = {f"{channel}_port": free_port() for channel in CHANNELS}
        where = {"transport": "tcp", "ip": "127.0.0.1", "key": secrets.token_hex(16)}
        self.endpoint = ZmqEndpoint(**where, **ports, **keys)
        scheme = {"signature_scheme": "hmac-sha256", "kernel_name": ""}
        self._file.write_text(json.dumps(where | ports | keys | scheme))
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", str(self._file)]
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=_environment(), start_new_session=True
            )
        wait_for_port(self.endpoint.iopub_port, self.process)

    def end(self) -> None:
        end(self.process)


class JupyterServer:
    """A plain jupyter_server with a token, without this package's extension; it can be started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.token = secrets.token_hex(16)
        self._folder = folder
        self._options = options
        self.endpoint = JupyterEndpoint(
            url=f"http://127.0.0.1:{self.port}/inner/", headers={"Authorization": f"token {self.token}"}
        )
        self.start()

    def start(self) -> None:
        command = [
            sys.executable, "-m", "jupyter_server", f"--port={self.port}", "--port-retries=0", "--no-browser",
            "--ServerApp.base_url=/inner/", f"--ServerApp.root_dir={self._folder}", "--allow-root",
            "--KernelRestarter.time_to_dead=0.3", "--ServerApp.jpserver_extensions={'jupyter_sessions': False}",
            *self._options,
        ]  # fmt: skip
        with open(self._folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=_environment(JUPYTER_TOKEN=self.token),
                start_new_session=True,
            )
        wait_for_port(self.port, self.process)

    def ask(self, method: str, path: str) -> Any:
        url, headers = self.endpoint.url + path, self.endpoint.headers
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=30).json()

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it; a killed one leaves its kernels, which end by themselves."""
        end(self.process, number)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
    try:
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def plain_kernel(folder: Path, *, curve: bool = False) -> Iterator[PlainKernel]:
    made = PlainKernel(folder, curve=curve)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def jupyter_server(folder: Path, *options: str) -> Iterator[JupyterServer]:
    made = JupyterServer(folder, *options)
    try:
        yield made
    finally:
        made.end()


def _environment(**more: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "JPY_PARENT_PID"} | more
