"""Run a kernel in a session as a process: ``python -m jupyter_sessions.kernels.bridge -f CONNECTION_FILE …``.

This is for front ends that start a kernelspec's command themselves and know no provisioners (VS Code). The process has
its own session, or uses the running session of ``--session``. SIGINT interrupts running code, SIGTERM and a shutdown
request end the process, and it ends by itself when the session ends.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zmq

from jupyter_sessions.errors import SessionError
from jupyter_sessions.kernels.provisioner import LAUNCH_SECONDS, session_name
from jupyter_sessions.kernels.session import KernelSession, Wanted, say
from jupyter_sessions.kernels.session_kernels import SessionKernels
from jupyter_sessions.kernels.zmq_bridge import ZmqBridge
from jupyter_sessions.model import KernelConnection, SessionSpec
from jupyter_sessions.wire.identity import identify, own_identity

_POLL_SECONDS = 0.2
_PARENT = "JPY_PARENT_PID"
_SCHEME = "hmac-sha256"


def main(words: Sequence[str] | None = None) -> int:
    """Run the bridge, and return the exit code of the process."""
    asked = _parser().parse_args(words)
    try:
        return asyncio.run(_KernelBridge(asked).run())
    except (SessionError, zmq.ZMQError, OSError, msgspec.MsgspecError) as error:
        say(f"{type(error).__name__}: {error}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jupyter_sessions.kernels.bridge")
    parser.add_argument("-f", dest="file", type=Path, required=True, help="connection file of the front end")
    parser.add_argument("--session", default="", help="session to attach to")
    parser.add_argument("--backend", help="where a session of its own runs")
    parser.add_argument("--image", default="python3", help="environment or image of a session of its own")
    parser.add_argument("--resource", action="append", default=[], metavar="SLOT=AMOUNT")
    parser.add_argument("--launch-timeout", type=float, default=LAUNCH_SECONDS, metavar="SECONDS")
    return parser


class _KernelBridge:
    def __init__(self, asked: argparse.Namespace) -> None:
        self._front = _read(asked.file)
        self._kernels = SessionKernels()
        self._session = KernelSession(_wanted(asked), say, self._kernels)
        self._done = asyncio.Event()
        self._restart = False
        self._zmq_bridge: ZmqBridge | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._done.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        beginning = asyncio.create_task(self._begin())
        ending = asyncio.create_task(self._end())
        try:
            await asyncio.wait([beginning, ending], return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                beginning.result()
                await ending
        finally:
            await self._close(beginning)
            self._kernels.close()
        return self._session.exit_code() or 0

    async def _begin(self) -> None:
        back = await self._session.begin()
        loop = asyncio.get_running_loop()

        def replied(restart: bool) -> None:
            self._restart = restart
            loop.call_soon_threadsafe(self._done.set)

        self._zmq_bridge = ZmqBridge(self._front, back, replied)
        self._zmq_bridge.open()

    async def _end(self) -> None:
        """Wait for a request to end, or for the end of the parent process or of the session's kernel."""
        parent = identify(int(os.environ.get(_PARENT) or 0))
        while not self._done.is_set() and self._session.exit_code() is None:
            if parent is not None and not parent.alive():
                return
            try:
                await asyncio.wait_for(self._done.wait(), _POLL_SECONDS)
            except TimeoutError:
                continue

    async def _close(self, beginning: asyncio.Task[None]) -> None:
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        if self._zmq_bridge is not None:
            self._zmq_bridge.close()
        if not self._restart:
            await self._session.let_go()
        elif (
            self._session.attached
        ):  # Its own one is restarted by the next bridge, which finds it by its name.
            await self._session.restart()

    def _interrupt(self) -> None:
        if self._zmq_bridge is None:
            self._done.set()
        else:
            self._interrupting = asyncio.create_task(self._session.interrupt())


def _read(file: Path) -> KernelConnection:
    found = msgspec.json.decode(file.read_bytes())
    return msgspec.convert({"transport": "tcp", "signature_scheme": _SCHEME, **found}, KernelConnection)


def _wanted(asked: argparse.Namespace) -> Wanted:
    """Return the session to use. Its name comes from the connection file, which stays when a front end restarts."""
    key = hashlib.sha256(str(asked.file.resolve()).encode()).hexdigest()
    spec = SessionSpec(
        backend=asked.backend,
        name=session_name("", key),
        image=asked.image,
        resources=dict(pair.split("=", 1) for pair in asked.resource),
        cwd=os.getcwd(),
        owner=own_identity(),
    )
    return Wanted(spec=spec, attach=asked.session, timeout=asked.launch_timeout)


if __name__ == "__main__":
    sys.exit(main())
