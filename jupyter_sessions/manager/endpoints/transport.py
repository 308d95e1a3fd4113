"""The transport of a kernel: ipc sockets, or loopback TCP if the kernel cannot use ipc.

Ipc sockets lie in a folder that only this user can enter. Over TCP, other users of the machine can connect:
messages are signed and not encrypted, so they can read a kernel's output but send no messages. Therefore TCP is
used only where a kernelspec asks for it, or where its kernel does not start over ipc, which is remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.manager.core.changes import TransportChosen
from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.peers import Pids
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.files import load, write_private

log = logging.getLogger("jupyter_sessions")
IPC, TCP = "ipc", "tcp"
LOOPBACK = "127.0.0.1"
WARNING = "loopback TCP, which this kernel needs: other users of this machine can read its outputs"
HINT = 'if this kernel cannot use ipc, put {"jupyter_sessions": {"transport": "tcp"}} into the metadata of its kernelspec'
BOTH = "both ipc and loopback TCP were tried"
_FILE = "transports.json"
_SPEAKS_IPC = "ipykernel_launcher"
_CONNECTION_FILE = "kernel.json"
_SILENT_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_MOST_KNOWN, _TRIES = 1000, 1000
_PORTS = range(10_000, 32_768)
"""Below the ephemeral ports of systems, so that no connection takes a chosen port in between."""


class Transport:
    """The transport of one session's kernels, which may change once, if they do not start over ipc."""

    def __init__(self, record: Record, machine: SessionMachine, state_folder: Path) -> None:
        self._record = record
        self._machine = machine
        self._state_folder = state_folder
        self._tried_both = False

    @property
    def _unknown(self) -> bool:
        launch = self._record.launch
        return not (self._record.batch or launch.transport or _SPEAKS_IPC in launch.argv)

    @property
    def retries(self) -> bool:
        """Whether the kernels are being started a second time."""
        return self._tried_both

    def recall(self) -> None:
        """Use TCP if this kernel is known to need it."""
        if self._unknown and _key(self._record.launch) in _needing(self._state_folder):
            self._use_tcp()

    def fall_back(self) -> bool:
        """Switch to TCP if a kernel that did not start should be tried again. Return whether it should."""
        if not self._unknown or self._record.status != "PREPARING":
            return False
        self._tried_both = True
        self._use_tcp()
        return True

    def succeed(self) -> None:
        """Remember what the kernel needs, now that it has started."""
        if self._tried_both:
            known = [*_needing(self._state_folder), _key(self._record.launch)][-_MOST_KNOWN:]
            try:
                write_private(self._state_folder / _FILE, msgspec.json.encode(known))
            except OSError as error:  # The next start finds out again.
                log.warning("the transport of a kernel cannot be saved: %s", error)

    def means(self) -> dict[str, str]:
        """Return a note on the transport for people."""
        return {"kernel": WARNING} if self._record.launch.transport == TCP else {}

    def hint(self) -> str:
        """Return advice for a kernel that did not start."""
        return (
            f"; {BOTH}" if self._tried_both else f"; {HINT}" if self._record.launch.transport == IPC else ""
        )

    async def watch(self, folder: Path, pids: Pids, kill: Callable[[], Awaitable[None]]) -> None:
        """End a kernel that should listen on ipc sockets in a folder and seems unable to."""
        deadline = time.monotonic() + _SILENT_SECONDS
        usual = {f"k-{number}" for number in CHANNELS.values()}
        while self._unknown and self._record.status == "PREPARING":
            await asyncio.sleep(_LOOK_SECONDS)
            there = {name for name in os.listdir(folder) if name.startswith("k")} - {_CONNECTION_FILE}
            if there & usual:
                return
            late = time.monotonic() > deadline
            if late or there or await asyncio.to_thread(_any_listens, [*pids()]):
                return await kill()

    def _use_tcp(self) -> None:
        self._machine.apply(self._record, TransportChosen(TCP))


def _needing(state_folder: Path) -> list[str]:
    try:
        return load(state_folder / _FILE, list[str])
    except OSError:
        return []


def _key(launch: Launch) -> str:
    """Return an identifier of a kernelspec that does not depend on its name."""
    return hashlib.sha256(msgspec.json.encode(launch.argv)).hexdigest()


def free_ports() -> list[int]:
    """Return a free loopback port for each channel of a kernel. Errors: OSError if there are none."""
    found: list[int] = []
    for port in random.sample(_PORTS, _TRIES):
        if _is_free(port):
            found.append(port)
        if len(found) == len(CHANNELS):
            return found
    raise OSError("There are no free TCP ports for the kernel.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _any_listens(pids: Iterable[int]) -> bool:
    """Return whether one of these processes listens on a TCP port."""
    for pid in pids:
        with suppress(psutil.Error):
            found = psutil.Process(pid).net_connections(kind="tcp")
            if any(one.status == psutil.CONN_LISTEN for one in found):
                return True
    return False
