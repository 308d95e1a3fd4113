"""A batch run: the shell commands that clean up, build and execute uploaded files, one after the other.

Source: seed 003 (``run --exec``); clients 23.9.10 to 26.9.6; the kernel runner of managers 23.09: an empty command
is skipped and counts as a success, ``*`` stands for the usual command of the language, and a failed build ends the
run with exit code 127.
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

from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.manager.run.programs import COMMAND, Programs
from jupyter_sessions.manager.runtime.launch import LaunchError
from jupyter_sessions.manager.runtime.process import readable

STEP = "step"
"""The type of the messages that announce the end of a step."""

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
    """The commands of a batch run: None or "" to skip a step, ``*`` for the usual command."""

    clean: str | None = None
    build: str | None = None
    buildLog: bool | None = None  # noqa: N815
    exec: str | None = None


class BatchRun:
    """Performs one batch run, whose output becomes messages like those of a kernel."""

    def __init__(self, run: Run, plan: Plan, programs: Programs) -> None:
        self._run = run
        self._plan = plan
        self._programs = programs

    async def perform(self) -> None:
        """Run all steps. A failed build ends the run."""
        await self._step("clean", "" if self._plan.clean == USUAL else self._plan.clean)
        build = self._plan.build
        if build == USUAL:
            build = "make" if (self._programs.folder / "Makefile").is_file() else None
        if await self._step("build", build):
            return self._finish(NOT_FOUND)
        self._finish(await self._shell(self._execute()))

    async def _step(self, name: str, command: str | None) -> int:
        code = await self._shell(command)
        self._send(STEP, {"step": name, "exit_code": code})
        return code

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
        self._send("execute_reply", {"status": "error" if code else "ok", "exit_code": code})
        self._send("status", {"execution_state": "idle"})

    def _send(self, kind: str, content: dict[str, object]) -> None:
        if self._run.finished:
            return  # The session has ended.
        message = {"header": {"msg_type": kind}, "content": content}
        if kind == "stream":
            self._programs.logs.add(message)
        self._run.put(message)

    async def _shell(self, command: str | None) -> int:
        """Run a command to its end, and return its exit code as a shell reports it."""
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
            self._send("stream", {"name": "stderr", "text": f"{error}\n"})
            code = NOT_FOUND
        self._programs.forget(key)  # Not after a cancel: the command may go on under a later manager.
        return code

    async def _listen(self, pipes: dict[str, int], end: Awaitable[int | None]) -> int:
        """Forward the output of the pipes until the command ends, and then the rest."""
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
                    self._send_text(name, decoders[name].decode(data))
            self._send_text(name, decoders[name].decode(b"", final=True))
        return -1 if status is None else 128 - status if status < 0 else status

    async def _read(self, name: str, fd: int, decoder: codecs.IncrementalDecoder) -> None:
        while True:
            await readable(fd)
            pause = _PAUSE_SECONDS
            while not self._run.messages.empty():  # The command waits for a client to read its output.
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONG_PAUSE_SECONDS)
            with suppress(BlockingIOError):
                self._send_text(name, decoder.decode(os.read(fd, _CHUNK)))

    def _send_text(self, name: str, text: str) -> None:
        if text:
            self._send("stream", {"name": name, "text": text})


@contextmanager
def _pipes(folder: Path) -> Iterator[dict[str, tuple[Path, int]]]:
    """Create named pipes for stdout and stderr. Each is open for both directions, so that it never reports its end."""
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
    """Return the file to execute: main, otherwise the only upload, otherwise the first one in the image's language."""
    if suffix and (folder / f"main{suffix}").is_file():
        return f"main{suffix}"
    if len(uploaded) == 1:
        return uploaded[0]
    return next((name for name in uploaded if suffix and name.endswith(suffix)), None)
