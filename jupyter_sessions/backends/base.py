"""The contract of backends: implement four methods, and get panel, magics, command line and REST.

Implement `list`, `get`, `create` and `destroy`. Each optional method that a class overrides adds a capability
(`capabilities`), and faces offer what belongs to it. Publish the class under the entry point group
``jupyter_sessions.backends``; the key of the configuration's ``{"type": key}`` is the entry point's name.

    class Lab(Backend):
        type = "lab"

        async def list(self, query): ...
        async def get(self, id): ...
        async def create(self, request): ...
        async def destroy(self, id, *, forced=False, recursive=False): ...

Implement `kernel_endpoint` as well, which says where a session's kernel is, and people can run cells there, answer
their input requests, interrupt and complete them, and connect notebooks.

The service does for all backends what can be done once: it completes and checks what `create` is asked for, refuses
what a backend does not take, returns the live session of a name, names replicas, and fills in the URLs of services.

A row's `status_changed` must not go back, because rows that look older than known ones may have been on their way
when the session changed. Where it goes back all the same, as after a restart of a scheduler that forgets, the service
calls `get` for each such session and believes the answer.

Methods raise errors of `jupyter_sessions.errors`; any other exception is reported as a fault of the backend. Rows are
new objects in each answer: the service may change them, and the backend must not.
"""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from typing import Any, ClassVar

import msgspec
from msgspec import structs

from jupyter_sessions.backends.credential_store import CredentialStore, Kept
from jupyter_sessions.backends.file_transfer import FileTransfer
from jupyter_sessions.backends.kernel_methods import WITH_KERNELS, KernelMethods
from jupyter_sessions.backends.notices import Notice
from jupyter_sessions.backends.polling import Looking, Pace, unsettled
from jupyter_sessions.backends.relay_client import BackendDescription
from jupyter_sessions.backends.session_request import SessionRequest as SessionRequest
from jupyter_sessions.backends.signing_in import SigningIn
from jupyter_sessions.backends.takes import BASIC
from jupyter_sessions.backends.values import Output as Output
from jupyter_sessions.backends.values import Query as Query
from jupyter_sessions.backends.values import Storage as Storage
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, SessionNotFound
from jupyter_sessions.model import (
    TYPES,
    Amount,
    Choices,
    Endpoint,
    Event,
    Image,
    NameRule,
    SessionInfo,
)

ANY_NAME = NameRule(r"(?s).{1,255}", "Use 1 to 255 characters.")


