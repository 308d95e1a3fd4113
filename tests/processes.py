"""Jupyter servers and kernels as processes of their own, for tests of what people really run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from jupyter_sessions.wire.access import VARIABLE, ServerInfo
from jupyter_sessions.wire.places import STATE_VARIABLE
from tests.waiting import wait_until

TOKEN = "token-of-the-test-server"
QUICKLY = "--KernelRestarter.time_to_dead=0.3"
"""An option of a server that looks more often whether a kernel is dead."""


def environment(state: Path, folder: Path, **more: str) -> dict[str, str]:
    """An environment with Jupyter's folders in `folder`, and that state folder."""
    names = ("CONFIG", "DATA", "RUNTIME")
    for name in names:
        (folder / name.lower()).mkdir(parents=True, exist_ok=True, mode=0o700)
    base = {key: value for key, value in os.environ.items() if key != VARIABLE}
    folders = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in names}
    return base | folders | {STATE_VARIABLE: str(state)} | more


@dataclass
class Server:
    """A running Jupyter server with the extension."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    env: dict[str, str]
    info: dict[str, Any]

    @property
    def access_file(self) -> Path:
        """The file that the extension writes for kernels."""
        return self.folder / "runtime" / f"jupyter_sessions-server-{self.process.pid}.json"

    @property
    def own(self) -> dict[str, str]:
        """The header with the server's own token."""
        return {"Authorization": f"token {TOKEN}"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of an answer of the server; `path` is below its root."""
        url = self.info["url"] + path
        response = httpx.request(method, url, json=body, headers=self.own, timeout=60, trust_env=False)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def running(self, name: str, **spec: Any) -> dict[str, Any]:
        """A session that runs."""
        small = {"name": name, "image": "python", "resources": {"cpu": "0.5", "mem": "256m"}}
        row = self.ask("POST", "jupyter-sessions/sessions", small | spec)
        wait_until(lambda: self.session(row)["status"] == "RUNNING", why=lambda: self.session(row))
        return self.session(row)

    def session(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row of a session as it is now."""
        return dict(self.ask("GET", f"jupyter-sessions/sessions/{row['backend']}/{row['id']}"))

    def run(self, row: dict[str, Any], code: str) -> str:
        """What code prints in a session."""
        url = f"{self.info['url']}jupyter-sessions/sessions/{row['backend']}/{row['id']}/execute"
        text = httpx.post(url, json={"code": code}, headers=self.own, timeout=60, trust_env=False).text
        outputs = [json.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"kind')]
        return "".join(output["content"].get("text", "") for output in outputs)

    def stop(self) -> None:
        """Stop it as a person does."""
        self.process.terminate()
        self.process.wait(30)

    @contextmanager
    def shell(self) -> Iterator[Shell]:
        """A kernel of this server."""
        uid = self.ask("POST", "api/kernels", {"name": "python3"})["id"]
        client = BlockingKernelClient(connection_file=str(self.folder / "runtime" / f"kernel-{uid}.json"))
        client.load_connection_file()
        until_ready(client, 60)
        yield Shell(client, lambda: self.ask("POST", f"api/kernels/{uid}/interrupt"))
        client.stop_channels()
        self.ask("DELETE", f"api/kernels/{uid}")


def until_ready(client: BlockingKernelClient, seconds: float) -> None:
    """Start the channels and wait for a kernel, which under load may take longer than a second to begin.

    How long it may be silent counts from the first heartbeat on, so that is set before.
    """
    client.hb_channel.time_to_dead = seconds
    if not client.channels_running:
        client.start_channels()
    client.wait_for_ready(seconds)


@contextmanager
def server(
    state: Path,
    folder: Path,
    *options: str,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A Jupyter server; `folder` gets its Jupyter folders, its root folder and its log."""
    (folder / "root").mkdir(parents=True, exist_ok=True)
    given = environment(state, folder, **(env or {}))
    log = folder / "server.log"
    process = start_server(given, folder, log, *options, python=python)
    made = Server(process, folder, log, given, {})
    try:
        wait_until(made.access_file.exists, why=log.read_text, process=process)
        made.info = json.loads((folder / "runtime" / f"jpserver-{process.pid}.json").read_text())
        yield made
    finally:
        if process.poll() is None:
            made.stop()


def start_server(
    env: dict[str, str], folder: Path, log: Path, *options: str, python: str = sys.executable
) -> subprocess.Popen[bytes]:
    """The process of a Jupyter server with our extension and no other."""
    usual = {"ServerApp.ip": "127.0.0.1", "ServerApp.port": "0", "IdentityProvider.token": TOKEN}
    if any(option.startswith("--ServerApp.sock=") for option in options):
        usual = {"IdentityProvider.token": TOKEN}
    given = "".join(options)
    command = [
        python,
        "-m",
        "jupyter_server",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.root_dir={folder / 'root'}",
    ]
    command += [f"--{name}={value}" for name, value in usual.items() if f"--{name}=" not in given]
    command += [
        f"--ServerApp.jpserver_extensions={name}=False"
        for name in ("jupyterlab", "jupyter_lsp", "notebook_shim")
    ]
    command += ["--ServerApp.jpserver_extensions=jupyter_sessions=True", *options]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env=env, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )


@contextmanager
def kernel(state: Path, folder: Path, access: Path | None = None, **env: str) -> Iterator[Shell]:
    """A kernel without a server, or with the way to one that did not start it."""
    given = environment(state, folder, **env) | ({VARIABLE: str(access)} if access else {})
    manager, client = start_new_kernel(kernel_name="python3", env=given, cwd=str(folder))
    yield Shell(client, manager.interrupt_kernel)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@dataclass
class Ran:
    """What came of a cell: messages with the moments they came, and the reply."""

    messages: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All that was printed, and the plain text of what was shown."""
        parts = [
            content.get("text") or content.get("data", {}).get("text/plain", "")
            for _, _, content in self.messages
        ]
        return "".join(parts)

    @property
    def html(self) -> str:
        """All HTML that was shown."""
        return "".join(content.get("data", {}).get("text/html", "") for _, _, content in self.messages)

    @property
    def error(self) -> str:
        """The traceback as a person reads it, without colours; empty if all went well."""
        return "\n".join(self.reply.get("traceback", []))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Contents of all messages of a kind."""
        return [content for _, name, content in self.messages if name == kind]


@dataclass
class Shell:
    """A kernel in which a person types."""

    client: Any
    interrupt: Callable[[], object]

    def run(
        self,
        code: str,
        *,
        answers: tuple[str | Callable[[], object], ...] = (),
        on_text: dict[str, Callable[[], object]] | None = None,
    ) -> Ran:
        """Run a cell; answer its questions, or react otherwise; call `on_text[part]` once that has been printed."""
        ran, left, reactions = Ran(), list(answers), dict(on_text or {})

        def hear(message: dict[str, Any]) -> None:
            ran.messages.append((time.monotonic(), message["header"]["msg_type"], message["content"]))
            for part in [part for part in reactions if part in ran.text]:
                reactions.pop(part)()

        def ask(message: dict[str, Any]) -> None:
            ran.messages.append((time.monotonic(), "input_request", message["content"]))
            answer = left.pop(0)
            answer() if callable(answer) else self.client.input(answer)

        reply = self.client.execute_interactive(
            code, allow_stdin=True, output_hook=hear, stdin_hook=ask, timeout=60
        )
        ran.reply = reply["content"]
        return ran

    def complete(self, code: str) -> list[str]:
        """What is offered at the end of the code."""
        return list(self.completions(code))

    def completions(self, code: str) -> dict[str, str]:
        """What is offered, each with its type."""
        content = self.client.complete(code, reply=True, timeout=30)["content"]
        types = content["metadata"].get("_jupyter_types_experimental", [])
        return dict.fromkeys(content["matches"], "") | {one["text"]: one["type"] for one in types}


def read_access(made: Server) -> ServerInfo:
    """What the server's file says."""
    import msgspec

    return msgspec.json.decode(made.access_file.read_bytes(), type=ServerInfo)
