"""The verb `spec`, and specs in files for `create --from`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Json, Result
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.wire.spec_limits import check_size

_SAME = (
    "backend name image type resources resource_opts environ secrets cwd architecture resource_group cluster_size"
    " cluster_mode mounts tag startup_command dependencies"
).split()
"""Fields that a spec and a row have both."""
_STDIN = "-"


async def spec(api: Api, asked: Namespace, face: Face) -> Result:
    """Show the spec of a session, also of one that has ended. Of secrets it has the names."""
    found = await api.find(asked.session)
    (backend,) = await api.describe(found.backend)
    taken = EVERY if backend.takes is None else backend.takes
    return Json(spec_of_row(await api.get(found.backend, found.id), taken))


def spec_of_row(row: SessionInfo, taken: Collection[str]) -> SessionSpec:
    """Return the spec of a session like this one; of what not all backends take, only what is `taken`."""
    fields = {name: getattr(row, name) for name in _SAME} | {
        "group": row.group_name,
        "domain": row.domain_name,
    }
    given = {name: value for name, value in fields.items() if name in taken or name not in EVERY}
    return msgspec.convert({name: value for name, value in given.items() if value is not None}, SessionSpec)


def read_spec(file: str) -> dict[str, Any]:
    """Return the fields that a file of JSON sets ("-": stdin). Errors: InvalidRequest."""
    try:
        data = sys.stdin.buffer.read() if file == _STDIN else Path(file).expanduser().read_bytes()
        check_size(data)
        msgspec.json.decode(data, type=SessionSpec)
        return msgspec.json.decode(data, type=dict[str, Any])
    except OSError as error:
        raise InvalidRequest(
            f"{file} cannot be read: {error.strerror}.", hint="Name a file of JSON.", field="from"
        ) from None
    except msgspec.MsgspecError as error:
        hint = "`%session spec NAME` prints a spec."
        raise InvalidRequest(f"{file} is no spec of a session: {error}.", hint=hint, field="from") from None


VERBS = (
    Verb(
        "spec",
        "show the spec to create it again",
        "Show the spec of a session as JSON, which `create --from FILE` reads.",
        options.session,
        spec,
    ),
)
