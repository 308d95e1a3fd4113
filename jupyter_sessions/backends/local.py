"""This machine: speaks the API of its session manager, which is started on first use."""

from __future__ import annotations

import asyncio
import builtins
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from jupyter_sessions.amounts import GPU_SLOT, SHARES_SLOT, parse_slots
from jupyter_sessions.backends.backendai.access import Signed
from jupyter_sessions.backends.backendai.backend import vendor_environment
from jupyter_sessions.backends.backendai.catalog import folders_of
from jupyter_sessions.backends.backendai.event_stream import Watcher
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.base import Query, Storage
from jupyter_sessions.backends.kernelspec_images import KernelspecImages
from jupyter_sessions.backends.local_keys import LocalKeys
from jupyter_sessions.backends.local_manager import ManagerState, outdated, state_folder
from jupyter_sessions.backends.local_manager import find as find
from jupyter_sessions.backends.local_manager import start as start
from jupyter_sessions.backends.local_rows import PATH, LocalRows
from jupyter_sessions.backends.local_versions import (
    is_before,
    is_other,
    may_replace,
    refusal,
    take_over,
)
from jupyter_sessions.backends.recent import Recent
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.backends.signin import SignIn, SignInMethod
from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.durations import parse_duration
from jupyter_sessions.errors import (
    InvalidRequest,
    NotEnough,
    NotFound,
    NotSupported,
    SessionError,
)
from jupyter_sessions.model import (
    TYPES,
    Choices,
    Endpoint,
    KernelConnection,
    ProcessId,
    SessionInfo,
)
from jupyter_sessions.wire.descriptors import HANDOVER
from jupyter_sessions.wire.places import Contact
from jupyter_sessions.wire.process_context import bounds, in_session, visible_devices

_LOOK_SECONDS = 1.0
_HOLD_SECONDS = 10.0
_REPLACE_SECONDS = 30.0
"""How often a manager of an earlier version is asked whether it may be replaced."""
_CREATES_AT_ONCE = 8
_BOUNDS = ("CPU_LIMIT", "MEM_LIMIT", "CUDA_VISIBLE_DEVICES")
_BOUNDS_SECONDS = 0.25
_DEFAULT_CPUS = 4
_MEMORY_STEP = 128 * 1024**2


