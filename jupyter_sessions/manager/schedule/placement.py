"""Decide which pending sessions may start, and why the others wait. Pure: no clock, no processes.

First come, first served for each slot: a session may overtake a waiting one only if it requests none of the slots
that the waiting session is short of. So a queue for GPUs does not delay CPU work, and no session starves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from jupyter_sessions.amounts import GPU_SLOT, MEMORY_SLOTS, SHARES_SLOT, format_number, slot_label
from jupyter_sessions.errors import InvalidRequest, NotEnough
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.gpus import Gpu, select

Slots = dict[str, Decimal]
DEFAULT_SLOTS: Slots = {"cpu": Decimal(1), "mem": Decimal(512 * 1024**2)}
"""The slots of a session that requests none."""
_ROOM = "sessions"
_ORDINALS = "First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth".split()
_MANY = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class Capacity(msgspec.Struct, frozen=True):
    """What all sessions of this machine may have together; `gpus` are the ids of the devices.

    With `gpu_shares` each device counts as that many `cuda.shares`, otherwise as one `cuda.device`. A `bounded` capacity
    is the part that one requester may have. `groups` are all GPUs of the machine, from which CUDA_VISIBLE_DEVICES selects.
    """

    slots: Slots
    gpus: list[str]
    max_sessions: int = 0
    gpu_shares: int = 0
    bounded: bool = False
    groups: list[list[Gpu]] = []

    def within(self, bounds: Slots, visible_devices: str | None = None) -> Capacity:
        """Return the part that a requester with these bounds and this CUDA_VISIBLE_DEVICES may have."""
        seen = {gpu.uuid for gpu in select(self.groups, visible_devices)}
        gpus = self.gpus if visible_devices is None else [gpu for gpu in self.gpus if gpu in seen]
        most = {self.gpu_slot: len(gpus) * self.whole} if len(gpus) < len(self.gpus) else {}
        less = {
            name: min(amount, bounds.get(name, amount), most.get(name, amount))
            for name, amount in self.slots.items()
        }
        if less == self.slots and gpus == self.gpus:
            return self
        return msgspec.structs.replace(self, slots=less, gpus=gpus, bounded=True)

    def parts(self, record: Record) -> list[Decimal]:
        """Return how much a session holds of each of its devices, in order: for each member, whole devices first."""
        whole = self.whole
        each = record.slots.get(self.gpu_slot, Decimal(0)) / record.size
        rest = each % whole
        return ([whole] * int(each // whole) + ([rest] if rest else [])) * record.size

    @property
    def whole(self) -> Decimal:
        """The amount of `gpu_slot` that one device provides."""
        return Decimal(self.gpu_shares or 1)

    @property
    def gpu_slot(self) -> str:
        """The slot by which sessions request devices."""
        return SHARES_SLOT if self.gpu_shares else GPU_SLOT

    def check(self, slots: Slots) -> None:
        """Check requested slots. Errors: InvalidRequest for unknown slots, NotEnough for more than the capacity."""
        for name, amount in slots.items():
            if name != self.gpu_slot and name not in self.slots:
                known = ", ".join(sorted({*self.slots, self.gpu_slot}))
                raise InvalidRequest(
                    f"This machine has no resource '{name}'.", hint=f"Choose from: {known}.", field=name
                )
            if name == GPU_SLOT and amount != amount.to_integral_value():
                raise InvalidRequest(
                    "This machine does not share GPUs between sessions.",
                    hint="Ask for whole GPUs.",
                    field=name,
                )
            self._check_amount(name, amount)

    def _check_amount(self, name: str, amount: Decimal) -> None:
        total = self.slots.get(name, Decimal(0))
        if amount > total:
            requested, there = slot_label(name, amount), slot_label(name, total)
            if not total and name == self.gpu_slot and self.bounded and self.groups:
                raise NotEnough(
                    "You may use no GPU of this machine.",
                    hint="Leave out `--gpu`, or change the CUDA_VISIBLE_DEVICES of the process that asks.",
                    field=name,
                )
            if not total and name == self.gpu_slot:
                raise NotEnough(
                    "This machine has no GPU.",
                    hint="Leave out `--gpu`, or choose a backend that has one: `%session backend list`.",
                    field=name,
                )
            if not total:
                raise NotEnough(
                    f"You asked for {requested}, but this machine has none.", hint=self._offer(), field=name
                )
            raise NotEnough(
                f"You asked for {requested}, but {'you may have' if self.bounded else 'this machine has'} {there}.",
                hint=self._offer(),
                field=name,
            )

    def _offer(self) -> str:
        parts = [slot_label(name, amount) for name, amount in self.slots.items() if amount]
        return f"Available at most: {', '.join(parts)}."


class Decision(msgspec.Struct, frozen=True):
    """The decision about a pending session: start it on these GPUs, or let it wait for a reason."""

    id: str
    start: bool
    gpus: list[str] = []
    reason: str = ""


def used(records: Iterable[Record]) -> Slots:
    """Return what sessions hold together, by slot."""
    total: Slots = {}
    for record in records:
        for name, amount in record.slots.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def free_gpus(capacity: Capacity, holding: Iterable[Record]) -> Decimal:
    """Return how much of the devices of `capacity` is free."""
    return sum(_FreeSlots(capacity, list(holding)).gpus.values(), Decimal(0))


def decide(
    capacity: Capacity,
    pending: Iterable[Record],
    holding: Iterable[Record],
    key_of: Callable[[str], Key | None] = lambda access_key: None,
) -> list[Decision]:
    """Decide about each pending session in order. `key_of` returns the key, and so the limits, of an access key."""
    free = _FreeSlots(capacity, list(holding))
    quotas = _Quotas(free.holding, key_of)
    return [quotas.decide(record) or quotas.count(record, free.decide(record)) for record in pending]


class _Quotas:
    """The use of the limits of keys and requesters. A session that waits for these limits delays no other key's sessions."""

    def __init__(self, holding: list[Record], key_of: Callable[[str], Key | None]) -> None:
        self._key_of = key_of
        self._holding = holding
        self._ahead: dict[str, set[str]] = {}

    def decide(self, record: Record) -> Decision | None:
        """Let a session wait if its key or its requester is at a limit, or return None."""
        return self._requester_limit(record) or self._key_limit(record)

    def _requester_limit(self, record: Record) -> Decision | None:
        """Check the bounds, which all sessions with the same bounds share, such as those of one container of a hub."""
        if not record.bounds:
            return None
        has = used(other for other in self._holding if other.bounds == record.bounds)
        for name, most in record.bounds.items():
            wanted = record.slots.get(name, Decimal(0))
            if has.get(name, Decimal(0)) + wanted > most:
                why = f"{_need(name, wanted)}: you may have {_amount(name, most)} at once"
                return Decision(record.id, False, reason=f"Waiting for {why}.")
        return None

    def _key_limit(self, record: Record) -> Decision | None:
        key = self._key_of(record.access_key)
        if key is None or not (key.max_sessions or key.max_slots):
            return None
        mine = [other for other in self._holding if other.access_key == key.access_key]
        if key.max_sessions and len(mine) >= key.max_sessions:
            why = f"another session of this key to end: it may run {key.max_sessions} at once"
            return Decision(record.id, False, reason=f"Waiting for {why}.")
        has, ahead = used(mine), self._ahead.setdefault(key.access_key, set())
        for name, most in key.max_slots.items():
            wanted = record.slots.get(name, Decimal(0))
            if wanted and (name in ahead or has.get(name, Decimal(0)) + wanted > most):
                ahead.add(name)
                why = f"{_need(name, wanted)}: this key may have {_amount(name, most)} at once"
                return Decision(record.id, False, reason=f"Waiting for {why}.")
        return None

    def count(self, record: Record, decision: Decision) -> Decision:
        """Count a session that starts."""
        if decision.start:
            self._holding = [*self._holding, record]
        return decision


