"""The JSON bodies that only the REST API has; all others are models of lower layers."""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_sessions.backends.file_transfer import FileEntry
from jupyter_sessions.backends.notices import Notice
from jupyter_sessions.model import Event, ProcessId, Service, SessionInfo
from jupyter_sessions.service import BackendInfo, BackendType, Change, Expiry, Position


class About(msgspec.Struct, frozen=True):
    """The running version of the package, the `installed` version, and the version of the REST protocol."""

    version: str
    installed: str
    protocol: int


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error response, and the data of `error` events.

    `message` is a sentence for people, `hint` says what to do, and `field` names the parameter in question.
    `reason` is the kind of error, stable for programs; `data` holds details for programs.
    """

    message: str
    reason: str
    hint: str = ""
    field: str = ""
    data: Any = None


class Replicas(msgspec.Struct, frozen=True):
    """Sessions that were created in one request, by their numbers."""

    sessions: list[SessionInfo]


class SessionList(Position, frozen=True):
    """The requested sessions.

    `errors` has the backends that did not answer, `expiries` the ends of credentials, and `notices` what else people
    should know, each by backend.
    """

    sessions: list[SessionInfo]
    errors: dict[str, str]
    expiries: dict[str, Expiry]
    notices: dict[str, Notice]


class SessionFields(Position, frozen=True):
    """The requested sessions with only the named `fields`, where they have values, and always `backend` and `id`.

    The other lists are those of `SessionList`.
    """

    sessions: list[dict[str, Any]]
    errors: dict[str, str]
    expiries: dict[str, Expiry]
    notices: dict[str, Notice]


class SessionChanges(Position, frozen=True):
    """The changes since the requested position."""

    changes: list[Change]
    errors: dict[str, str]
    expiries: dict[str, Expiry]
    notices: dict[str, Notice]


class SessionPatch(msgspec.Struct, forbid_unknown_fields=True):
    """An `action`, "restart" or "renew", or a new `name`."""

    action: str | None = None
    name: str | None = None


class ConnectionRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The process that is to own the session, and the seconds that the session waits for this owner (`patience`)."""

    owner: ProcessId | None = None
    patience: float = 0


class ExecuteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Code to run, and whether it may ask for input.

    With `ref`, the code runs only if `ref` still refers to this session.
    """

    code: str
    stdin: bool = False
    ref: str | None = None


class InputReply(msgspec.Struct, forbid_unknown_fields=True):
    """The answer to the input request of a run; the `input_request` output names the run."""

    run: str
    text: str


class Logs(msgspec.Struct, frozen=True):
    """The newest part of a session's output."""

    logs: str


class History(msgspec.Struct, frozen=True):
    """The events of a session, the oldest first."""

    events: list[Event]


class FileList(msgspec.Struct, frozen=True):
    """The entries of a folder of a session, sorted by name."""

    path: str
    files: list[FileEntry]


class Services(msgspec.Struct, frozen=True):
    """The services of a session."""

    services: list[Service]


class ServiceStart(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of a service, by the names of options of its command; without any, those of its last start."""

    arguments: dict[str, str] | None = None


class ServiceStarted(msgspec.Struct, frozen=True):
    """A service that was started, and its address."""

    name: str
    url: str


class SessionOfKernel(msgspec.Struct, frozen=True):
    """The session that a kernel runs in; nulls if the kernel runs in no session."""

    backend: str | None
    id: str | None


class Backends(msgspec.Struct, frozen=True):
    """The backends, the types of backends that people may add, and the presets by name."""

    default_backend: str
    presets: dict[str, dict[str, Any]]
    types: list[BackendType]
    backends: list[BackendInfo]


class BackendAdded(msgspec.Struct, frozen=True):
    """A new backend, and a description of the server at its address."""

    name: str
    found: str


class SignInRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A sign-in method, the values of its fields, and whether to save them in a file."""

    method: str
    values: dict[str, str]
    remember: bool = False

    def __repr__(self) -> str:
        return f"SignInRequest({self.method!r})"
