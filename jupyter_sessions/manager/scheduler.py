"""Who may start now, and why the others wait. Pure: no clock, no processes.

First come, first served for each slot: a session may overtake one that waits only if it asks for
none of the slots that the waiting one is short of, so a queue for GPUs does not hold up CPU work
and nobody starves.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from jupyter_sessions.errors import InvalidRequest, NotEnough
from jupyter_sessions.manager.record import Record
from jupyter_sessions.model import GPU_SLOT, MEMORY_SLOTS, format_number, slot_label

Slots = dict[str, Decimal]
MINIMUM: Slots = {"cpu": Decimal(1), "mem": Decimal(512 * 1024**2)}
_LEAST: Slots = {"cpu": Decimal("0.01"), "mem": Decimal(64 * 1024**2)}
_ROOM = "sessions"


class Capacity(msgspec.Struct, frozen=True):
    """What this machine gives to all sessions together; `gpus` are the devices by identifier."""

    slots: Slots
    gpus: list[str]
    max_sessions: int = 0

    def check(self, slots: Slots) -> None:
        """Errors: InvalidRequest for unknown slots, NotEnough for more than there can ever be."""
        for name, amount in slots.items():
            if name != GPU_SLOT and name not in self.slots:
                known = ", ".join(sorted({*self.slots, GPU_SLOT}))
                raise InvalidRequest(
                    f"'{name}' is no resource of this machine.", hint=f"There are: {known}.", field=name
                )
            if name == GPU_SLOT and amount != amount.to_integral_value():
                raise InvalidRequest(
                    f"{name}: a part of a GPU cannot be had here.", hint="Ask for whole ones.", field=name
                )
            self._check_amount(name, amount)

    def _check_amount(self, name: str, amount: Decimal) -> None:
        total = self.slots.get(name, Decimal(0))
        if amount > total:
            asked, there = slot_label(name, amount), slot_label(name, total)
            if not total:
                raise NotEnough(
                    f"{asked} asked for, but this machine has none.", hint=self._offer(), field=name
                )
            raise NotEnough(
                f"{asked} asked for, but this machine has {there}.", hint=self._offer(), field=name
            )
        least = _LEAST.get(name, Decimal(0))
        if amount < least:
            hint = f"Ask for at least {slot_label(name, least)}."
            raise InvalidRequest(f"{name}: this is too little to start.", hint=hint, field=name)

    def _offer(self) -> str:
        parts = [slot_label(name, amount) for name, amount in self.slots.items() if amount]
        return f"Available at most: {', '.join(parts)}."


class Decision(msgspec.Struct, frozen=True):
    """What to do with a pending session: start it with these GPUs, or the reason why it waits."""

    id: str
    start: bool
    gpus: list[str] = []
    reason: str = ""


def used(records: Iterable[Record]) -> Slots:
    """What sessions hold together, by slot."""
    total: Slots = {}
    for record in records:
        for name, amount in record.slots.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def decide(capacity: Capacity, pending: Iterable[Record], holding: Iterable[Record]) -> list[Decision]:
    """For each pending session, in order, whether it starts now."""
    queue = _Queue(capacity, list(holding))
    return [queue.decide(record) for record in pending]


class _Queue:
    """What is free while one pending session after the other is looked at.

    `ahead` counts by slot those that wait for it; for room under `max_sessions` they wait, too.
    """

    def __init__(self, capacity: Capacity, holding: list[Record]) -> None:
        taken = used(holding)
        self.total = capacity.slots
        self.free = {name: amount - taken.get(name, Decimal(0)) for name, amount in capacity.slots.items()}
        self.gpus = [gpu for gpu in capacity.gpus if all(gpu not in record.gpus for record in holding)]
        self.room = capacity.max_sessions - len(holding) if capacity.max_sessions else None
        self.ahead: dict[str, int] = {}

    def decide(self, record: Record) -> Decision:
        """Start it or let it wait."""
        never = {
            name: amount for name, amount in record.slots.items() if amount > self.total.get(name, Decimal(0))
        }
        if never:  # The machine has become smaller; others need not wait for that.
            return Decision(record.id, False, reason=self._never(never))
        blocked = self._short(record) or self.ahead.keys() & record.slots.keys()
        if not blocked and self.room is not None and self.room <= 0:
            blocked = {_ROOM}
        if not blocked:
            return self._start(record)
        reason = self._reason(record, blocked)
        for name in blocked:
            self.ahead[name] = self.ahead.get(name, 0) + 1
        return Decision(record.id, False, reason=reason)

    def _short(self, record: Record) -> set[str]:
        short = {name for name, amount in record.slots.items() if amount > self.free.get(name, Decimal(0))}
        return short | ({GPU_SLOT} if _gpus(record) > len(self.gpus) else set())

    def _start(self, record: Record) -> Decision:
        count = _gpus(record)
        given, self.gpus = self.gpus[:count], self.gpus[count:]
        self.room = None if self.room is None else self.room - 1
        for name, amount in record.slots.items():
            self.free[name] = self.free.get(name, Decimal(0)) - amount
        return Decision(record.id, True, given)

    def _reason(self, record: Record, blocked: Iterable[str]) -> str:
        waits = " and ".join(self._wait_for(record, name) for name in sorted(blocked))
        place = 1 + max(self.ahead.get(name, 0) for name in blocked)
        return f"waiting for {waits}" + (f", {_ordinal(place)} in the queue" if place > 1 else "")

    def _wait_for(self, record: Record, name: str) -> str:
        if name == _ROOM:
            return "another session to end"
        has = max(self.free.get(name, Decimal(0)), Decimal(0))
        return f"{slot_label(name, record.slots[name])} ({_amount(name, has)} free)"

    def _never(self, wanted: Slots) -> str:
        parts = [
            f"{slot_label(name, amount)} (this machine has {_amount(name, self.total.get(name, Decimal(0)))})"
            for name, amount in sorted(wanted.items())
        ]
        return f"waiting for {' and '.join(parts)}"


def _gpus(record: Record) -> int:
    return int(record.slots.get(GPU_SLOT, 0))


def _amount(name: str, amount: Decimal) -> str:
    return slot_label(name, amount) if name in MEMORY_SLOTS else format_number(amount)


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
