"""This machine: starts the session manager on first use, finds it again, and speaks its API."""

from __future__ import annotations

import asyncio
import builtins
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.backends.backendai.backend import BackendAI
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.base import Query
from jupyter_sessions.errors import BackendUnavailable, NotSupported
from jupyter_sessions.model import (
    GPU_SLOT,
    Endpoint,
    Image,
    KernelConnection,
    ProcessId,
    SessionInfo,
    SessionSpec,
    format_slots,
    parse_slots,
)
from jupyter_sessions.wire.environment import Specs, clean_environ
from jupyter_sessions.wire.front import front_of
from jupyter_sessions.wire.places import PROTOCOL, Contact, Place, place

START_SECONDS = 30.0
_LOOK_SECONDS = 1.0
_DEFAULT_CPUS = 4
_MEMORY_STEP = 128 * 1024**2
_OF_OTHERS = {
    "mount_map": "mounted folders",
    "priority": "priorities",
    "batch_timeout": "time limits of batch sessions",
    "resource_group": "resource groups",
    "owner_access_key": "sessions of other owners",
    "cluster_mode": "clusters",
}
_SCOPE = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes"]


class Local(BackendAI):
    """Sessions on this machine.

    Options: `kernel_spec_manager` (whose environments are offered), `default_resources`.
    """

    type = "local"
    page_size = 1000
    more_fields = " local"

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **{"title": "This machine", **options})
        self._contact: Contact | None = None
        self._starting = asyncio.Lock()

    # Finding the manager.

    async def client(self) -> ManagerClient:
        """The connection to this machine's manager, which is started unless it runs.

        Errors: NotSupported on Windows; BackendUnavailable with the reason why it did not start.
        """
        if sys.platform == "win32":
            raise NotSupported(
                "Sessions on this machine need Linux or macOS.", hint="Use WSL, or a remote backend."
            )
        async with self._starting:
            contact = find()
            if contact is None:
                contact = await asyncio.to_thread(start)
            if self._client is None or contact != self._contact:
                await self.close()
                self._client = self._connect(contact)
                self._contact = contact
            return self._client

    def _connect(self, contact: Contact) -> ManagerClient:
        if contact.protocol != PROTOCOL:
            raise BackendUnavailable(
                f"The session manager that runs here is of version {contact.version} and speaks another protocol.",
                hint="Upgrade jupyter_sessions, or end its sessions with the version that made them.",
            )
        return ManagerClient("http://localhost", contact.keypair, who=self.title, socket=contact.socket)

    # What differs from a remote one.

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Sessions; a manager that has none to look after is not started for that."""
        if not _worth_starting(query):
            return []
        return await super().list(query)

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Queue a session of an environment of the asking side. Errors: NotSupported for what only others do."""
        _refuse(spec)
        specs = await self._specs()
        image, launch = specs.resolve(spec.image or "python3", cwd=spec.cwd)
        spec.image = image
        return await self._create(spec, launch)

    async def images(self) -> builtins.list[Image]:
        """The environments of the asking side."""
        return (await self._specs()).images()

    async def _specs(self) -> Specs:
        return await asyncio.to_thread(Specs.here, self.options.get("kernel_spec_manager"))

    async def default_resources(self, asked: dict[str, Any]) -> dict[str, str]:
        """A part of the machine: as configured, else up to 4 CPUs and a quarter of memory.

        With k of n GPUs, at least k/n of both.
        """
        there = {name: Decimal(amount) for name, amount in (await self._totals()).items()}
        share = min(
            Decimal(1), parse_slots(asked).get(GPU_SLOT, Decimal(0)) / max(there[GPU_SLOT], Decimal(1))
        )
        cpus = max(min(Decimal(_DEFAULT_CPUS), there["cpu"]), there["cpu"] * share)
        memory = there["mem"] * max(Decimal("0.25"), share) // _MEMORY_STEP * _MEMORY_STEP
        chosen = {"cpu": cpus, "mem": memory} | parse_slots(self.options.get("default_resources") or {})
        return format_slots(
            {name: amount for name, amount in chosen.items() if name not in parse_slots(asked)}
        )

    async def _totals(self) -> dict[str, Decimal]:
        capacity = await self.capacity()
        return {
            name: next(iter(parse_slots({name: amount.total}).values()), Decimal(0))
            for name, amount in capacity.items()
        }

    async def open_service(self, id: str, name: str, base_url: str) -> Endpoint:
        """The unix socket of a service, started if need be."""
        body = {"app": name, "arguments": msgspec.json.encode({"base_url": base_url}).decode()}
        answer = await (await self.client()).request("POST", f"/session/{id}/start-service", json=body)
        return Endpoint(socket=str(answer["wsproxy_addr"]).removeprefix("unix://"))

    async def service_log(self, id: str, name: str) -> str:
        """The end of what a service printed."""
        answer = await (await self.client()).request(
            "GET", f"/session/{id}/service-log", params={"app": name}
        )
        return str(answer["result"]["logs"])

    async def connection(self, id: str, owner: ProcessId | None = None) -> KernelConnection:
        """The front of the session's relay."""
        body = {"app": "kernel", "arguments": msgspec.json.encode({"owner": owner}).decode()}
        answer = await (await self.client()).request("POST", f"/session/{id}/start-service", json=body)
        stem = str(answer["wsproxy_addr"]).removeprefix("ipc://")
        return front_of(stem, str(answer["token"]), owner=owner is not None)

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """As a remote one, but in peace while no manager runs."""
        first = True
        while not _worth_starting(Query()):
            if first:
                yield []
            first = False
            await asyncio.sleep(_LOOK_SECONDS)
        async for rows in super().watch():
            yield rows


