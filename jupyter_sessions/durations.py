"""Spans of time as people write and read them."""

from __future__ import annotations

import math
import re

from jupyter_sessions.errors import InvalidRequest

_TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIME_PART = r"[0-9]+(?:\.[0-9]+)?[smhdw]"
_LONGEST = 10 * 365 * 86_400


def parse_duration(value: object, *, field: str) -> float:
    """Seconds in "90s", "30m", "4h", "1h30m" or a number of seconds; 0 is allowed.

    Errors: InvalidRequest for anything else, and for more than ten years.
    """
    text = str(value).strip().lower()
    seconds = math.nan
    if not isinstance(value, bool) and re.fullmatch(rf"(?:{_TIME_PART})+", text, re.ASCII):
        seconds = sum(float(part[:-1]) * _TIME_UNITS[part[-1]] for part in re.findall(_TIME_PART, text))
    elif not isinstance(value, bool) and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text, re.ASCII):
        seconds = float(text)
    if not 0 <= seconds <= _LONGEST:
        hint = "Give seconds, or a time such as 30m, 4h or 1h30m; 0 for none."
        raise InvalidRequest(f"'{value}' is no span of time.", hint=hint, field=field)
    return seconds


def human_time(seconds: float, *, units: int = 2) -> str:
    """Seconds for people, in the largest `units`: "45 s", "30 min", "1 h 30 min", "2 d"."""
    left, parts = round(seconds), []
    for word, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {word}")
    return " ".join(parts[:units]) or f"{seconds:g} s"
