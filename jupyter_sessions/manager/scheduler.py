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
from jupyter_sessions.model import GPU_SLOT, MEMORY_SLOTS, slot_label

Slots = dict[str, Decimal]
MINIMUM: Slots = {"cpu": Decimal(1), "mem": Decimal(512 * 1024**2)}
LEAST_MEMORY = 64 * 1024**2


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
                raise InvalidRequest(f"'{name}' is no resource of this machine.", hint=f"There are: {known}.", field=name)
            if name == GPU_SLOT and amount != amount.to_integral_value():
                raise InvalidRequest(f"{name}: a part of a GPU cannot be had here.", hint="Ask for whole ones.", field=name)
            self._check_amount(name, amount)

    def _check_amount(self, name: str, amount: Decimal) -> None:
        total = self.slots.get(name, Decimal(0))
        if amount > total:
            asked, there = slot_label(name, amount), slot_label(name, total)
            if not total:
                raise NotEnough(f"{asked} asked for, but this machine has none.", hint=self._offer(), field=name)
            raise NotEnough(f"{asked} asked for, but this machine has {there}.", hint=self._offer(), field=name)
        if name == "mem" and amount < LEAST_MEMORY:
            least = slot_label(name, Decimal(LEAST_MEMORY))
            raise InvalidRequest(f"mem: {slot_label(name, amount)} is too little to start.", hint=f"Ask for at least {least}.", field=name)

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
    held = list(holding)
    taken = used(held)
    free = {name: amount - taken.get(name, Decimal(0)) for name, amount in capacity.slots.items()}
    gpus = [gpu for gpu in capacity.gpus if all(gpu not in record.gpus for record in held)]
    room = capacity.max_sessions - len(held) if capacity.max_sessions else None
    waited_for: dict[str, int] = {}
    decisions = []
    for record in pending:
        short = {name for name, amount in record.slots.items() if amount > free.get(name, Decimal(0))}
        if int(record.slots.get(GPU_SLOT, 0)) > len(gpus):
            short.add(GPU_SLOT)
        blocked = short or waited_for.keys() & record.slots.keys()
        if blocked or room == 0:
            decisions.append(Decision(record.id, False, reason=_reason(record, blocked, free, waited_for)))
            for name in blocked:
                waited_for[name] = waited_for.get(name, 0) + 1
            continue
        count = int(record.slots.get(GPU_SLOT, 0))
        decisions.append(Decision(record.id, True, gpus[:count]))
        del gpus[:count]
        room = room - 1 if room is not None else None
        for name, amount in record.slots.items():
            free[name] = free.get(name, Decimal(0)) - amount
    return decisions


def _reason(record: Record, blocked: Iterable[str], free: Slots, waited_for: dict[str, int]) -> str:
    parts = []
    for name in sorted(blocked):
        has = max(free.get(name, Decimal(0)), Decimal(0))
        left = slot_label(name, has) if name in MEMORY_SLOTS else f"{has.normalize():f}"
        parts.append(f"{slot_label(name, record.slots[name])} ({left} free)")
    place = 1 + max((waited_for.get(name, 0) for name in blocked), default=0)
    waits = " and ".join(parts) if parts else "another session to end"
    return f"waiting for {waits}" + (f", {_ordinal(place)} in the queue" if place > 1 else "")


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
