"""The least that a session of an environment can be given: what its kernel needs to start.

Whoever makes a kernelspec can ask for more in its `metadata`, by the labels that images have for
managers 23.09 to 26.8: ``"ai.backend.resource.min.mem": "2g"``.
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
"""For all environments. An idle ipykernel holds 36 MiB by itself and 52 MiB with its files (7.x, Python 3.11)."""

_log = logging.getLogger(__name__)


def minimum_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The amounts that a kernelspec's metadata asks for, or more where no kernel starts with so little."""
    return format_slots(at_least(_stated(metadata), START))


def at_least(slots: Mapping[str, Decimal], least: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The amounts, raised where there is to be more."""
    return {**least, **{name: max(amount, least.get(name, amount)) for name, amount in slots.items()}}


def check(slots: Mapping[str, Decimal], least: Mapping[str, Decimal]) -> None:
    """Errors: InvalidRequest naming the slot of which there is too little. Source of its words: managers 23.09 to 26.8."""
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
