"""Values that backends take and return, besides those of the model."""

from __future__ import annotations

from typing import Any

import msgspec


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions are wanted: a status group or comma list of statuses, the owner's access key, and a page of them.

    `everyone` asks for what may be seen of everyone's sessions, on a backend that lists a person's own ones otherwise;
    such rows may have no id.
    """

    status: str = "live"
    limit: int | None = None
    offset: int = 0
    fields: tuple[str, ...] = ()
    access_key: str | None = None
    everyone: bool = False


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to files when a session ends, in a sentence; with `needs_mount`, only mounted folders keep files."""

    about: str = ""
    needs_mount: bool = False


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """An output of running code: a Jupyter message type and its content.

    `kind` is stream, display_data, update_display_data, execute_result, error, clear_output,
    comm_*, input_request, or at the end `reply` (content: status, and execution_count or ename,
    evalue, traceback). `run` names the run, for `Backend.input`.
    """

    kind: str
    content: dict[str, Any]
    run: str = ""
