"""What a backend is: implement four methods, and get panel, magics, command line and REST.

Implement `list`, `get`, `create` and `destroy`. Implement an optional method as well and its
button lights up: `capabilities` is read off the methods a class overrides, so faces never guess.
Publish the class under the entry point group ``jupyter_sessions.backends``; the key of the
configuration's ``{"type": key}`` is the entry point's name.

    class Lab(Backend):
        type = "lab"

        async def list(self, query): ...
        async def get(self, id): ...
        async def create(self, request): ...
        async def destroy(self, id, *, forced=False, recursive=False): ...

Implement `kernel_endpoint` as well, which says where a session's kernel is, and people can run cells there, answer
their input requests, interrupt and complete them, and connect notebooks.

People can sign in to a backend that says by which `methods`; what they give it finds in `given`. They can
add one to those of the configuration whose type names its `address_option` and can `probe` it.

A row's `status_changed` never goes back: rows that look older than those that are known may have been on their way
when the session changed. If it does go back, as after a restart of a scheduler that forgets, `get` is asked for each
such session, and what it says holds.

Methods raise errors of `jupyter_sessions.errors` and nothing else that is meant for people. Rows
are new objects at each call: what is given away is not changed afterwards.
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
from jupyter_sessions.backends.signin import Credentials, SignIn, SignInMethod, checked, fits, without_secrets
from jupyter_sessions.backends.takes import BASIC
from jupyter_sessions.backends.values import Output as Output
from jupyter_sessions.backends.values import Query as Query
from jupyter_sessions.backends.values import Storage as Storage
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, SessionError, SessionNotFound
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


class Backend(KernelMethods, FileTransfer):
    """A place where sessions run."""

    type: ClassVar[str]
    type_title: ClassVar[str] = ""
    """What people call this type of backend; one that is named as its type is called so, too."""
    name_rule: ClassVar[NameRule] = ANY_NAME
    poll_seconds: ClassVar[float] = 5.0
    """How often it may be asked for all rows; for one that somebody waits for, five times as often, from 1 s on."""
    storage: Storage = Storage()
    types: ClassVar[tuple[str, ...]] = TYPES
    """The types of sessions it has; the rest is refused by the service."""
    takes: ClassVar[frozenset[str]] = BASIC
    """Fields of `SessionSpec` it can do: faces offer no others, and the service refuses them in a sentence."""
    image_word: ClassVar[str] = "Image"
    """What people call that which sessions are made of: "Image" or "Environment"."""
    place: ClassVar[str] = ""
    """Where its sessions run, in the middle of a sentence ("this machine"); its name unless given."""
    built_in: ClassVar[bool] = False
    """Whether there is one without any configuration, named as its type."""
    on_this_machine: ClassVar[bool] = False
    """Whether its sessions run on the machine of whoever asks for them."""
    notifies: ClassVar[bool] = False
    """Whether it sends the messages of `SessionSpec.notify`; for other backends, the Jupyter server does."""
    first_come: ClassVar[bool] = False
    """Whether sessions wait in one queue, first come, first served, so that forms can tell a place in it."""
    checks_requests: ClassVar[bool] = False
    """Whether its server itself, in one step with creating, refuses less than an image's minimum and returns the live
    session of the same name or notebook. The service does both for the others."""
    session_variables: ClassVar[tuple[str, ...]] = ()
    """Environment variables that hold the id of a session, for what runs in it."""
    address_option: ClassVar[str] = ""
    """The option that holds its address, of a type that people may add with nothing but that."""

    direct: ClassVar[bool] = False
    """Whether `Session(server=…)` leads to it, by the options `url`, `version`, `token`, `certificate` and `timeout`."""

    def __init__(self, name: str, **options: Any) -> None:
        """`name` is how people call it; `options` come from the configuration."""
        super().__init__(name)
        usual = self.type_title if name == self.type else ""
        self.title = str(options.pop("title", "") or usual or name)
        self.options = options
        self.looking = Looking()
        self.ring = CredentialStore(name)

    # The four.

    @abstractmethod
    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """The sessions that match, most recently changed first."""

    @abstractmethod
    async def get(self, id: str) -> SessionInfo:
        """One session by its full id, also after its end. Errors: SessionNotFound."""

    @abstractmethod
    async def create(self, request: SessionRequest) -> SessionInfo:
        """Ask for a session and return its row at once, without waiting until it runs."""

    @abstractmethod
    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End a session, or cancel a pending one, and return its row as it is then."""

    def lists(self, field: str) -> bool:
        """Whether rows of lists have a field of sessions without being asked for it (`Query.fields`), if any has."""
        return True

    # The optional ones.

    async def create_many(self, request: SessionRequest, count: int) -> builtins.list[SessionInfo]:
        """Create several sessions in one request, such as a job array, and return their rows in order.

        They are named NAME-1 to NAME-COUNT, where the request's name is NAME. Each finds its number in the variable
        REPLICA_ID, and `count` in REPLICA_COUNT. Without this method, `create` is called for each.
        """
        raise self._cannot("create several sessions in one request")

    async def rename(self, id: str, name: str) -> SessionInfo:
        """Give a live session another name."""
        raise self._cannot("rename sessions")

    async def renew(self, id: str) -> SessionInfo:
        """Put off the end of a session that has an expiry, an idle timeout or a time limit."""
        raise self._cannot("renew sessions")

    async def logs(self, id: str) -> str:
        """What the session's processes printed, as plain text; the newest part if it is long."""
        raise self._cannot("show logs")

    async def events(self, id: str) -> builtins.list[Event]:
        """What has happened to the session, oldest first, also after its end."""
        raise self._cannot("tell what happened to sessions")

    async def outputs(self, id: str, which: Selection) -> Outputs:
        """What the session printed, by execution, whoever ran it; also after its end."""
        raise self._cannot("show what was printed by execution")

    async def images(self) -> builtins.list[Image]:
        """The environments or images one can ask for."""
        raise self._cannot("list images")

    async def default_resources(self, asked: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return amounts of the slots that `asked` leaves out; {} leaves them to the backend."""
        return {}

    async def suggested_resources(self) -> dict[str, Decimal]:
        """Return the amounts that a form starts with; those of `default_resources` unless overridden."""
        return await self.default_resources({})

    async def capacity(self) -> dict[str, Amount]:
        """Total and free amount of each slot."""
        raise self._cannot("tell its capacity")

    async def choices(self) -> Choices:
        """What one may choose from for a session, apart from images; nothing unless overridden."""
        return Choices()

    async def open_service(self, id: str, name: str, base_url: str) -> Endpoint:
        """Where a service port listens; starts it if need be, to serve under the path `base_url`."""
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
        """The end of what a service printed."""
        raise self._cannot("show a service's log")

    async def client_environment(self) -> dict[str, str]:
        """Environment variables with which the vendors' own clients reach it. Secrets are among them."""
        raise self._cannot("be reached with other clients")

    async def take_over(self) -> None:
        """Have a manager of this package's version look after its sessions, which go on."""
        raise self._cannot("be taken over")

    # What comes with them.

    def notice(self) -> Notice | None:
        """Return what people should know of it, as far as can be told without asking anybody."""
        return None

    async def remarks(self) -> builtins.list[str]:
        """Return sentences about how it differs from its configuration, for whoever looks at that; may ask it."""
        return []

    async def touch(self, id: str) -> None:
        """Somebody works in a session through a service port: called at most once a minute."""

    async def set_environ(self, id: str, environ: dict[str, str]) -> None:
        """Set variables for the processes of a session that start from now on, if it has such."""

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """First all rows that live, then those that changed, for ever.

        By asking again and again, unless overridden: every `poll_seconds` while somebody looks, sooner while
        something begins or ends, and less and less if neither.
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
        """What became other than it was `seen`, by id, and what there is now."""
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
        """What became of a session that is not listed any more, also if the backend has forgotten it."""
        try:
            return await self.get(row.id)
        except SessionNotFound:
            now = datetime.now(UTC)
            return structs.replace(
                row, status="TERMINATED", status_info="no longer known", status_changed=now, terminated_at=now
            )

    async def close(self) -> None:
        """Let go of connections; sessions stay. One that is overridden calls this one, too."""
        await self.kernel_cells.close()
        await self.relays.close()

    async def reconnect(self) -> None:
        """Credentials are others now: use connections of before for nothing new; what is under way may end."""
        await self.close()

    # Signing in.

    def where(self) -> str:
        """The address that credentials are for. Errors: InvalidRequest."""
        return str(self.options.get(self.address_option, ""))

    def methods(self) -> builtins.list[SignInMethod]:
        """How one can sign in, the usual way first; none where nobody needs to. What was given is in `given`."""
        return []

    def given(self, where: str | None = None) -> Credentials | None:
        """What somebody signed in with, which goes before all that is configured. Errors: Unauthorized.

        `where` is the address that it is to be used at, if that has been found out already.
        """
        methods = self.methods()
        found = self.ring.get(self.where() if where is None else where) if methods else None
        return found if found is not None and fits(methods, found) else None

    def describe(self) -> BackendDescription:
        """Return what another process makes this backend of. Errors: NotSupported for options that cannot be sent."""
        kind, where, given = builtins.type(self), self.where(), self.given()
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

    def sign_in_state(self) -> SignIn:
        """How things stand, as far as can be told without asking anybody; may look at files."""
        return SignIn(methods=self.methods())

    async def sign_in(self, given: Credentials, *, remember: bool = False) -> None:
        """Sign in: another backend like this one tries, and only what it gets in with is kept.

        Errors: InvalidRequest naming the field; what the backend says, in which case nothing has changed.
        """
        given, where = checked(self.methods(), given), self.where()
        trial = builtins.type(self)(self.name, title=self.title, **self.options)
        trial.ring = CredentialStore(self.name, Kept(where, given))
        try:
            await trial.list(Query(limit=1))
        except SessionError as error:
            raise without_secrets(error, given, self.methods()) from None
        finally:
            await trial.close()
        if self.where() != where:
            raise InvalidRequest(f"The address of {self.title} has changed meanwhile.", hint="Try again.")
        self.ring.keep(given, where, remember=remember)
        await self.reconnect()

    async def sign_out(self) -> None:
        """Forget what somebody signed in with; what is configured holds again."""
        self.ring.forget()
        await self.reconnect()

    async def probe(self) -> str:
        """What answers at its address, and its version, for people; needs no credentials.

        What it finds out on the way it adds to `options`. Errors: BackendUnavailable, BadAnswer for
        something else than this type of backend.
        """
        raise self._cannot("be tried without credentials")

    @classmethod
    def can_be_taken_over(cls) -> bool:
        """Return whether it has managers of several versions; see `take_over`."""
        return cls.take_over is not Backend.take_over

    def capabilities(self) -> builtins.list[str]:
        """Names of the optional methods it implements."""
        kind = builtins.type(self)
        kernels = WITH_KERNELS if self.knows_kernels() else ()
        return [
            name for name in OPTIONAL if getattr(kind, name) is not getattr(Backend, name) or name in kernels
        ]

    @classmethod
    def found(cls) -> dict[str, Any] | None:
        """Options of a backend of this type that the environment names, None if it names none."""
        return None

    @classmethod
    def configured(cls, config: JupyterSessions, kernel_spec_manager: Any) -> dict[str, Any]:
        """Return options that follow from the rest of the configuration; those of a backend's own go before."""
        return {}

    @classmethod
    def same(cls, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """Whether options lead to the same place."""
        return one == other

    def _seconds(self, usual: float) -> float:
        """How long an answer may take, of the option `timeout`. Errors: InvalidRequest."""
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
