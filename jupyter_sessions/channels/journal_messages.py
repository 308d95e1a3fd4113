"""A session's journal: what it printed, by execution. Said by a manager, read by everybody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest

_NUMBER = (re.compile(r"[0-9]{1,9}", re.ASCII), "a number from 0 on")
_PARAMETERS = {"heads": (re.compile("true|false"), "true or false")}


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """Code that ran, whoever sent it: a notebook, `%%session`, or a program over REST.

    `number` counts over the session's life from 1, `execution_count` is what the kernel said, which
    begins anew when it is restarted. `id` is that of the request's message. `status` is running, ok,
    error, or unknown if its end was not seen. `outputs` are those of a notebook's cell, nbformat 4.
    """

    number: int
    id: str
    code: str
    status: str
    started: datetime
    ended: datetime | None = None
    execution_count: int | None = None
    outputs: list[dict[str, Any]] = []


class Gap(msgspec.Struct, frozen=True):
    """A time in which nobody listened; what was printed then is not in the journal."""

    since: datetime
    until: datetime


class Outputs(msgspec.Struct, frozen=True):
    """Executions of a session, the oldest first, and all its gaps."""

    executions: list[Execution]
    gaps: list[Gap] = []


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which executions: those after number `since`, of these the `last` ones, or the one of a `number`.

    With `heads` they come without outputs.
    """

    since: int = 0
    last: int | None = None
    number: int | None = None
    heads: bool = False

    def params(self) -> dict[str, str]:
        """The same as a query string's parameters."""
        return {
            name: msgspec.json.encode(value).decode() for name, value in msgspec.to_builtins(self).items()
        }

    def of(self, numbers: list[int]) -> list[int]:
        """Those of `numbers`, which are in order, that are meant."""
        if self.number is not None:
            return [number for number in numbers if number == self.number]
        later = [number for number in numbers if number > self.since]
        return later if self.last is None else later[len(later) - min(self.last, len(later)) :]


def read_selection(query: Mapping[str, str]) -> Selection:
    """The selection of a query string. Errors: InvalidRequest naming the parameter."""
    given = {name: query[name] for name in Selection.__struct_fields__ if query.get(name)}
    for name, text in given.items():
        pattern, wanted = _PARAMETERS.get(name, _NUMBER)
        if not pattern.fullmatch(text):
            raise InvalidRequest(f"'{text[:40]}' is not {wanted}.", hint=f"Give {wanted}.", field=name)
    return msgspec.convert(given, Selection, strict=False)
