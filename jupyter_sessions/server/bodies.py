"""JSON bodies of requests and answers that only the REST API knows; all others are models of the floors below."""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_sessions.backends.notices import Notice
from jupyter_sessions.model import Event, ProcessId, SessionInfo
from jupyter_sessions.service import BackendInfo, BackendType, Change, Expiry, Position


class About(msgspec.Struct, frozen=True):
    """The versions of the package that runs, of the one that is `installed` by now, and of the REST protocol."""

    version: str
    installed: str
    protocol: int


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is an error, and the data of `error` events.

    `message` is a sentence for people, `hint` says what to do about it, and `field` is the parameter it is about.
    `reason` is the kind of error, stable for programs; `data` holds what a program may need to know of it.
    """

    message: str
    reason: str
    hint: str = ""
    field: str = ""
    data: Any = None


class SessionList(Position, frozen=True):
    """The sessions that were asked for, the `errors` of backends that did not answer, when credentials expire, and what else people should know, by backend."""

    sessions: list[SessionInfo]
    errors: dict[str, str]
    expiries: dict[str, Expiry]
    notices: dict[str, Notice]


class SessionFields(Position, frozen=True):
    """The same where `fields` were named: each row has these, as far as they have values, and `backend` and `id`."""

    sessions: list[dict[str, Any]]
    errors: dict[str, str]
    expiries: dict[str, Expiry]
    notices: dict[str, Notice]


class SessionChanges(Position, frozen=True):
    """What has changed since the position that was asked about."""

    changes: list[Change]
    errors: dict[str, str]
    expiries: dict[str, Expiry]
    notices: dict[str, Notice]


class SessionPatch(msgspec.Struct, forbid_unknown_fields=True):
    """An `action`, "restart" or "renew", or a new name."""

    action: str | None = None
    name: str | None = None


class ConnectionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The process that owns the session from now on, and for how many seconds the session waits for it (`patience`)."""

    owner: ProcessId | None = None
    patience: float = 0


class ExecuteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Code to run, and whether it may ask for input. With `ref` it only runs if that still names this session."""

    code: str
    stdin: bool = False
    ref: str | None = None


class InputReply(msgspec.Struct, forbid_unknown_fields=True):
    """The answer to an `input_request` of a run, which the output named."""

    run: str
    text: str


class Logs(msgspec.Struct, frozen=True):
    """The newest part of what a session printed."""

    logs: str


class History(msgspec.Struct, frozen=True):
    """All that has happened to a session, oldest first."""

    events: list[Event]


class ServiceStarted(msgspec.Struct, frozen=True):
    """A service that was started, and the path at which it opens."""

    name: str
    url: str


class SessionOfKernel(msgspec.Struct, frozen=True):
    """The session that a kernel runs in; nulls if it runs in none."""

    backend: str | None
    id: str | None


class Backends(msgspec.Struct, frozen=True):
    """The backends, the types of which people may add some, and saved specs by name."""

    default_backend: str
    presets: dict[str, dict[str, Any]]
    types: list[BackendType]
    backends: list[BackendInfo]


class BackendAdded(msgspec.Struct, frozen=True):
    """A backend that was added, and what was found at its address."""

    name: str
    found: str


class SignInRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A method, the values of its fields, and whether to keep them in a file."""

    method: str
    values: dict[str, str]
    remember: bool = False

    def __repr__(self) -> str:
        return f"SignInRequest({self.method!r})"