class Local(KernelspecImages, LocalKeys, LocalRows):
    """Sessions on this machine.

    Options: `kernel_spec_manager` (whose environments are offered); `default_resources`,
    `idle_timeout` and `time_limit` of sessions that ask for none.
    """

    type = "local"
    type_title = "This machine"
    place = "this machine"
    takes = EVERY - {"priority", "resource_group", "owner_access_key"}
    types = TYPES
    built_in = True
    on_this_machine = True
    first_come = True
    notifies = True
    address_option = ""
    storage = Storage(about="Files stay when a session ends.")
    page_size = 1000
    more_fields = " local"

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **{"title": "This machine", **options})
        self._contact: Contact | None = None
        self._by_socket = True
        self._looked = -_REPLACE_SECONDS
        self._creating = asyncio.Semaphore(_CREATES_AT_ONCE)
        self._recent_totals = Recent(self._totals)

    # Finding the manager.

    async def client(self) -> ManagerClient:
        """Return the connection to this machine's manager, which is started unless it runs.

        A manager of an earlier version is replaced if nothing would be lost.

        Errors: NotSupported on Windows; BackendUnavailable with the reason why it did not start, or for one that
        speaks another protocol.
        """
        if sys.platform == "win32":
            raise NotSupported(
                "Sessions on this machine need Linux or macOS.", hint="Use WSL, or a remote backend."
            )
        async with self._starting:
            contact = find()
            if contact is None:
                contact = await asyncio.to_thread(start)
            if is_other(contact):
                raise refusal(contact)
            client = await self._connected(contact)
            if not is_before(contact) or not await self._is_replaceable(client):
                return client
            return await self._connected(await asyncio.to_thread(take_over, contact))

    async def _connected(self, contact: Contact) -> ManagerClient:
        by_socket = _there(contact.socket)
        if self._client is None or contact != self._contact or by_socket != self._by_socket:
            await self.close()
            self._client = self._connect(contact, by_socket)
            self._contact, self._by_socket = contact, by_socket
        return self._client

    async def _is_replaceable(self, client: ManagerClient) -> bool:
        """Return whether this version may take over from an earlier one; asked now and then."""
        now = time.monotonic()
        if now < self._looked + _REPLACE_SECONDS or in_session():
            return False
        self._looked = now
        with suppress(SessionError):
            return may_replace(await _state_of(client))
        return False

    def _connect(self, contact: Contact, by_socket: bool) -> ManagerClient:
        """Speak to a manager by its unix socket, or by its port while somebody has deleted the socket."""
        dialect = Dialect(ours=True)  # So that a process that asks once need not ask twice.
        return ManagerClient(
            ["http://localhost" if by_socket else contact.url],
            Signed(contact.keypair),
            who=self.title,
            socket=contact.socket if by_socket else None,
            dialect=dialect,
            trust_env=False,
        )

    # What differs from a remote one.

    def sign_in_methods(self) -> builtins.list[SignInMethod]:
        """Return none: the manager's contact file holds the key."""
        return []

    def sign_in_state(self) -> SignIn:
        """Return that nobody needs to sign in."""
        return SignIn()

    async def client_environment(self) -> dict[str, str]:
        """Return the variables that the clients of Backend.AI and CANFAR read. Source: backend.ai-client 23.9.10, canfar 1.5.2."""
        await self.client()
        assert self._contact is not None  # noqa: S101
        contact = self._contact
        skaha = {"CANFAR_URL": f"{contact.url}/skaha/v1", "CANFAR_TOKEN": contact.bearer()}
        return vendor_environment(contact.url, contact.keypair) | skaha

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return sessions, without starting a manager that would have none."""
        if not _worth_starting(query):
            return []
        return await super().list(query)

    @classmethod
    def options_from_environment(cls) -> dict[str, Any] | None:
        """Return None: it needs no environment."""
        return None

    @classmethod
    def configured(cls, config: JupyterSessions, kernel_spec_manager: Any) -> dict[str, Any]:
        """Return the defaults for sessions on this machine."""
        return super().configured(config, kernel_spec_manager) | {
            "default_resources": config.default_resources,
            "idle_timeout": config.idle_timeout,
            "time_limit": config.time_limit,
        }

    async def choices(self) -> Choices:
        """Return the folders of the configuration."""
        return Choices(folders=folders_of(await (await self.client()).request("GET", "/folders")))

    async def create(self, request: SessionRequest) -> SessionInfo:
        """Queue a session."""
        async with self._creating:  # Many at once would stop the loop for long before they wait.
            for field in ("idle_timeout", "time_limit"):
                if getattr(request, field) is None:
                    setattr(request, field, parse_duration(self.options.get(field) or 0, field=field))
            return await self.send_create(request)

    async def default_resources(self, asked: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return a part of the machine: as configured, else up to 4 CPUs and a quarter of memory.

        With k of n GPUs, at least k/n of both.
        """
        configured = parse_slots(self.options.get("default_resources") or {})
        if asked.keys() >= {"cpu", "mem", *configured}:
            return {}
        there = await self._recent_totals.get(self.of_asker())
        share = min(Decimal(1), max(_part(asked, there, slot) for slot in (GPU_SLOT, SHARES_SLOT)))
        cpus = max(min(Decimal(_DEFAULT_CPUS), there["cpu"]), there["cpu"] * share)
        memory = there["mem"] * max(Decimal("0.25"), share) // _MEMORY_STEP * _MEMORY_STEP
        chosen = {"cpu": cpus, "mem": memory} | configured
        return {name: amount for name, amount in chosen.items() if name not in asked}

    async def suggested_resources(self) -> dict[str, Decimal]:
        """Return the default amounts, but of CPUs half, at least 1, unless they are configured.

        With all of them the next session that is asked for with the form would have to wait.
        """
        amounts = await self.default_resources({})
        if "cpu" not in parse_slots(self.options.get("default_resources") or {}):
            there = (await self._totals())["cpu"]
            amounts["cpu"] = min(there, max(Decimal(1), there // 2))
        return amounts

    async def _totals(self) -> dict[str, Decimal]:
        capacity = await self.capacity()
        return {
            name: next(iter(parse_slots({name: amount.total}).values()), Decimal(0))
            for name, amount in capacity.items()
        }

    async def open_service(self, id: str, name: str, base_url: str) -> Endpoint:
        """The unix socket of a service, started if need be. Errors: NoRoom, ServiceEnded."""
        return await self._start_service(id, name, base_url=base_url, again=False)

    async def start_service(
        self, id: str, name: str, base_url: str, arguments: Mapping[str, str], *, forced: bool = False
    ) -> None:
        """Start a service. Errors: NoRoom."""
        await self._start_service(id, name, base_url=base_url, forced=forced, **arguments)

    async def _start_service(self, id: str, name: str, **arguments: object) -> Endpoint:
        body = {"app": name, "arguments": msgspec.json.encode(arguments).decode()}
        answer = await (await self.client()).request("POST", f"/session/{id}/start-service", json=body)
        scheme, _, path = str(answer["wsproxy_addr"]).partition("://")
        handover, base_url = scheme == HANDOVER, answer.get("base_url")
        at_root = bool(answer.get("at_root", handover))
        headers = answer.get("headers") or {}
        return Endpoint(path, at_root=at_root, base_url=base_url, hands_over=handover, headers=headers)

    async def manager_state(self) -> ManagerState | None:
        """What the manager that runs says of itself; None if none runs, or it is of a version that does not say."""
        if find() is None:
            return None
        try:
            return await _state_of(await self.client())
        except (NotFound, NotSupported):
            return ManagerState(options=None)

    async def remarks(self) -> builtins.list[str]:
        """Return how the manager that runs differs from what is configured, and what it has lost."""
        if sys.platform == "win32":
            return []
        try:
            state = await self.manager_state()
        except SessionError as error:
            return [str(self.notice() or f"The session manager of this machine does not answer: {error}")]
        found = (self.notice() or outdated(state), state.notice if state else "")
        return [str(one) for one in found if one]

    async def send_create(self, request: SessionRequest) -> SessionInfo:
        """Ask for a session, once. A refusal by a manager that does not follow the configuration says so."""
        try:
            return await super().send_create(request)
        except (InvalidRequest, NotEnough) as error:
            with suppress(SessionError):
                state = await self.manager_state()
                error.hint = " ".join(filter(None, (error.hint, outdated(state))))
            raise

    def of_asker(self) -> dict[str, Any]:
        """Return the limits of this process, because those of whoever started the manager may differ."""
        said = tuple(os.environ.get(name) for name in _BOUNDS)
        return _of_asker(int(time.monotonic() / _BOUNDS_SECONDS), said)

    async def service_log(self, id: str, name: str) -> str:
        """Return the end of what a service printed."""
        answer = await (await self.client()).request("GET", f"{PATH}/{id}/service-log", params={"app": name})
        return str(answer["result"]["logs"])

    async def outputs(self, id: str, which: Selection) -> Outputs:
        """Return the outputs in the manager's journal."""
        answer = await (await self.client()).request("GET", f"{PATH}/{id}/outputs", params=which.params())
        return msgspec.convert(answer["result"], Outputs)

    async def renew(self, id: str) -> SessionInfo:
        """Restart idle timeout and time limit."""
        await (await self.client()).request("POST", f"{PATH}/{id}/renew")
        return await self.get(id)

    async def record_use(self, id: str) -> None:
        """Tell the manager about input that does not pass through it."""
        await (await self.client()).request("POST", f"{PATH}/{id}/touch")

    async def set_environ(self, id: str, environ: dict[str, str]) -> None:
        """Have the manager keep the variables."""
        await (await self.client()).request("POST", f"{PATH}/{id}/environ", json={"environ": environ})

    async def connection(
        self, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """Return the addresses of the session's relay."""
        body = {"owner": msgspec.to_builtins(owner), "patience": patience}
        answer = await (await self.client()).request("POST", f"{PATH}/{id}/connection", json=body)
        return msgspec.convert(answer, KernelConnection)

    async def next_change(self, row: SessionInfo) -> None:
        """Return when the manager says so: asking it again and again would slow down the start of a session."""
        seen = row.status_changed.isoformat() if row.status_changed else ""
        params = {"seen": seen, "name": row.name, "within": str(_HOLD_SECONDS)}
        client = await self.client()
        await client.request("GET", f"{PATH}/{row.id}/change", params=params, wait=_HOLD_SECONDS)

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """Yield rows as for remote managers, without starting a manager that would have no sessions."""
        first = True
        while not _worth_starting(Query()):
            if first:
                yield []
            first = False
            await asyncio.sleep(_LOOK_SECONDS)
        other = await self._other_manager()
        async for rows in self._watch_other() if other else Watcher(self, look=self.rows_of).stream():
            yield rows


async def _state_of(client: ManagerClient) -> ManagerState:
    return msgspec.convert(await client.request("GET", "/jupyter-sessions/manager"), ManagerState)


@lru_cache(maxsize=1)
def _of_asker(moment: int, said: tuple[str | None, ...]) -> dict[str, Any]:
    return {"bounds": bounds(os.environ), "visible_devices": visible_devices(os.environ)}


def _there(socket: str) -> bool:
    """Return whether the manager's unix socket exists."""
    return os.path.exists(socket)


def _worth_starting(query: Query) -> bool:
    where = state_folder()
    if where.running() or where.live_file.exists() or where.secondary.live_file.exists():
        return True
    return query.status != "live" and (where.folder / "sessions.db").exists()


def _part(asked: Mapping[str, Decimal], there: Mapping[str, Decimal], slot: str) -> Decimal:
    """Return the share of a slot that is requested."""
    return asked.get(slot, Decimal(0)) / max(there.get(slot, Decimal(0)), Decimal(1))