def _refuse(spec: SessionSpec) -> None:
    defaults = SessionSpec()
    for field, words in _OF_OTHERS.items():
        if getattr(spec, field) not in (None, getattr(defaults, field)):
            raise NotSupported(
                f"{field}: this machine does not do {words}.", hint="Leave it out.", field=field
            )


def find() -> Contact | None:
    """The running manager of this user on this host."""
    return place().running()


def _worth_starting(query: Query) -> bool:
    where = place()
    if where.running() or where.live_file.exists() or where.secondary.live_file.exists():
        return True
    return query.status != "live" and (where.folder / "sessions.db").exists()


def start(seconds: float = START_SECONDS) -> Contact:
    """Start the manager, unless somebody else just did. Errors: BackendUnavailable with the reason."""
    where = place()
    with _only_one(where):
        if contact := find():
            return contact
        log = where.folder / "manager.log"
        for command in _commands():
            process = _spawn(command, log)
            contact = _wait_for(process, seconds)
            if contact is not None:
                return contact
        raise BackendUnavailable(
            f"This machine's session manager did not start: {_last_line(log)}", hint=f"Its log is {log}."
        )


@contextmanager
def _only_one(where: Place) -> Iterator[None]:
    import fcntl

    lock = os.open(where.folder / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _commands() -> builtins.list[builtins.list[str]]:
    """How to start it: in a scope of its own where systemd gives one with delegated cgroups, or plainly."""
    plain = [sys.executable, "-m", "jupyter_sessions.manager"]
    bus = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "bus"
    if bus.exists() and shutil.which(_SCOPE[0]):
        return [[*_SCOPE, *plain], plain]
    return [plain]


def _spawn(command: builtins.list[str], log: Path) -> subprocess.Popen[bytes]:
    """A process that leaves whoever started it: own session, no terminal, no descriptors."""
    keep = {key: value for key, value in os.environ.items() if key.startswith("JUPYTER_SESSIONS_")}
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",
            env=clean_environ(os.environ) | keep,
            start_new_session=True,
            close_fds=True,
        )


def _wait_for(process: subprocess.Popen[bytes], seconds: float) -> Contact | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if contact := find():
            return contact
        if process.poll() not in (None, 0):
            return None
        time.sleep(0.01)
    return None


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return last.rpartition(" ERROR ")[2]