class _Head(msgspec.Struct, frozen=True):
    """The first session that waits for a slot, and the text of what it waits for."""

    record: Record
    waits: str


class _FreeSlots:
    """What is free while one pending session after another is decided on.

    `ahead` counts the sessions that wait for each slot, and `heads` holds the first of them. A place under
    `max_sessions` counts as a slot, too.
    """

    def __init__(self, capacity: Capacity, holding: list[Record]) -> None:
        self.holding = holding
        taken = used(holding)
        self.total = capacity.slots
        self.free = {name: amount - taken.get(name, Decimal(0)) for name, amount in capacity.slots.items()}
        self.capacity = capacity
        self.gpus = dict.fromkeys(capacity.gpus, capacity.whole)
        for record in holding:
            self._assign(record, record.gpus)
        self.room = capacity.max_sessions - len(holding) if capacity.max_sessions else None
        self.ahead: dict[str, int] = {}
        self.heads: dict[str, _Head] = {}

    def decide(self, record: Record) -> Decision:
        """Start a session or let it wait."""
        most = self._capacity_for(record)
        never = {name: amount for name, amount in record.slots.items() if amount > most.get(name, Decimal(0))}
        if never:  # The machine has become smaller; other sessions need not wait.
            parts = []
            for name, amount in sorted(never.items()):
                whose = "this machine has" if most.get(name) == self.total.get(name) else "you may have"
                parts.append(f"{_need(name, amount)} ({whose} {_amount(name, most.get(name, Decimal(0)))})")
            return Decision(record.id, False, reason=f"Waiting for {' and '.join(parts)}.")
        short = {name for name, amount in record.slots.items() if amount > self.free.get(name, Decimal(0))}
        if self._place(record) is None:
            short.add(self.capacity.gpu_slot)
        blocked = short or self.ahead.keys() & record.slots.keys()
        if not blocked and self.room is not None and self.room <= 0:
            blocked = {_ROOM}
        if not blocked:
            return self._start(record)
        reason = self._reason(record, blocked)
        self._reserve(record, blocked)
        return Decision(record.id, False, reason=reason)

    def _reserve(self, record: Record, blocked: Iterable[str]) -> None:
        """Let later sessions wait behind this one.

        A session that may have only some devices reserves these devices, and delays no session that uses others.
        """
        if record.allowed_gpus is not None and self.capacity.gpu_slot in blocked:
            for gpu in record.allowed_gpus:
                if gpu in self.gpus:
                    self.gpus[gpu] = Decimal(0)
            blocked = {*blocked} - {self.capacity.gpu_slot}
        first = [name for name in sorted(blocked) if name not in self.ahead]
        head = _Head(record, self._waits(record, first))
        self.heads |= dict.fromkeys(first, head)
        for name in blocked:
            self.ahead[name] = self.ahead.get(name, 0) + 1

    def _allowed_gpus(self, record: Record) -> Slots:
        """Return how much is free of each device that a session may have."""
        allowed = record.allowed_gpus
        return {gpu: left for gpu, left in self.gpus.items() if allowed is None or gpu in allowed}

    def _capacity_for(self, record: Record) -> Slots:
        """Return the capacity for a session, which may be allowed only some of the devices."""
        slot = self.capacity.gpu_slot
        if record.allowed_gpus is None or slot not in self.total:
            return self.total
        devices = Decimal(sum(gpu in record.allowed_gpus for gpu in self.gpus))
        return self.total | {slot: min(self.total[slot], devices * self.capacity.whole)}

    def _place(self, record: Record) -> list[str] | None:
        """Return a device for each part, the fullest with room for it, or None if there is none."""
        free, given = self._allowed_gpus(record), list[str]()
        for part in self.capacity.parts(record):
            fits = [gpu for gpu, left in free.items() if left >= part]
            if not fits:
                return None
            given.append(min(fits, key=lambda gpu: free[gpu]))
            free[given[-1]] -= part
        return given

    def _assign(self, record: Record, gpus: list[str]) -> None:
        # A session from before a change of the shares has no parts.
        parts = self.capacity.parts(record) or [self.capacity.whole] * len(gpus)
        for gpu, part in zip(gpus, parts, strict=False):
            if gpu in self.gpus:
                self.gpus[gpu] -= part

    def _start(self, record: Record) -> Decision:
        given = self._place(record) or []
        self._assign(record, given)
        self.room = None if self.room is None else self.room - 1
        for name, amount in record.slots.items():
            self.free[name] = self.free.get(name, Decimal(0)) - amount
        return Decision(record.id, True, given)

    def _reason(self, record: Record, blocked: Iterable[str]) -> str:
        """Return which session it waits behind, and what that session waits for.

        Far back in the queue, only the approximate place is returned: anything else would change for all of them
        whenever a session starts.
        """
        longest = max(sorted(blocked), key=lambda name: self.ahead.get(name, 0))
        place = 1 + self.ahead.get(longest, 0)
        if place == 1:
            return f"Waiting for {self._waits(record, sorted(blocked))}."
        if place > len(_ORDINALS):
            many = max(number for number in _MANY if number < place)
            return f"Waiting in the queue, with at least {many} sessions before this one."
        head = self.heads[longest]
        known = head.record.access_key == record.access_key
        who = f"'{head.record.name}'" if known else "a session of another key"
        verb = "waits for" if longest == _ROOM else "needs"
        return f"Waiting behind {who}, which {verb} {head.waits}. {_ORDINALS[place - 1]} in the queue."

    def _waits(self, record: Record, names: Iterable[str]) -> str:
        return " and ".join(self._wait_for(record, name) for name in names)

    def _wait_for(self, record: Record, name: str) -> str:
        if name == _ROOM:
            return "another session to end"
        wanted, has = record.slots[name], max(self.free.get(name, Decimal(0)), Decimal(0))
        devices = self._allowed_gpus(record).values()
        if name == self.capacity.gpu_slot:
            has = min(has, sum(devices, Decimal(0)))
        if name == self.capacity.gpu_slot and has >= wanted:  # Enough, but spread over several GPUs.
            most = max(devices, default=Decimal(0))
            return f"{_need(name, wanted)} of one GPU (at most {_amount(name, most)} free)"
        return f"{_need(name, wanted)} ({_amount(name, has)} free)"


def _amount(name: str, amount: Decimal) -> str:
    return slot_label(name, amount) if name in MEMORY_SLOTS else format_number(amount)


def _need(name: str, amount: Decimal) -> str:
    """Return an amount for a sentence: "2 CPUs", "512 MiB", "1 GPU"."""
    plural = "s" if amount > 1 and name in ("cpu", GPU_SLOT) else ""
    return slot_label(name, amount) + plural
