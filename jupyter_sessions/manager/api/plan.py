"""The dependencies, times, callback and messages of a create request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from jupyter_sessions.durations import parse_duration, parse_moment
from jupyter_sessions.errors import InvalidRequest, SessionNotFound
from jupyter_sessions.manager.api.request import CreateRequest
from jupyter_sessions.manager.core.callbacks import check_url
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.wire import untrusted
from jupyter_sessions.wire.message_targets import parse_target
from jupyter_sessions.wire.spec_limits import check_lists

IDLE_SECONDS = 1800.0
"""The default idle timeout of interactive sessions. Source: seed 003."""


def plan(asked: CreateRequest, sessions: SessionManager, who: Key) -> dict[str, Any]:
    """Return these fields of a record. Errors: InvalidRequest naming the field."""
    default_idle = IDLE_SECONDS if asked.type == "interactive" else 0.0
    limit = asked.time_limit if asked.time_limit is not None else asked.batch_timeout
    return {
        "dependencies": _dependencies(asked.dependencies, sessions, who),
        "starts_at": parse_moment(asked.starts_at, datetime.now(UTC), field="starts_at"),
        "notify": [target for target in asked.notify if parse_target(target)],
        "callback_url": check_url(asked.callback_url) if asked.callback_url else None,
        "idle_timeout": _seconds(asked.idle_timeout, "idle_timeout", default_idle),
        "time_limit": _seconds(limit, "time_limit", 0.0),
    }


def _seconds(given: str | float | None, field: str, default: float) -> float:
    return default if given is None or given == "" else parse_duration(given, field=field)


def _dependencies(given: list[str] | str, sessions: SessionManager, who: Key) -> list[str]:
    """Return the ids of the named sessions: a list of ids or names, or a text with one or several."""
    found = dict.fromkeys(
        _find(ref, sessions, who) for ref in (_split(given) if isinstance(given, str) else given)
    )
    return [*found]


def _split(text: str) -> list[str]:
    """Return the names in a text: a single name, names separated by commas, or a JSON list.

    Seed 000 declares `str` for a list.
    """
    if text.lstrip().startswith("["):
        try:
            names = untrusted.decode(text, type=list[str])
        except msgspec.MsgspecError:
            raise InvalidRequest(
                "The value of 'dependencies' is no list of sessions.",
                hint="Give ids or names.",
                field="dependencies",
            ) from None
    else:
        names = [name.strip() for name in text.split(",") if name.strip()]
    check_lists({"dependencies": names})
    return names


def _find(ref: str, sessions: SessionManager, who: Key) -> str:
    try:
        return sessions.find_any(ref, who).id
    except SessionNotFound:
        raise InvalidRequest(
            f"There is no session '{ref}' to depend on.",
            hint="Give the ids or names of sessions that exist.",
            field="dependencies",
        ) from None
