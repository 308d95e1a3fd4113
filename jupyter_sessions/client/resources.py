"""The resources of a session from the arguments of Python's clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import GPU_SLOT, SHARES, format_number, format_slots, parse_count, parse_slots
from jupyter_sessions.client.api import Api
from jupyter_sessions.errors import InvalidRequest

Number = int | float | str
_GPU_ENDINGS = (".device", SHARES)


async def resources_of(
    api: Api,
    backend: str | None,
    *,
    cpu: Number | None = None,
    mem: Number | None = None,
    gpu: Number | None = None,
    others: Mapping[str, Any] = {},
) -> dict[str, str]:
    """Return amounts by slot; memory without a unit is in MiB, and `gpu` counts whole GPUs.

    Errors: InvalidRequest for an amount that cannot be read, or is given twice.
    """
    given = parse_slots(dict(others), unit="m")
    asked: dict[str, Any] = {"cpu": cpu, "mem": mem}
    if gpu not in (None, 0, "0"):
        slot, amount = await gpu_slot(api, backend, parse_count(gpu, field="gpu"))
        asked[slot] = amount
    for slot, amount in asked.items():
        if amount is not None and slot in given:
            raise InvalidRequest(f"'{slot}' is given twice.", hint="Leave one of the two out.", field=slot)
    return format_slots(given | parse_slots(asked, unit="m"))


async def gpu_slot(api: Api, backend: str | None, count: Decimal) -> tuple[str, str]:
    """Return the slot in which a backend counts GPUs, and the amount of it that this many whole GPUs take.

    Errors: InvalidRequest if it has several kinds of GPU.
    """
    (info,) = await api.describe(backend or (await api.defaults()).backend)
    slots = [name for name in info.capacity if name.endswith(_GPU_ENDINGS)]
    if GPU_SLOT in slots or not slots:
        return GPU_SLOT, format_number(count)
    if len(slots) > 1:
        hint = f"Ask for one of the resources {', '.join(slots)} instead."
        raise InvalidRequest("There are several kinds of GPU.", hint=hint, field="gpu")
    return slots[0], format_number(count * Decimal(info.capacity[slots[0]].device or 1))


def working_folder(given: str | os.PathLike[str] | None) -> str:
    """Return the absolute path of the folder that a session works in: this program's own unless one is given."""
    return os.path.abspath(os.path.expanduser(given or os.getcwd()))
