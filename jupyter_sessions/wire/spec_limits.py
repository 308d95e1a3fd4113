"""How large a spec may be, for all who accept specs: the extension, shells and the manager's APIs.

A spec is copied, stored, and shown in lists, so a large one would slow down all other sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec
from msgspec import structs

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec

SPEC_BYTES = 1024**2
MOST_VARIABLES = 1000
MOST_ENTRIES = 100
_ENVIRON = "environ"


def check_size(body: bytes) -> None:
    """Check the size of a spec's JSON before it is decoded. Errors: InvalidRequest."""
    if len(body) > SPEC_BYTES:
        raise InvalidRequest(
            f"The spec takes {human_size(len(body))}; a session's spec has at most {human_size(SPEC_BYTES)}.",
            hint="Put long texts and lists into a file, and mount or upload it.",
        )


def check_lists(fields: Mapping[str, object]) -> None:
    """Check how many entries each list and object in a spec has. Errors: InvalidRequest."""
    for name, value in fields.items():
        if name == _ENVIRON:
            _check_count(name, value, MOST_VARIABLES, "variables")
        else:
            _check_all(name, value)


def check_spec(spec: SessionSpec) -> None:
    """Check the size of a spec and of the lists in it. Errors: InvalidRequest."""
    check_lists(structs.asdict(spec))
    # A spec that cannot be encoded is reported with its field when it is sent.
    with suppress(TypeError, RecursionError, UnicodeError):
        check_size(msgspec.json.encode(spec))


def _check_all(name: str, value: object) -> None:
    if not isinstance(value, list | tuple | dict):
        return
    _check_count(name, value, MOST_ENTRIES, "entries")
    for part in value.values() if isinstance(value, dict) else value:
        _check_all(name, part)


def _check_count(name: str, value: object, most: int, what: str) -> None:
    if isinstance(value, list | tuple | dict) and len(value) > most:
        raise InvalidRequest(
            f"A session takes at most {most:,} {what} in '{name}', not {len(value):,}.",
            hint="Leave some out, or put them into a file.",
            field=name,
        )
