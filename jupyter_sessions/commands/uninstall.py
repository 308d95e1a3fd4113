"""The verb `uninstall`: remove what this package has left on the machine, before the package itself is removed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from jupyter_sessions.backends.relay_client import RELAYS, find_helper
from jupyter_sessions.client import Api
from jupyter_sessions.commands.backends import own_service
from jupyter_sessions.commands.ends import end_session
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result, Text, plain
from jupyter_sessions.commands.services import token_pages
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import NotSupported, SessionError
from jupyter_sessions.kernels import specs
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService, user_backends_file
from jupyter_sessions.wire import files
from jupyter_sessions.wire.identity import Identity
from jupyter_sessions.wire.places import StateFolder, place
from jupyter_sessions.wire.required_environments import cache_folder

_END_SECONDS = 20.0
_STATE_FILES = (
    *(
        "cages",
        "live",
        "relays",
        "sockets",
        "programs-*",
        "manager.log*",
        "manager.lock",
        "sessions.lock",
        "start.lock",
        "added.lock",
    ),
    *(
        "host.json",
        "keys.json",
        "ports.json",
        "transports.json",
        "jupyter_sessions-*.json",
        "run_folder-*.json",
    ),
    *("sessions.db", "sessions.db-*", "sessions.db.*"),
)
_SESSIONS = f"sessions/{'-'.join('?' * count for count in (8, 4, 4, 4, 12))}"
"""The folders of sessions, whose names are UUIDs."""
_WORK = "work"


def _uninstall_options(verb: ArgumentParser) -> None:
    verb.add_argument("--yes", "-y", action="store_true", help="do not ask")


async def uninstall(api: Api, asked: Namespace, face: Face) -> Result:
    """Say what there is, ask, and remove it. Errors: NotSupported in a notebook, which may run in a session."""
    if not face.in_shell:
        hint = "There, type `jupyter session uninstall`."
        raise NotSupported("'uninstall' is for a shell.", hint=hint)
    state = place()
    async with own_service(api) as service:
        rows = await _on_this_machine(service)
        found = [*_found(rows, state)]
        if not found:
            return Text("Nothing is left here. `pip uninstall jupyter_sessions` removes the package.")
        face("\n".join(["This is removed:", *(f"  {plain(line)}" for line in found)]))
        if not asked.yes and not await _agrees(face):
            return Text("Nothing is removed.")
        for row in rows:
            await end_session(service, row, forced=True)
    await asyncio.to_thread(_remove, state)
    for work in _work_folders(state):
        face(f"Files of a session stay: {plain(str(work))}")
    face(
        "Done. Your own configuration files and the files of your sessions stay."
        " `pip uninstall jupyter_sessions` removes the package."
    )
    return Nothing()


async def _on_this_machine(service: SessionService) -> list[SessionInfo]:
    """Return the live sessions on this machine, which would have no manager any more."""
    names = [one.name for one in service.backends.values() if one.can_be_taken_over()]
    return [row for name in names for row in (await service.list(backend=name)).sessions]


async def _agrees(face: Face) -> bool:
    try:
        return (await face.ask("Remove all of this? [y/N] ")).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _found(rows: list[SessionInfo], state: StateFolder) -> Iterator[str]:
    """Yield what there is to remove, in words."""
    for row in rows:
        yield f"the session {row.name}, which ends"
    for kernel in specs.listed():
        yield f"the kernel {kernel.name}"
    if (helper := find_helper(state.folder / RELAYS)) is not None:
        yield f"the process that relays notebooks, {helper.identity.pid}, which ends"
    for path, what in _folders().items():
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            yield f"{what}: {path}"
    for folder, what in _states(state).items():
        if any(_state_files(folder)):
            yield f"{what}: {folder}"


def _folders() -> dict[Path, str]:
    """Return the files and folders that are this package's alone, and what they are."""
    return {
        Path(jupyter_data_dir()) / "jupyter_sessions": "saved credentials",
        user_backends_file.path(): "backends that you added",
        cache_folder(): "environments that were built for sessions",
        **dict.fromkeys(token_pages(), "a page that opened a service"),
    }


def _states(state: StateFolder) -> dict[Path, str]:
    """Return the state folders, in which people may have files of their own, and what they are."""
    return {
        state.secondary.folder: "the state of a second session manager",
        state.folder: "the session manager with its log and the output of sessions",
    }


def _state_files(folder: Path) -> Iterator[Path]:
    """Yield what this package has made in a state folder, apart from the files of sessions."""
    for pattern in _STATE_FILES:
        yield from folder.glob(pattern)
    for session in folder.glob(_SESSIONS):
        if _has_files(session / _WORK) and not session.is_symlink():
            yield from (path for path in session.iterdir() if path.name != _WORK)
        else:
            yield session


def _work_folders(state: StateFolder) -> list[Path]:
    """Return the working folders with files of sessions that were created without a folder."""
    found = (work for folder in _states(state) for work in folder.glob(f"{_SESSIONS}/{_WORK}"))
    return [work for work in found if _has_files(work)]


def _has_files(work: Path) -> bool:
    return work.is_dir() and any(work.iterdir())


def _remove(state: StateFolder) -> None:
    """End our processes and remove everything. Errors: SessionError if a process does not end."""
    if contact := state.running():
        _end("The session manager", contact.identity)
    if helper := find_helper(state.folder / RELAYS):
        _end("The process that relays notebooks", helper.identity)
    for kernel in specs.listed():
        specs.remove(kernel.name)
    if state.folder.exists():
        files.remove(state.run_folder())
    for path in (*_folders(), *(path for folder in _states(state) for path in _state_files(folder))):
        files.remove(path)
    for folder in _states(state):
        for empty in (folder / "sessions", folder):
            with suppress(OSError):
                empty.rmdir()


def _end(what: str, identity: Identity) -> None:
    """End a process. Errors: SessionError if it does not end."""
    os.kill(identity.pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while identity.alive():
        if time.monotonic() > deadline:
            raise SessionError(f"{what}, process {identity.pid}, does not end.", hint="End it yourself.")
        time.sleep(0.05)


VERBS = (
    Verb(
        "uninstall",
        "remove all that it left here (in a shell)",
        "List what there is of sessions, kernels, credentials, state and files, ask, and remove it.",
        _uninstall_options,
        uninstall,
    ),
)
