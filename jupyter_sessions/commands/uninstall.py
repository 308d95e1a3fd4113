"""The verb `uninstall`: remove what this package has left on the machine, before the package itself is removed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from jupyter_sessions.client import Api
from jupyter_sessions.commands.backends import own_service
from jupyter_sessions.commands.ends import end_session
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result, Text, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import NotSupported, SessionError
from jupyter_sessions.kernels import specs
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService, user_backends_file
from jupyter_sessions.wire import files
from jupyter_sessions.wire.places import StateFolder, place

_MANAGER_SECONDS = 20.0


def _uninstall_options(verb: ArgumentParser) -> None:
    verb.add_argument("--yes", "-y", action="store_true", help="do not ask")


async def uninstall(api: Api, asked: Namespace, face: Face) -> Result:
    """Say what there is, ask, and remove it. Errors: NotSupported in a notebook, which may run in a session."""
    if not face.in_shell:
        hint = "There, type `jupyter session uninstall`."
        raise NotSupported("'uninstall' is for a shell.", hint=hint)
    async with own_service(api) as service:
        rows = await _on_this_machine(service)
        found = [*_found(rows)]
        if not found:
            return Text("Nothing is left here. `pip uninstall jupyter_sessions` removes the package.")
        face("\n".join(["This is removed:", *(f"  {plain(line)}" for line in found)]))
        if not asked.yes and not await _agrees(face):
            return Text("Nothing is removed.")
        for row in rows:
            await end_session(service, row, forced=True)
    await asyncio.to_thread(_remove, place())
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


def _found(rows: list[SessionInfo]) -> Iterator[str]:
    """Yield what there is to remove, in words."""
    for row in rows:
        yield f"the session {row.name}, which ends"
    for kernel in specs.listed():
        yield f"the kernel {kernel.name}"
    for path, what in _files(place()).items():
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            yield f"{what}: {path}"


def _files(state: StateFolder) -> dict[Path, str]:
    """Return all files and folders of this package, and what they are."""
    return {
        Path(jupyter_data_dir()) / "jupyter_sessions": "saved credentials",
        user_backends_file.path(): "backends that you added",
        state.secondary.folder: "the state of a second session manager",
        state.folder: "the session manager with its log and the output of sessions",
    }


def _remove(state: StateFolder) -> None:
    """End the manager and remove everything. Errors: SessionError if the manager does not end."""
    if contact := state.running():
        os.kill(contact.identity.pid, signal.SIGTERM)
        deadline = time.monotonic() + _MANAGER_SECONDS
        while contact.identity.alive():
            if time.monotonic() > deadline:
                raise SessionError(
                    f"The session manager, process {contact.identity.pid}, does not end.",
                    hint="End it yourself.",
                )
            time.sleep(0.05)
    for kernel in specs.listed():
        specs.remove(kernel.name)
    if state.folder.exists():
        files.remove(state.run_folder())
    for path in _files(state):
        files.remove(path)


VERBS = (
    Verb(
        "uninstall",
        "remove all that it left here (in a shell)",
        "List what there is of sessions, kernels, credentials, state and files, ask, and remove it.",
        _uninstall_options,
        uninstall,
    ),
)
