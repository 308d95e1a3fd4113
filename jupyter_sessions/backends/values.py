"""What goes into and comes out of backends, beside the vocabulary."""

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
    """What becomes of a session's files when it ends, "" if nobody says; `needs_mount`: all but those in mounted folders are deleted."""

    about: str = ""
    needs_mount: bool = False


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Something that running code said: a Jupyter message type and its content.

    `kind` is stream, display_data, update_display_data, execute_result, error, clear_output,
    comm_*, input_request, or at the end `reply` (content: status, and execution_count or ename,
    evalue, traceback). `run` names the run, for `Backend.input`.
    """

    kind: str
    content: dict[str, Any]
    run: str = ""
