"""A session spec as backends get it: checked, and with every value in one form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import structs

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.durations import parse_duration, parse_moment
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.wire.environment import Launch, clean_environ


class SessionRequest(SessionSpec, kw_only=True, omit_defaults=True):
    """What `Backend.create` is asked for.

    Compared with the spec that a person gave, the service has checked and completed it: the fields that the backend
    does not take are unset, `type` is one of the backend's types, `resources` holds amounts by canonical slot name
    (memory in bytes) and at least the image's minimum, spans of time are seconds, `starts_at` is a moment in UTC,
    and `dependencies` are ids. `launch` says how to start the kernel, for backends whose images are kernelspecs.
    """

    name: str
    resources: dict[str, Decimal] = {}  # type: ignore[assignment]
    starts_at: datetime | None = None  # type: ignore[assignment]
    batch_timeout: float | None = None
    idle_timeout: float | None = None
    time_limit: float | None = None
    launch: Launch | None = None

    def environment(self, asker: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return all variables for the session's processes: those of whoever asks, without secrets, and its own."""
        env = clean_environ(asker) if self.launch is None else self.launch.env
        return {**env, **self.environ}


def normalized(spec: SessionSpec) -> SessionRequest:
    """Return the spec with every value in one form. Errors: InvalidRequest naming the field."""
    given = structs.asdict(spec)
    spans = {
        field: None if given[field] in (None, "") else parse_duration(given[field], field=field)
        for field in ("batch_timeout", "idle_timeout", "time_limit")
    }
    return SessionRequest(
        **given
        | spans
        | {
            "name": spec.name or "",
            "resources": parse_slots(
                {slot: amount for slot, amount in spec.resources.items() if amount != ""}
            ),
            "starts_at": parse_moment(spec.starts_at, datetime.now(UTC), field="starts_at"),
        }
    )
