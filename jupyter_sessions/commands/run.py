"""The verb `run`: create a session and run code, files or a command in it. Source: seed 003."""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client import Api
from jupyter_sessions.commands.again import again
from jupyter_sessions.commands.create import SENT_BY_SERVER, session_options, spec_of
from jupyter_sessions.commands.ends import end_session
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.job_files import job_files, job_options
from jupyter_sessions.commands.program import program_of, surroundings
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.run_code import (
    EXIT_CODE,
    command_code,
    is_python,
    main_file,
    script_code,
)
from jupyter_sessions.commands.secret_options import add_secrets
from jupyter_sessions.commands.starting import wait_running
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import CellFailed, InvalidRequest, NotRunning, NotSupported, SessionError
from jupyter_sessions.model import USABLE, SessionInfo
from jupyter_sessions.service import BackendInfo

_TIMED_OUT = 3
_END_OF_INPUT = "\x04"  # As Jupyter's console says it to kernels.
_CHUNK_BYTES = 2**20
_ADVICE = "UserWarning: To exit: use 'exit'"
"""What IPython prints for sys.exit(), which ends a program here as it should."""


def _run_options(verb: ArgumentParser) -> None:
    verb.add_argument("image", nargs="?", help="environment or image, for example python")
    verb.add_argument("files", nargs="*", metavar="file", help="files to run, or to send for the code")
    verb.set_defaults(image_option=None, type="", startup_command=None)
    what = verb.add_mutually_exclusive_group()
    what.add_argument("-c", "--code", metavar="CODE", help="code to run")
    what.add_argument("--exec", metavar="COMMAND", help="shell command to run")
    what.add_argument("--again", metavar="NAME", help="repeat a session, or the replicas that failed")
    verb.add_argument("--rm", action="store_true", help="end the session afterwards")
    verb.add_argument("-q", "--quiet", action="store_true", help="print nothing but the output")
    session_options(verb)
    surroundings(verb)
    job_options(verb)


async def run(api: Api, asked: Namespace, face: Face) -> Result:
    """Create a session, run code in it and pass on its output, input, interrupts and exit code."""
    if asked.again:
        await again(api, asked, face)
        return Nothing()
    _check(asked)
    progress = Face((lambda text: None) if asked.quiet else face.complain)
    defaults = await api.defaults()
    preset = defaults.presets.get(asked.preset, {}) if asked.preset else {}
    spec = await spec_of(api, asked, preset, **program_of(asked))
    await add_secrets(spec, asked, preset.get("secrets", ()), face)
    job = await job_files(asked, "run", spec.backend or preset.get("backend"), defaults, progress)
    row = await api.create(spec)
    if asked.enqueue_only:
        progress(f"{plain(row.name)} is created. Nothing was run, because of `--enqueue-only`.")
        return Nothing()
    if spec.notify and row.backend not in defaults.notifies:
        progress(SENT_BY_SERVER)
    is_new = not row.reused
    row = await wait_running(api, row, asked.max_wait, progress)
    if row.status not in USABLE:
        progress("Nothing was run.")
        return Nothing(_TIMED_OUT if row.live else 1)
    try:
        await job.send(api, row, progress)
        try:
            code = await _run_in(api, row, asked, face)
        except CellFailed:
            await job.fetch(api, row, progress)
            raise
        return Nothing(await job.fetch(api, row, progress) or code)
    except asyncio.CancelledError:
        await _stopped(api, row, face, ends=is_new and face.in_shell and not asked.rm)
        raise
    finally:
        if asked.rm:
            await _remove(api, row, is_new, progress)


def _check(asked: Namespace) -> None:
    """Check what can be checked before anything is created. Errors: InvalidRequest."""
    if not (asked.code or asked.exec or asked.files or asked.enqueue_only):
        hint = "Give `-c CODE`, `--exec COMMAND` or a file."
        raise InvalidRequest("There is nothing to run.", hint=hint, field="code")
    for file in asked.files:
        if not Path(file).is_file():
            raise InvalidRequest(f"There is no file '{file}'.", hint="Name an existing file.", field="files")


