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
from jupyter_sessions.wire import untrusted

_LONGEST_PYTHON = 64 * 1024
_YEARS = range(1970, 9000)
_LARGEST = Decimal(2**63)
_NONE = ("", "None", "null")
_DIGITS = 30
_DECIMAL = re.compile(r"Decimal\(('[^']*')\)")


def value_of(value: object) -> Any:
    """Return the value in a text, or None."""
    if not isinstance(value, str):
        return value
    if value in _NONE:
        return None
    try:
        return untrusted.decode(value)
    except msgspec.DecodeError:
        return _python(value)


def _python(text: str) -> Any:
    """Return the value in Python's notation, as far as JSON has it; None for anything else."""
    if len(text) > _LONGEST_PYTHON:
        return None
    try:
        found = ast.literal_eval(_DECIMAL.sub(r"\1", text))
        return untrusted.decode(msgspec.json.encode(found))
    except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError, OverflowError):
        return None


def mapping_of(value: object) -> dict[str, Any]:
    """Return an object; {} for anything else."""
    found = value_of(value)
    return {str(key): part for key, part in found.items()} if isinstance(found, Mapping) else {}


def list_of(value: object) -> list[Any]:
    """Return a list; [] for anything else."""
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
    return {name: amount for name, amount in amounts.items() if _is_amount(amount)}


def _is_amount(amount: Decimal) -> bool:
    """Whether it is infinite, or of a size that can be shown: there are numbers with a billion digits."""
    return not amount.is_nan() and (
        amount.is_infinite() or (abs(amount) < _LARGEST and -amount.adjusted() < _DIGITS)
    )


def slots_of(value: object) -> dict[str, str]:
    """Finite amounts by slot, as every face shows them."""
    return format_slots({name: amount for name, amount in amounts_of(value).items() if amount.is_finite()})


def time_of(value: object) -> datetime | None:
    """Return a time, in UTC unless it has a zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(text_of(value))
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None  # Such as Go's zero time, which no clock of a person can show.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def mapping_or_none(value: object) -> dict[str, Any] | None:
    """Return an object that is not empty; None for anything else."""
    return mapping_of(value) or None


def integer_of(value: object) -> int | None:
    """Return a whole number that JSON can hold; None for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) < _LARGEST else None


def objects_of(value: object) -> list[dict[str, Any]]:
    """Return the objects in a list."""
    return [part for part in list_of(value) if isinstance(part, dict)]