class Backend(KernelMethods, FileTransfer, SigningIn):
    """A place where sessions run."""

    type: ClassVar[str]
    type_title: ClassVar[str] = ""
    """The name of this type for people, and of a backend that is named like its type."""
    name_rule: ClassVar[NameRule] = ANY_NAME
    poll_seconds: ClassVar[float] = 5.0
    """The seconds between two calls of `list` while somebody looks: fewer, but at least 1, while a session starts or
    ends, and more while nobody looks. Waiting for a session causes no further calls."""
    storage: Storage = Storage()
    types: ClassVar[tuple[str, ...]] = TYPES
    """The types of sessions it has; the service refuses all others."""
    takes: ClassVar[frozenset[str]] = BASIC
    """The fields of `SessionSpec` that it supports: faces offer no others, and the service refuses them."""
    image_word: ClassVar[str] = "Image"
    """The word for images in faces: "Image" or "Environment"."""
    place: ClassVar[str] = ""
    """Where its sessions run, within a sentence ("this machine"); the backend's name by default."""
    built_in: ClassVar[bool] = False
    """Whether there is one without configuration, named like its type."""
    on_this_machine: ClassVar[bool] = False
    """Whether its sessions run on the machine of whoever asks."""
    notifies: ClassVar[bool] = False
    """Whether it sends the messages of `SessionSpec.notify`; for other backends, the Jupyter server does."""
    first_come: ClassVar[bool] = False
    """Whether sessions wait in one queue, first come, first served, so that forms can say the place in it."""
    checks_requests: ClassVar[bool] = False
    """Whether its server checks the image's minimum and returns the live session of the same name or notebook, in one
    step with creating. For other backends the service does both before it calls `create`."""
    session_variables: ClassVar[tuple[str, ...]] = ()
    """The environment variables that hold a session's id inside the session."""
    direct: ClassVar[bool] = False
    """Whether `Session(server=…)` uses it, with the options `url`, `version`, `token`, `certificate` and `timeout`."""

    def __init__(self, name: str, **options: Any) -> None:
        """Create a backend with the name that people use for it and the options of its configuration."""
        super().__init__(name)
        usual = self.type_title if name == self.type else ""
        self.title = str(options.pop("title", "") or usual or name)
        self.options = options
        self.looking = Looking()
        self.credential_store = CredentialStore(name)

    # The four methods.

    @abstractmethod
    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return the sessions that match, the most recently changed first."""

    @abstractmethod
    async def get(self, id: str) -> SessionInfo:
        """Return a session by its full id, as long as possible also after its end. Errors: SessionNotFound."""

    @abstractmethod
    async def create(self, request: SessionRequest) -> SessionInfo:
        """Request a session and return its row at once, without waiting until it runs."""

    @abstractmethod
    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End a session, or cancel a waiting one, and return its row as it is then: TERMINATING, or ended.

        `forced` leaves out grace periods, and `recursive` also ends the sessions that depend on this one. A backend
        without such a thing ignores them; one that can end a session only by force raises NeedsForce without it.
        A session that has ended stays as it is: return its row, or raise SessionNotFound, upon which the service
        looks for the row itself. Errors: SessionNotFound.
        """

    def lists_field(self, field: str) -> bool:
        """Return whether `list` fills in a field of `SessionInfo` without being asked for it in `Query.fields`."""
        return True

    # The optional methods.

    async def create_many(self, request: SessionRequest, count: int) -> builtins.list[SessionInfo]:
        """Create several sessions in one request, such as a job array, and return their rows in order.

        They are named NAME-1 to NAME-COUNT, where the request's name is NAME. Each finds its number in the variable
        REPLICA_ID, and `count` in REPLICA_COUNT. Without this method, `create` is called for each.
        """
        raise self._cannot("create several sessions in one request")

    async def rename(self, id: str, name: str) -> SessionInfo:
        """Rename a live session. The service has checked the name against `name_rule`."""
        raise self._cannot("rename sessions")

    async def renew(self, id: str) -> SessionInfo:
        """Extend the time of a session that ends at `ends_at`, and return its row."""
        raise self._cannot("renew sessions")

    async def logs(self, id: str) -> str:
        """Return what the session's processes printed, as plain text; the newest part if it is long."""
        raise self._cannot("show logs")

    async def events(self, id: str) -> builtins.list[Event]:
        """Return what has happened to the session, the oldest first, also after its end."""
        raise self._cannot("tell what happened to sessions")

    async def images(self) -> builtins.list[Image]:
        """Return the images that sessions can be created from."""
        raise self._cannot("list images")

    async def default_resources(self, asked: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return amounts for slots that `asked` leaves out; the backend chooses those that are missing here, too."""
        return {}

    async def suggested_resources(self) -> dict[str, Decimal]:
        """Return the amounts that a form starts with, by default those of `default_resources`."""
        return await self.default_resources({})

    async def capacity(self) -> dict[str, Amount]:
        """Return the total and free amount of each slot."""
        raise self._cannot("tell its capacity")

    async def choices(self) -> Choices:
        """Return what people may choose from for a session besides images."""
        return Choices()

    async def open_service(self, id: str, name: str, base_url: str) -> Endpoint:
        """Start a service unless it runs, to serve under the path `base_url`, and return where it listens."""
        raise self._cannot("open service ports")

    async def start_service(
        self, id: str, name: str, base_url: str, arguments: Mapping[str, str], *, forced: bool = False
    ) -> None:
        """Start a service with arguments, also one that has failed.

        `forced` also starts one for which `open_service` raises `NoRoom`.
        """
        if arguments:
            raise self._cannot("start services with arguments")
        await self.open_service(id, name, base_url)

    async def stop_service(self, id: str, name: str) -> None:
        """End a service; it starts again when it is opened."""
        raise self._cannot("stop services")

    async def service_log(self, id: str, name: str) -> str:
        """Return the end of what a service printed."""
        raise self._cannot("show a service's log")

    async def client_environment(self) -> dict[str, str]:
        """Return the environment variables with which the vendors' own clients reach it, secrets included."""
        raise self._cannot("be reached with other clients")

    async def take_over(self) -> None:
        """Replace its manager by one of this package's version; sessions go on."""
        raise self._cannot("be taken over")

    # Methods with a default.

    def notice(self) -> Notice | None:
        """Return what people should know about it, without asking its server."""
        return None

    async def remarks(self) -> builtins.list[str]:
        """Return sentences about how it differs from its configuration, for people who look at that."""
        return []

    async def record_use(self, id: str) -> None:
        """Note that somebody uses a session through a service. Called at most once a minute."""

    async def set_environ(self, id: str, environ: dict[str, str]) -> None:
        """Set variables for the processes of a session that start from now on."""

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """Yield all live rows first, and then, without end, the rows that have changed.

        By default `list` is called again and again, as `poll_seconds` says.
        """
        seen = {row.id: row for row in await self.list(Query())}
        yield [*seen.values()]
        pace, changed = Pace(self.poll_seconds, self.looking), [*seen.values()]
        while True:
            await pace.rest(soon=bool(unsettled(seen.values())), changed=bool(changed))
            changed, seen = await self.changes(seen)
            if changed:
                yield changed

    async def changes(
        self, seen: dict[str, SessionInfo]
    ) -> tuple[builtins.list[SessionInfo], dict[str, SessionInfo]]:
        """Return the rows that differ from those `seen`, and all live rows, each by id."""
        rows = {row.id: row for row in await self.list(Query())}
        gone = [await self.after_end(seen[key]) for key in seen.keys() - rows.keys()]
        changed = [
            row
            for key, row in rows.items()
            if key not in seen or seen[key].list_fingerprint() != row.list_fingerprint()
        ]
        return changed + gone, rows

    async def next_change(self, row: SessionInfo) -> None:
        """Return once a session may differ from `row`.

        Override this if the backend can be asked to answer when something changes. Without it, waiting follows
        `watch`, so that many who wait ask the backend no more often than one.
        """
        raise NotImplementedError

    @classmethod
    def reports_changes(cls) -> bool:
        """Return whether `next_change` is implemented."""
        return cls.next_change is not Backend.next_change

    async def after_end(self, row: SessionInfo) -> SessionInfo:
        """Return the last row of a session that is no longer listed, even if the backend has forgotten it."""
        try:
            return await self.get(row.id)
        except SessionNotFound:
            now = datetime.now(UTC)
            return structs.replace(
                row, status="TERMINATED", status_info="no longer known", status_changed=now, terminated_at=now
            )

    async def close(self) -> None:
        """Close connections; sessions stay. An override calls this method, too."""
        await self.kernel_cells.close()
        await self.relays.close()

    def describe(self) -> BackendDescription:
        """Return what another process needs to create this backend. Errors: NotSupported for options that cannot be sent."""
        kind, where, given = builtins.type(self), self.address(), self.signed_in_credentials()
        description = BackendDescription(
            module=kind.__module__,
            kind=kind.__qualname__,
            name=self.name,
            options={"title": self.title, **self.options},
            signed_in=None if given is None else Kept(where, given),
        )
        try:
            return msgspec.json.decode(msgspec.json.encode(description), type=BackendDescription)
        except (TypeError, ValueError):
            raise self._cannot("connect notebooks: its options are not all plain values") from None

    async def probe(self) -> str:
        """Return what answers at its address, with its version, for people. This needs no credentials.

        It may add to `options` what it finds out. Errors: BackendUnavailable; BadAnswer for a server of another kind.
        """
        raise self._cannot("be tried without credentials")

    @classmethod
    def can_be_taken_over(cls) -> bool:
        """Return whether it has managers of several versions; see `take_over`."""
        return cls.take_over is not Backend.take_over

    def capabilities(self) -> builtins.list[str]:
        """Return the names of the optional methods that it implements."""
        kind = builtins.type(self)
        kernels = WITH_KERNELS if self.knows_kernels() else ()
        return [
            name for name in OPTIONAL if getattr(kind, name) is not getattr(Backend, name) or name in kernels
        ]

    @classmethod
    def options_from_environment(cls) -> dict[str, Any] | None:
        """Return the options of the backend of this type that the environment names, or None."""
        return None

    @classmethod
    def configured(cls, config: JupyterSessions, kernel_spec_manager: Any) -> dict[str, Any]:
        """Return options that follow from the rest of the configuration; a backend's own options take precedence."""
        return {}

    @classmethod
    def same_server(cls, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """Return whether two sets of options name the same server."""
        return one == other

    def _seconds(self, usual: float) -> float:
        """Return the seconds that an answer may take: the option `timeout`, or the usual ones. Errors: InvalidRequest."""
        given = self.options.get("timeout") or usual
        try:
            seconds = float(given)
        except (TypeError, ValueError):
            seconds = 0
        if not 0 < seconds < inf:
            raise InvalidRequest(
                f"The timeout '{given}' of the backend '{self.name}' is no number of seconds above 0.",
                hint="Give a number of seconds above 0.",
                field="timeout",
            )
        return seconds


OPTIONAL = tuple(
    "create_many restart rename renew logs events outputs images capacity execute interrupt input complete"
    " open_service stop_service service_log connection upload download ls".split()
)
