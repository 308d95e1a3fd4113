"""The session manager of this machine, from outside: found, started, and asked whether it follows the configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.backends.files import locked
from jupyter_sessions.config import OF_MANAGER, sources
from jupyter_sessions.errors import BackendUnavailable, SessionError
from jupyter_sessions.wire.detached import start_detached
from jupyter_sessions.wire.files import is_full, mount_of
from jupyter_sessions.wire.places import Contact, StateFolder, place

START_SECONDS = 30.0
_SOONER = "`%session backend takeover` starts it now; sessions go on."
_SCOPE = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes"]


def find() -> Contact | None:
    """Return the running manager of this user on this host. Errors: BackendUnavailable."""
    return state_folder().running()


def state_folder() -> StateFolder:
    """Return the state folder of this user's manager on this host. Errors: BackendUnavailable."""
    try:
        return place()
    except SessionError as error:
        raise BackendUnavailable(f"This machine cannot be used: {error.message}", hint=error.hint) from error


def start(
    seconds: float = START_SECONDS,
    *,
    instead_of: Contact | None = None,
    end: Callable[[Contact], None] = lambda contact: None,
) -> Contact:
    """Start the manager, unless somebody else just did. Errors: BackendUnavailable with the reason.

    A manager that runs and is the one to be replaced is ended first, by calling `end`.
    """
    where = state_folder()
    try:
        with locked(where.folder / "start.lock"):
            contact = find()
            if contact is not None and contact == instead_of:
                end(contact)
                contact = None
            return contact or _start(where, seconds)
    except OSError as error:
        raise _not_started(where, str(error)) from error


def _start(where: StateFolder, seconds: float) -> Contact:
    log = where.folder / "manager.log"
    deadline = time.monotonic() + seconds
    for command in _commands():
        code: int | None = 0
        while (
            code == 0 and time.monotonic() < deadline
        ):  # One that ends in peace came too early, or left it to another.
            process = start_detached(command, log)
            contact = _wait_for(process, deadline)
            if contact is not None:
                return contact
            code = process.poll()
    raise _not_started(where, _last_line(log))


def _not_started(where: StateFolder, why: str) -> BackendUnavailable:
    """Why there is no manager; a full disk is named whatever else was said, or could not be."""
    for folder in (where.folder, Path("/tmp")):  # noqa: S108
        if is_full(folder):
            mounted = mount_of(folder)
            return BackendUnavailable(
                f"This machine's session manager did not start: the file system at {mounted} is full.",
                hint=f"Make room on the file system at {mounted}.",
            )
    hint = f"Its log is {where.folder / 'manager.log'}."
    return BackendUnavailable(f"This machine's session manager did not start: {why}", hint=hint)


def _commands() -> list[list[str]]:
    """Return the commands to try: in a systemd scope with delegated cgroups where there is systemd, then plainly."""
    plain = [sys.executable, "-m", "jupyter_sessions.manager"]
    bus = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "bus"
    if bus.exists() and shutil.which(_SCOPE[0]):
        return [[*_SCOPE, *plain], plain]
    return [plain]


def _wait_for(process: subprocess.Popen[bytes], deadline: float) -> Contact | None:
    """Return the manager, or None if the process ended and there is none."""
    while time.monotonic() < deadline:
        over = process.poll() is not None
        if contact := find():
            return contact
        if over:
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


class ManagerState(msgspec.Struct, kw_only=True):
    """The state that a manager reports: the `options` it follows, and in `next` those that only the next one will follow.

    `options` is None for one that does not say. It is to be `replaced` if its code has changed, and `in_the_way` is
    why that had better not be now, None for one that does not say.
    """

    options: dict[str, Any] | None
    version: str = ""
    next: list[str] = []
    problem: str = ""
    replaced: bool = False
    notice: str = ""
    in_the_way: list[str] | None = None


def outdated(state: ManagerState | None) -> str:
    """Return how the running manager differs from the configuration, in words for people; "" if it does not."""
    if state is None:
        return ""
    if state.problem:
        return f"The session manager that runs cannot use the configuration: {state.problem}. It goes on with what held before."
    configured = [name for name in sources() if name in OF_MANAGER]
    options = state.options
    unknown = configured if options is None else [name for name in configured if name not in options]
    late = sorted({*unknown, *state.next})
    if late:
        return (
            f"The session manager that runs does not follow {', '.join(late)} yet: "
            f"the next one does, which comes when its sessions have ended. {_SOONER}"
        )
    if state.replaced:
        return (
            "The session manager that runs is of an earlier installation; the next one comes when its sessions have"
            f" ended. {_SOONER}"
        )
    return ""
