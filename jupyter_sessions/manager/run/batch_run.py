"""A batch run: the shell commands that clean up, build and execute what was uploaded, one after the other.

Source: seed 003 (``run --exec``); clients 23.9.10 to 26.9.6; the kernel runner of managers 23.09, after
which an empty command is skipped and told to have succeeded, ``*`` stands for what is usual for the
language, and a failed build leads to exit code 127 of the whole.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import secrets
import shlex
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from jupyter_sessions.manager.endpoints.kernel_link import Run
from jupyter_sessions.manager.run.programs import COMMAND, Programs
from jupyter_sessions.manager.runtime.launch import LaunchError
from jupyter_sessions.manager.runtime.process import readable

STEP = "step"
"""The kind of the messages in a run's queue that tell of the end of a step."""

USUAL = "*"
NOT_FOUND = 127
_CHUNK = 64 * 1024
_PAUSE_SECONDS = 0.002
_LONG_PAUSE_SECONDS = 0.1
_SHELL = 'exec >"$1" 2>"$2"; exec /bin/sh -c "$3"'
_LANGUAGES = {
    "python": (".py", ""),
    "r": (".R", "Rscript"),
    "julia": (".jl", "julia"),
    "bash": (".sh", "bash"),
    "javascript": (".js", "node"),
    "ruby": (".rb", "ruby"),
}


class Plan(msgspec.Struct):
    """The options of a batch run: shell commands, None or "" to skip one, ``*`` for the usual one."""

    clean: str | None = None
    build: str | None = None
    buildLog: bool | None = None  # noqa: N815
    exec: str | None = None


class BatchRun:
    """Performs one batch run; what happens becomes messages of the run, as if a kernel had said it."""

    def __init__(self, run: Run, plan: Plan, programs: Programs) -> None:
        self._run = run
        self._plan = plan
        self._programs = programs

    async def perform(self) -> None:
        """All steps. A failed build is the end of it."""
        await self._step("clean", "" if self._plan.clean == USUAL else self._plan.clean)
        if await self._step("build", self._build()):
            return self._finish(NOT_FOUND)
        self._finish(await self._shell(self._execute()))

    async def _step(self, name: str, command: str | None) -> int:
        code = await self._shell(command)
        self._tell(STEP, {"step": name, "exit_code": code})
        return code

    def _build(self) -> str | None:
        if self._plan.build != USUAL:
            return self._plan.build
        return "make" if (self._programs.folder / "Makefile").is_file() else None

    def _execute(self) -> str | None:
        if self._plan.exec != USUAL:
            return self._plan.exec
        launch = self._programs.record.launch
        suffix, program = _LANGUAGES.get(launch.language.lower(), ("", ""))
        file = main_file(self._programs.folder, self._programs.uploaded, suffix)
        if file is None:
            return f"echo 'cannot find the main program (main{suffix})' >&2; exit {NOT_FOUND}"
        return shlex.join([program or launch.argv[0], file] if suffix else [f"./{file}"])

    def _finish(self, code: int) -> None:
        self._tell("execute_reply", {"status": "error" if code else "ok", "exit_code": code})
        self._tell("status", {"execution_state": "idle"})

    def _tell(self, kind: str, content: dict[str, object]) -> None:
        if self._run.finished:
            return  # The session has ended.
        message = {"header": {"msg_type": kind}, "content": content}
        if kind == "stream":
            self._programs.logs.take(message)
        self._run.put(message)

    async def _shell(self, command: str | None) -> int:
        """Run a command to its end; its exit code as a shell tells it."""
        if not command:
            return 0
        key = f"{COMMAND}{secrets.token_hex(4)}"
        try:
            with _pipes(self._programs.place(key)) as pipes:
                files = [str(path) for path, _ in pipes.values()]
                process = await self._programs.command(key, ["/bin/sh", "-c", _SHELL, "sh", *files, command])
                fds = {name: fd for name, (_, fd) in pipes.items()}
                code = await self._listen(fds, self._programs.wait(process))
        except LaunchError as error:
            self._tell("stream", {"name": "stderr", "text": f"{error}\n"})
            code = NOT_FOUND
        self._programs.forget(key)  # Not when cancelled: it may go on without us.
        return code

    async def _listen(self, pipes: dict[str, int], end: Awaitable[int | None]) -> int:
        """Hand on what comes out of the pipes until the end, and what is then left in them."""
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in pipes}
        readers = [asyncio.create_task(self._read(name, fd, decoders[name])) for name, fd in pipes.items()]
        try:
            status = await end
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        for name, fd in pipes.items():
            with suppress(BlockingIOError):
                while data := os.read(fd, _CHUNK):
                    self._say(name, decoders[name].decode(data))
            self._say(name, decoders[name].decode(b"", final=True))
        return -1 if status is None else 128 - status if status < 0 else status

    async def _read(self, name: str, fd: int, decoder: codecs.IncrementalDecoder) -> None:
        while True:
            await readable(fd)
            await self._fetched()
            with suppress(BlockingIOError):
                self._say(name, decoder.decode(os.read(fd, _CHUNK)))

    async def _fetched(self) -> None:
        """Return once all has been fetched: should nobody read along, the command waits."""
        pause = _PAUSE_SECONDS
        while not self._run.messages.empty():
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONG_PAUSE_SECONDS)

    def _say(self, name: str, text: str) -> None:
        if text:
            self._tell("stream", {"name": name, "text": text})


@contextmanager
def _pipes(folder: Path) -> Iterator[dict[str, tuple[Path, int]]]:
    """Named pipes for both outputs: path, and descriptor to read. Held open for both, they have no end."""
    made: dict[str, tuple[Path, int]] = {}
    try:
        for name in ("stdout", "stderr"):
            path = folder / name
            os.mkfifo(path, 0o600)
            made[name] = path, os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        yield made
    finally:
        for _, fd in made.values():
            os.close(fd)


def main_file(folder: Path, uploaded: list[str], suffix: str) -> str | None:
    """What to execute: main, else the only file uploaded, else the first of the image's language."""
    if suffix and (folder / f"main{suffix}").is_file():
        return f"main{suffix}"
    if len(uploaded) == 1:
        return uploaded[0]
    return next((name for name in uploaded if suffix and name.endswith(suffix)), None)
