"""The backends that this user has added: a file of their options beside the configuration's.

An administrator's configuration goes before it: a name that is there is none of this file's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_config_dir

from jupyter_sessions.backends import files
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.wire.files import write_private
from jupyter_sessions.wire.places import place

log = logging.getLogger("jupyter_sessions")

FILE = "jupyter_sessions_backends.json"

Options = dict[str, dict[str, Any]]


def path() -> Path:
    """The file."""
    return Path(jupyter_config_dir()) / FILE


def read() -> Options:
    """Options by name. Errors: InvalidRequest for a file that cannot be read."""
    try:
        return dict(files.read(path(), _decoded) or {})
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path()} cannot be read: {error}.", hint="Correct or remove it.") from None


def known() -> Options:
    """The same; a file that cannot be read is warned of, and says nothing."""
    try:
        return read()
    except InvalidRequest as error:
        log.warning("jupyter_sessions: %s", error)
        return {}


@contextmanager
def changing() -> Iterator[Options]:
    """What the file says, to be changed; written anew at the end, unless there is an error. Errors: as `read` and `write`."""
    try:
        with files.locked(place().folder / "added.lock") if sys.platform != "win32" else nullcontext():
            backends = read()
            yield backends
            write(backends)
    except OSError as error:
        raise InvalidRequest(
            f"{path()} cannot be changed: {error}.", hint="Repair that and try again."
        ) from None


def write(backends: Options) -> None:
    """Write the file anew, for this user's eyes only. Errors: InvalidRequest for a folder that cannot be written to."""
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        write_private(path(), msgspec.json.format(msgspec.json.encode(backends), indent=2))
    except OSError as error:
        raise InvalidRequest(
            f"{path()} cannot be written: {error.strerror}.", hint="Repair that and try again."
        ) from None


def _decoded(data: bytes) -> Options:
    return msgspec.json.decode(data, type=Options)
