"""A relay alone, with real clients and a real kernel, and what they hear."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient
from msgspec import structs

from jupyter_sessions.channels.backlog import Backlog
from jupyter_sessions.channels.relay import Relay
from jupyter_sessions.channels.relay_addresses import CHANNELS, front_of
from jupyter_sessions.channels.relay_targets import ZmqBackEnd
from jupyter_sessions.channels.unanswered import UnansweredRequest
from tests.processes import until_ready
from tests.waiting import wait_until

KEY = "a key"
INFO = {"status": "ok", "protocol_version": "5.4", "implementation": "x", "language_info": {"name": "python"}}
WAITS = "It is waiting for 1 GPU."
Messages = list[tuple[str, dict[str, Any]]]


class Scene:
    """A relay without a kernel, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[tuple[str, bool]] = []
        self.relay = self.new_relay()

    def new_relay(self, earlier: Sequence[UnansweredRequest] = ()) -> Relay:
        """One at the same addresses, which goes on with what is not answered."""
        back, backlog = ZmqBackEnd(str(self.folder / "k")), Backlog(self.folder / "waiting")
        told = lambda request, owner: self.told.append((request, owner))  # noqa: E731
        return Relay(str(self.folder / "f"), KEY.encode(), back, told, backlog=backlog, earlier=earlier)

    @contextmanager
    def client(self, *, owner: bool = False) -> Iterator[BlockingKernelClient]:
        """A client that has heard somebody on shell and iopub."""
        client = BlockingKernelClient()
        info = structs.asdict(front_of(str(self.folder / "f"), KEY, owner=owner))
        client.load_connection_info(info | {"key": KEY.encode()})
        try:
            until_ready(client, 20)
            yield client
        finally:
            client.stop_channels()

    @contextmanager
    def kernel(self) -> Iterator[subprocess.Popen[bytes]]:
        """A kernel in its place, which listens already."""
        file = self.folder / "kernel.json"
        ports = {f"{name}_port": port for name, port in CHANNELS.items()}
        scheme = {"transport": "ipc", "ip": str(self.folder / "k"), "signature_scheme": "hmac-sha256"}
        file.write_text(json.dumps({**ports, **scheme, "key": KEY}))
        process = subprocess.Popen([sys.executable, "-m", "ipykernel_launcher", "-f", str(file)])
        try:
            wait_until((self.folder / "k-1").exists)
            yield process
        finally:
            process.kill()
            process.wait()


def heard(client: BlockingKernelClient, uid: str, last: str, seconds: float = 30) -> Messages:
    """What comes on iopub for a request, up to a message of that type (or status)."""
    found: Messages = []
    while not found or last not in (found[-1][0], found[-1][1].get("execution_state")):
        message = client.get_iopub_msg(timeout=seconds)
        if message["parent_header"].get("msg_id") == uid:
            found.append((message["msg_type"], message["content"]))
    return found


def replied(client: BlockingKernelClient, uid: str) -> dict[str, Any]:
    while (message := client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != uid:
        pass
    return dict(message["content"])
