"""What a method of a handler takes and answers, said where the method is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Stream:
    """An answer of server-sent events: the type of their data, by the name of the event. The last is `server_close`."""

    events: Mapping[str, type[msgspec.Struct]]


@dataclass(frozen=True)
class PlainText:
    """An answer that is no JSON."""

    media_type: str


ResponseType = type[msgspec.Struct] | tuple[type[msgspec.Struct], ...] | Stream | PlainText | None
"""The model of a JSON body, several of which the answer is one, something that is no JSON, or no body at all."""


Parameter = tuple[Any, str]
"""The type and the meaning of a query parameter."""

CallerKind = Literal["anyone", "kernel", "person"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one method of a route takes and answers.

    `query` describes the parameters by name. `caller` says that only kernels of the server or only people may
    call it.
    """

    answers: Mapping[int, ResponseType]
    body: type[msgspec.Struct] | None
    query: Mapping[str, Parameter]
    caller: CallerKind


def operation(
    answers: Mapping[int, ResponseType],
    *,
    body: type[msgspec.Struct] | None = None,
    query: Mapping[str, Parameter] | None = None,
    caller: CallerKind = "anyone",
) -> Callable[[Function], Function]:
    """Describe a method of a handler; see `Operation`. Decorators that wrap the method go above this one."""
    described = Operation(answers=answers, body=body, query=query or {}, caller=caller)

    def describe(method: Function) -> Function:
        method.__operation__ = described  # type: ignore[attr-defined]
        return method

    return describe


def operation_of(method: Callable[..., Any]) -> Operation | None:
    """Return the description of a handler's method."""
    described: Operation | None = getattr(method, "__operation__", None)
    return described
