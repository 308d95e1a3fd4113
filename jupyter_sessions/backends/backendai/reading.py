"""Values of answers: JSON, text that holds JSON or Python, amounts and times.

Source: managers 23.09 to 26.8. GraphQL has text that holds JSON; `GET /session/{ref}` up to 25.5 has text of
Python, such as "{'cpu': Decimal('1')}", and "None".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from jupyter_sessions.amounts import format_slots

_NONE = ("", "None", "null")
_DECIMAL = re.compile(r"Decimal\(('[^']*')\)")


def value_of(value: object) -> Any:
    """What text stands for; None if it stands for nothing."""
    if not isinstance(value, str):
        return value
    if value in _NONE:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return _python(value)


def _python(text: str) -> Any:
    try:
        return ast.literal_eval(_DECIMAL.sub(r"\1", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def mapping_of(value: object) -> dict[str, Any]:
    """An object; {} for anything else."""
    found = value_of(value)
    return {str(key): part for key, part in found.items()} if isinstance(found, Mapping) else {}


def list_of(value: object) -> list[Any]:
    """A list; [] for anything else."""
    found = value_of(value)
    return [*found] if isinstance(found, list | tuple) else []


def text_of(value: object) -> str:
    """Text; "" for nothing, however it is said."""
    return "" if value is None or value in _NONE else str(value)


def amounts_of(value: object) -> dict[str, Decimal]:
    """Amounts by slot; those that are no number are left out."""
    amounts: dict[str, Decimal] = {}
    for name, amount in mapping_of(value).items():
        try:
            amounts[name] = Decimal(str(amount))
        except InvalidOperation:
            continue
    return {name: amount for name, amount in amounts.items() if not amount.is_nan()}


def slots_of(value: object) -> dict[str, str]:
    """Finite amounts by slot, as every face shows them."""
    return format_slots({name: amount for name, amount in amounts_of(value).items() if amount.is_finite()})


def time_of(value: object) -> datetime | None:
    """A moment; without a zone it is in UTC. None for what is none."""
    try:
        moment = datetime.fromisoformat(text_of(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