async def _run_in(api: Api, row: SessionInfo, asked: Namespace, face: Face) -> int:
    """Run what was asked for in a session, and return the exit code."""
    if not asked.files and not asked.exec:
        return await _cell(api, row, asked.code, face)
    (backend,) = await api.describe(row.backend)
    language = _language(backend, row.image)
    if asked.exec and not is_python(language):
        hint = f"`%session create --type batch --startup-command COMMAND {row.image}` runs one."
        raise NotSupported(f"'--exec' needs a Python session, and '{row.image}' is {language}.", hint=hint)
    paths = {file: await _sent(api, row, file, backend) for file in asked.files}
    if asked.code:
        return await _cell(api, row, asked.code, face)
    if asked.exec:
        return await _cell(api, row, command_code(asked.exec, reads=face.in_shell), face)
    file = main_file(asked.files, language)
    text = "" if is_python(language) else await asyncio.to_thread(Path(file).read_text)
    return await _cell(api, row, script_code(paths[file], text, language), face)


def _language(backend: BackendInfo, image: str) -> str:
    """Return the language of an image; one that the backend does not tell is in the image's name."""
    found = next((one.language for one in backend.images if image in (one.name, *one.aliases)), "")
    return found or ("python" if "py" in image.lower() else image)


async def _sent(api: Api, row: SessionInfo, file: str, backend: BackendInfo) -> str:
    """Send a file to a session, and return its path there. Sessions on this machine have it already."""
    whole, path, size = _located(file)
    if backend.on_this_machine:
        return whole
    await api.upload(row.backend, row.id, path, _content(file), size)
    return path


def _located(file: str) -> tuple[str, str, int]:
    """Return a file's whole path, its path in a session, and its size in bytes.

    Those below the current folder keep their folders in the session.
    """
    path = os.path.relpath(file)
    within = not path.startswith(os.pardir)
    return os.path.abspath(file), path if within else os.path.basename(file), os.path.getsize(file)


async def _content(file: str) -> AsyncIterator[bytes]:
    source = await asyncio.to_thread(open, file, "rb")
    with source:
        while data := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            yield data


async def _cell(api: Api, row: SessionInfo, code: str, face: Face) -> int:
    """Run code in a session's kernel and return its exit code. Errors: CellFailed."""

    async def interrupt() -> None:
        await api.interrupt(row.backend, row.id)

    exit_code, answers = 0, set[asyncio.Task[None]]()
    try:
        with face.interrupting(interrupt):
            async for output in api.execute(row.backend, row.id, code, stdin=True):
                if output.kind == "input_request":  # A command goes on to print while it waits for input.
                    answers.add(asyncio.create_task(_answer(api, row, output, face)))
                elif output.kind == "reply":
                    exit_code = _exit_code(output) or exit_code
                elif EXIT_CODE in (data := output.content.get("data") or {}):
                    exit_code = int(data[EXIT_CODE]["code"])
                elif _ADVICE not in output.content.get("text", ""):
                    face.show(output)
    finally:
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
    return exit_code


def _exit_code(reply: Output) -> int:
    """Return the exit code of what has ended. Errors: CellFailed."""
    if reply.content.get("status") == "ok":
        return 0
    error = CellFailed.of(reply.content)
    if error.ename == "SystemExit":
        return error.exit_code
    raise error


async def _answer(api: Api, row: SessionInfo, request: Output, face: Face) -> None:
    """Answer an input request with what a person types, or with the end of the input."""
    prompt, secret = str(request.content.get("prompt", "")), bool(request.content.get("password"))
    try:
        text = await face.ask(prompt, secret=secret)
    except (EOFError, NotSupported):
        text = _END_OF_INPUT
    with suppress(NotRunning):  # A program may end while somebody types.
        await api.input(row.backend, row.id, request.run, text)


async def _stopped(api: Api, row: SessionInfo, face: Face, *, ends: bool) -> None:
    """Stop the code of somebody who does not wait for it: in a shell with the session that was made for it."""
    with suppress(SessionError):
        if ends:
            await end_session(api, row, forced=True)
            face.complain(f"{plain(row.name)} has ended.")
        else:
            await api.interrupt(row.backend, row.id)


async def _remove(api: Api, row: SessionInfo, is_new: bool, progress: Face) -> None:
    if not is_new:
        progress(f"{plain(row.name)} was there before, and stays.")
        return
    await end_session(api, row)
    progress(f"{plain(row.name)} has ended.")


VERBS = (
    Verb(
        "run",
        "run code, files or a command in a new session",
        "Create a session and run code, files or a command in it. The exit code is the program's. Ctrl-C interrupts"
        " the program; pressed twice, it ends the session.",
        _run_options,
        run,
    ),
)
