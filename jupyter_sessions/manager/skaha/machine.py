"""The resources of this machine and their use. Source: servers up to 1.4.0, and seed 004 for older names."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import GPU_SLOT
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.schedule.placement import DEFAULT_SLOTS, Slots, used
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.manager.skaha.rows import TYPES, gpus

_GIB = 1024**3


def stats(sessions: SessionManager) -> dict[str, Any]:
    """Return the use by all sessions together. "Available" is the total, "requested" what is in use."""
    total, taken = _most(sessions), used(record for record in sessions.live if record.holds_slots)
    counts = Counter(TYPES.get(record.type, record.type) for record in sessions.live if record.holds_slots)
    cores, ram = _number(total["cpu"]), _gib(total["mem"])
    return {
        "instances": {
            "session": counts["notebook"],
            "desktopApp": 0,
            "headless": counts["headless"],
            "total": counts.total(),
        },
        "cores": {
            "requestedCPUCores": _number(taken.get("cpu", Decimal(0))),
            "cpuCoresAvailable": cores,
            "coresAvailable": cores,
            "maxCPUCores": {"cpuCores": cores, "withRam": ram},
            "maxCores": {"cores": cores, "withRam": ram},
        },
        "ram": {
            "requestedRAM": _gib(taken.get("mem", Decimal(0))),
            "ramAvailable": ram,
            "maxRAM": {"ram": ram, "withCPUCores": cores, "withCores": cores},
        },
        "gpu": {
            "requestedGPU": _number(gpus(sessions.capacity, taken)),
            "gpuAvailable": _number(total[GPU_SLOT]),
        },
    }


def context(sessions: SessionManager, who: Key) -> dict[str, Any]:
    """Return the amounts to choose from; memory in GiB."""
    total = _most(sessions)
    usual = {"cpu": DEFAULT_SLOTS["cpu"], "mem": DEFAULT_SLOTS["mem"] / _GIB}
    most = {"cpu": int(total["cpu"]), "mem": int(total["mem"] // _GIB), GPU_SLOT: int(total[GPU_SLOT])}
    return {
        "cores": _choice(usual["cpu"], most["cpu"]),
        "memoryGB": _choice(usual["mem"], most["mem"]),
        "gpus": {"options": [*range(1, most[GPU_SLOT] + 1)]},
        "maxInteractiveSessions": who.max_sessions or sessions.capacity.max_sessions or max(most["cpu"], 1),
    }


def _choice(usual: Decimal, most: int) -> dict[str, Any]:
    number = _number(usual)
    return {
        "default": number,
        "defaultRequest": number,
        "defaultLimit": number,
        "options": [*range(1, most + 1)],
    }


def _most(sessions: SessionManager) -> Slots:
    """Return the totals of this machine, with GPUs as whole devices."""
    slots = sessions.capacity.slots
    return {"cpu": Decimal(0), "mem": Decimal(0)} | slots | {GPU_SLOT: gpus(sessions.capacity, slots)}


def _number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _gib(amount: Decimal) -> str:
    return f"{_number(round(amount / _GIB, 2))}G"
