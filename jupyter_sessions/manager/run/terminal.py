"""A session's terminal: one shell inside its limits, shared by all connected viewers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.runtime.launch import Process
from jupyter_sessions.manager.runtime.process import readable

KEPT = 64 * 1024
_CHUNK = 64 * 1024
_BEHIND = 16
_GRACE_SECONDS = 1.0
_ATTACHED = 'exec <"$1" >"$1" 2>&1; exec "${SHELL:-/bin/sh}" -i'
"""The first terminal that a session leader opens becomes its controlling terminal."""

Start = Callable[[list[str]], Awaitable[Process]]


class Terminal:
    """Starts its shell for the first viewer, and keeps it until the shell or the session ends.

    A new viewer sees the last `KEPT` bytes. `start` starts a command in the session; `ended` is called after its end.
    """

    def __init__(self, runtime: Runtime, start: Start, ended: Callable[[], None]) -> None:
        self._runtime = runtime
        self._run = start
        self._ended = ended
        self._process: Process | None = None
        self._master = -1
        self._pump: asyncio.Task[None] | None = None
        self._seen = b""
        self._viewers: set[asyncio.Queue[bytes | None]] = set()
        self._starting = asyncio.Lock()

    async def open(self) -> None:
        """Start the shell unless it runs. Errors: LaunchError."""
        async with self._starting:
            if self._pump is None or self._pump.done():
                await self._start()

    async def view(self) -> AsyncIterator[bytes]:
        """Yield recent and new output until the shell ends."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_BEHIND)
        self._viewers.add(queue)
        try:
            if self._seen:
                yield self._seen
            while (data := await queue.get()) is not None:
                yield data
        finally:
            self._viewers.discard(queue)
            while not queue.empty():  # A writer may wait for room.
                queue.get_nowait()

    async def type(self, data: bytes) -> None:
        """Send keyboard input. Waits while the shell accepts none."""
        while data and self._master >= 0:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except OSError:
                return  # The shell has just ended.

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal."""
        if self._master >= 0:
            with suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def restart(self) -> None:
        """End the shell and its programs, and start another shell for the same viewers. Errors: LaunchError."""
        async with self._starting:
            viewers, self._viewers = self._viewers, set()
            await self.close()
            self._seen, self._viewers = b"", viewers
            await self._start()

    async def close(self) -> None:
        """End the shell and all views."""
        if self._pump is not None:
            self._pump.cancel()  # The hangup ends shells that ignore SIGTERM.
            with suppress(asyncio.CancelledError):
                await self._pump
        if self._process is not None:
            await self._runtime.stop(self._process, _GRACE_SECONDS)

    async def _start(self) -> None:
        master, slave = pty.openpty()
        try:
            self._process = await self._run(["/bin/sh", "-c", _ATTACHED, "sh", os.ttyname(slave)])
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        os.set_blocking(master, False)
        self._master = master
        # Before the shell opens the terminal, only this keeps a reader from seeing its end.
        held = asyncio.create_task(self._hold(slave, self._process))
        self._pump = asyncio.create_task(self._read(master, held))
        await asyncio.sleep(0)  # Both tasks have started, and clean up after themselves.

    async def _read(self, master: int, held: asyncio.Task[None]) -> None:
        try:
            while True:
                await readable(master)
                data = os.read(master, _CHUNK)
                self._seen = (self._seen + data)[-KEPT:]
                for viewer in [*self._viewers]:
                    await viewer.put(data)  # The slowest viewer sets the pace.
        except OSError:
            return  # The last process that had the terminal open has ended.
        finally:
            held.cancel()
            self._master, self._seen = -1, b""
            os.close(master)
            self._ended()
            for viewer in self._viewers:
                if viewer.full():
                    viewer.get_nowait()
                viewer.put_nowait(None)

    async def _hold(self, slave: int, process: Process) -> None:
        try:
            await self._runtime.wait(process)
        finally:
            os.close(slave)
