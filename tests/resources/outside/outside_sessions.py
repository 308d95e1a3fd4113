"""A backend of an author from outside: the four methods and `kernel_endpoint`, in one module.

Its sessions are processes: an ipykernel at TCP ports, or with the option `server` a Jupyter server. What is known of
them is in files below the option `folder`, so that each process sees the same. They begin to start after `delay`.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psutil

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint, ZmqEndpoint
from jupyter_sessions.errors import NotRunning, NotSupported, SessionNotFound
from jupyter_sessions.model import SessionInfo, in_group

LATER = "import runpy, sys, time; time.sleep(float(sys.argv.pop(1))); runpy.run_module(sys.argv.pop(1), run_name='__main__')"
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")

PROCESSES = {}
"""Those that this process has started, to be waited for."""


class Outside(Backend):
    type = "outside"
    poll_seconds = 0.5

    async def list(self, query):
        found = [self._row(json.loads(path.read_text())) for path in self._folder().glob("*.session")]
        rows = sorted(
            (row for row in found if in_group(row.status, query.status)),
            key=lambda row: (row.status_changed, row.id),
            reverse=True,
        )
        return rows[query.offset :][: query.limit]

    async def get(self, id):
        return self._row(self._read(id))

    async def create(self, spec):
        uid, delay = str(uuid4()), float(self.options.get("delay", 0))
        ports = {f"{channel}_port": free_port() for channel in CHANNELS}
        secret = secrets.token_hex(16)
        if self.options.get("server"):
            port = ports["shell_port"]
            words = ["jupyter_server", f"--port={port}", "--port-retries=0", "--allow-root", "--no-browser"]
            words += [
                f"--ServerApp.root_dir={self._folder()}",
                "--ZMQChannelsWebsocketConnection.limit_rate=False",
            ]
        else:
            where = {"transport": "tcp", "ip": "127.0.0.1", "key": secret, "signature_scheme": "hmac-sha256"}
            file = self._folder() / f"{uid}.json"
            file.write_text(json.dumps(where | ports))
            words = ["ipykernel_launcher", "-f", str(file)]
        with open(self._folder() / f"{uid}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", LATER, str(delay), *words],
                stdout=log, stderr=log, env=spec.environment() | {"JUPYTER_TOKEN": secret}, start_new_session=True,
            )  # fmt: skip
        PROCESSES[uid] = process
        now = datetime.now(UTC)
        self._write({
            "id": uid, "name": spec.name, "image": spec.image or "python3", "type": spec.type, "pid": process.pid,
            "created": now.isoformat(), "starts": (now + timedelta(seconds=delay)).isoformat(),
            "ports": ports, "secret": secret,
        })  # fmt: skip
        return await self.get(uid)

    async def destroy(self, id, *, forced=False, recursive=False):
        known = self._read(id)
        with suppress(ProcessLookupError):
            os.killpg(known["pid"], signal.SIGKILL)
        if id in PROCESSES:
            PROCESSES.pop(id).wait()
        self._write({"ended": datetime.now(UTC).isoformat(), **known})
        return await self.get(id)

    async def kernel_endpoint(self, id):
        row, known = await self.get(id), self._read(id)
        if row.status != "RUNNING":
            raise NotRunning(f"The session '{row.name}' is {row.status}.", hint="Wait until it runs.")
        if self.options.get("kernels") is False:
            raise NotSupported(f"The session '{row.name}' has no kernel.")
        if self.options.get("server"):
            url = f"http://127.0.0.1:{known['ports']['shell_port']}/"
            return JupyterEndpoint(url=url, headers={"Authorization": f"token {known['secret']}"})
        return ZmqEndpoint(transport="tcp", ip="127.0.0.1", key=known["secret"], **known["ports"])

    def _folder(self):
        return Path(self.options["folder"])

    def _read(self, id):
        try:
            return json.loads((self._folder() / f"{id}.session").read_text())
        except OSError:
            raise SessionNotFound(f"There is no session '{id}' on {self.title}.", field="session") from None

    def _write(self, known):
        path = self._folder() / f"{known['id']}.session"
        path.with_suffix(".new").write_text(json.dumps(known))
        path.with_suffix(".new").replace(path)

    def _row(self, known):
        starts, now = datetime.fromisoformat(known["starts"]), datetime.now(UTC)
        ended = known.get("ended") or (None if alive(known["pid"]) else known["starts"])
        status = "TERMINATED" if ended else "RUNNING" if now >= starts else "PENDING"
        since = {"TERMINATED": ended, "RUNNING": known["starts"], "PENDING": known["created"]}[status]
        return SessionInfo(
            backend=self.name, id=known["id"], name=known["name"], image=known["image"], type=known["type"],
            status=status, status_info="queued behind others" if status == "PENDING" else "",
            resources={}, services=[], created_at=datetime.fromisoformat(known["created"]),
            status_changed=datetime.fromisoformat(since),
        )  # fmt: skip


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port():
    """Below those that systems give to connections, one of which might take it before the kernel does."""
    for port in random.sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
