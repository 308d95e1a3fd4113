"""The least resources of an environment's sessions: what the kernel needs to start.

A kernelspec can ask for more in its `metadata`, with the labels that images have for managers 23.09 to 26.8:
``"ai.backend.resource.min.mem": "2g"``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import format_slots, parse_slots
from jupyter_sessions.errors import InvalidRequest

LABEL = "ai.backend.resource.min."
START = {"cpu": Decimal("0.01"), "mem": Decimal(64 * 1024**2)}
"""The minimum of every environment. An idle ipykernel takes 36 MiB, or 52 MiB with its files (7.x, Python 3.11)."""

_log = logging.getLogger(__name__)


def minimum_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the minimum that a kernelspec's metadata asks for, raised to what any kernel needs."""
    return format_slots(at_least(_stated(metadata), START))


def at_least(slots: Mapping[str, Decimal], least: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the amounts, each raised to its minimum."""
    return {**least, **{name: max(amount, least.get(name, amount)) for name, amount in slots.items()}}


def check(slots: Mapping[str, Decimal], least: Mapping[str, Decimal]) -> None:
    """Check that no slot has less than its minimum. Errors: InvalidRequest naming the slot.

    Source of the words: managers 23.09 to 26.8.
    """
    for name, amount in least.items():
        if slots.get(name, Decimal(0)) < amount:
            known = format_slots(dict(least))
            all_ = " ".join(f"{slot}={text}" for slot, text in known.items())
            raise InvalidRequest(
                f"Your resource request is smaller than the minimum required by the image. ({all_})",
                hint=f"Ask for at least {name}={known[name]}.",
                field=name,
            )


def _stated(metadata: Mapping[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for label, amount in metadata.items():
        if label.startswith(LABEL):
            try:
                found |= parse_slots({label.removeprefix(LABEL): amount})
            except InvalidRequest as error:
                _log.warning("A kernelspec's %s is ignored: %s", label, error)
    return found
