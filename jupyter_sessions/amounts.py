"""Parse and format amounts of memory, processors and devices."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from jupyter_sessions.errors import InvalidRequest

_UNITS = {unit: 1024**power for power, unit in enumerate("bkmgtpe")}
_SIZE = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([bkmgtpe]?)(?:i?b|i?bytes)?", re.ASCII | re.IGNORECASE)
MEMORY_SLOTS = frozenset({"mem", "shmem"})
GPU_SLOT = "cuda.device"
SHARES = ".shares"
SHARES_SLOT = f"cuda{SHARES}"
_SLOT_ALIASES = {"cuda.devices": GPU_SLOT, "memory": "mem", "cpus": "cpu"}


def parse_size(value: object, *, field: str = "mem", unit: str = "b") -> int:
    """Return the bytes in "512m", "1.5 GiB", "4gb", or in a number of `unit`. All suffixes are binary.

    Errors: InvalidRequest for anything else, and for amounts that are not a whole number of bytes.
    """
    hint = "Give a size such as 512m or 4g."
    match = _SIZE.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise InvalidRequest(f"'{value}' is not an amount of memory.", hint=hint, field=field)
    amount = Decimal(match[1].replace("_", "")) * _UNITS[(match[2] or unit).lower()]
    if amount != amount.to_integral_value():
        raise InvalidRequest(f"'{value}' is not a whole number of bytes.", hint=hint, field=field)
    if not 0 < amount < 2**63:
        raise InvalidRequest(f"'{value}' is not between 1 byte and 8 EiB.", hint=hint, field=field)
    return int(amount)


def format_size(size: int) -> str:
    """Return the shortest exact form of a number of bytes: "512m", "3g", "1000" (bytes)."""
    for power in range(6, 0, -1):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{'bkmgtpe'[power]}"
    return str(size)


def human_size(size: float) -> str:
    """Return a number of bytes for people, in binary units with three digits: "512 MiB", "1.46 GiB"."""
    if size < 1024:
        return f"{size:.0f} bytes"
    power = min(int(math.log2(size) // 10), 6)
    return f"{size / 1024**power:.3g} {'KMGTPE'[power - 1]}iB"


def parse_count(value: object, *, field: str) -> Decimal:
    """Return a positive number of CPUs or devices.

    Errors: InvalidRequest for zero, negative, infinite or unreadable amounts.
    """
    hint = f"Give a number above 0, for example {field}=1."
    try:
        amount = Decimal(str(value).strip()) if not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise InvalidRequest(f"'{value}' is not a number for '{field}'.", hint=hint, field=field)
    if amount <= 0 or amount > 10**6:
        raise InvalidRequest(
            f"'{value}' for '{field}' must be above 0 and at most a million.", hint=hint, field=field
        )
    return amount


def parse_slots(resources: dict[str, Any], *, unit: str = "b") -> dict[str, Decimal]:
    """Return amounts by slot name, memory in bytes. A request for zero GPUs means none.

    Errors: InvalidRequest that names the slot.
    """
    slots: dict[str, Decimal] = {}
    for key, value in resources.items():
        name = _SLOT_ALIASES.get(key, key)
        if name in slots:
            raise InvalidRequest(
                f"The resource '{name}' is given twice.", hint="Leave out one of them.", field=name
            )
        if value is None or (name not in ("cpu", "mem") and str(value).strip() in ("0", "")):
            continue
        if name in MEMORY_SLOTS:
            slots[name] = Decimal(parse_size(value, field=name, unit=unit))
        else:
            slots[name] = parse_count(value, field=name)
    return slots


def format_number(amount: Decimal) -> str:
    """Return a decimal without exponent or trailing zeros: "1", "0.5", "10"."""
    return f"{amount.normalize():f}"


def format_slots(slots: dict[str, Decimal]) -> dict[str, str]:
    """Return amounts in the common form of all interfaces: {"cpu": "1", "mem": "512m"}."""
    return {
        name: format_size(int(amount)) if name in MEMORY_SLOTS else format_number(amount)
        for name, amount in slots.items()
    }


def slot_label(name: str, amount: Decimal) -> str:
    """Return an amount of a slot in words: "2 CPU", "512 MiB", "1 GPU", "3 tpu.device"."""
    if name in MEMORY_SLOTS:
        return human_size(float(amount))
    share = "GPU share" if amount == 1 else "GPU shares"
    word = {"cpu": "CPU", GPU_SLOT: "GPU", SHARES_SLOT: share}.get(name, name)
    return f"{format_number(amount)} {word}"
