"""Descriptions of the parameters and answers of handler methods, next to the methods themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Stream:
    """An answer of server-sent events: the type of their data, by event name. The last event is `server_close`."""

    events: Mapping[str, type[msgspec.Struct]]


@dataclass(frozen=True)
class PlainText:
    """A body that is not JSON."""

    media_type: str


ResponseType = type[msgspec.Struct] | tuple[type[msgspec.Struct], ...] | Stream | PlainText | None
"""The model of a JSON body, a tuple of possible models, a stream, an answer that is not JSON, or None for no body."""


Parameter = tuple[Any, str]
"""The type and the description of a query parameter."""

CallerKind = Literal["anyone", "kernel", "person"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """The parameters and answers of a handler method.

    `query` describes the parameters by name. `caller` says whether only kernels of the server, or only people, may
    call the method.
    """

    answers: Mapping[int, ResponseType]
    body: type[msgspec.Struct] | PlainText | None
    query: Mapping[str, Parameter]
    caller: CallerKind


def operation(
    answers: Mapping[int, ResponseType],
    *,
    body: type[msgspec.Struct] | PlainText | None = None,
    query: Mapping[str, Parameter] | None = None,
    caller: CallerKind = "anyone",
) -> Callable[[Function], Function]:
    """Describe a handler method; see `Operation`. Decorators that wrap the method go above this one."""
    described = Operation(answers=answers, body=body, query=query or {}, caller=caller)

    def describe(method: Function) -> Function:
        method.__operation__ = described  # type: ignore[attr-defined]
        return method

    return describe


def operation_of(method: Callable[..., Any]) -> Operation | None:
    """Return the description of a handler method."""
    described: Operation | None = getattr(method, "__operation__", None)
    return described
