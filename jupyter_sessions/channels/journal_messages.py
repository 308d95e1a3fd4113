"""A session's journal, its output by execution, as the manager sends it and clients read it."""

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

    `number` counts from 1 over the session's life. `execution_count` is the kernel's own number, which starts again
    when the kernel is restarted. `id` is the id of the request's message. `status` is running, ok, error, or
    unknown if nobody saw the end. `outputs` are those of a notebook's cell, nbformat 4.
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
    """A time in which the manager did not listen; output from then is not in the journal."""

    since: datetime
    until: datetime


class Outputs(msgspec.Struct, frozen=True):
    """Executions of a session, the oldest first, and all its gaps."""

    executions: list[Execution]
    gaps: list[Gap] = []


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which executions to return: those after number `since`, of these the `last` ones, or the one with `number`.

    With `heads` they come without outputs.
    """

    since: int = 0
    last: int | None = None
    number: int | None = None
    heads: bool = False

    def params(self) -> dict[str, str]:
        """Return the selection as parameters of a query string."""
        return {
            name: msgspec.json.encode(value).decode() for name, value in msgspec.to_builtins(self).items()
        }

    def of(self, numbers: list[int]) -> list[int]:
        """Return the selected ones of `numbers`, which are in order."""
        if self.number is not None:
            return [number for number in numbers if number == self.number]
        later = [number for number in numbers if number > self.since]
        return later if self.last is None else later[len(later) - min(self.last, len(later)) :]


def read_selection(query: Mapping[str, str]) -> Selection:
    """Parse the selection in a query string. Errors: InvalidRequest naming the parameter."""
    given = {name: query[name] for name in Selection.__struct_fields__ if query.get(name)}
    for name, text in given.items():
        pattern, wanted = _PARAMETERS.get(name, _NUMBER)
        if not pattern.fullmatch(text):
            raise InvalidRequest(f"'{text[:40]}' is not {wanted}.", hint=f"Give {wanted}.", field=name)
    return msgspec.convert(given, Selection, strict=False)
