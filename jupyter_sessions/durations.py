"""Parse and format durations."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from jupyter_sessions.errors import InvalidRequest

_TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIME_PART = r"[0-9]+(?:\.[0-9]+)?[smhdw]"
_LONGEST = 10 * 365 * 86_400


def parse_duration(value: object, *, field: str) -> float:
    """Return the seconds in "90s", "30m", "4h", "1h30m" or a number of seconds; 0 is allowed.

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
        raise InvalidRequest(f"'{value}' is not a duration.", hint=hint, field=field)
    return seconds


def human_time(seconds: float, *, units: int = 2) -> str:
    """Return seconds for people, in the largest `units`: "45 s", "30 min", "1 h 30 min", "2 d"."""
    left, parts = round(seconds), []
    for word, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {word}")
    return " ".join(parts[:units]) or f"{seconds:g} s"


def parse_moment(text: str | None, now: datetime, *, field: str) -> datetime | None:
    """Return the moment of an ISO date, by default in this machine's zone, or of a time from now such as "5m".

    Source: managers 23.09 to 26.8 take both. Errors: InvalidRequest.
    """
    if not text or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        try:
            moment = now + timedelta(seconds=parse_duration(text, field=field))
        except InvalidRequest:
            raise InvalidRequest(
                f"The start time '{text}' is not a time.",
                hint="Give a date such as 2030-01-31T09:00:00+01:00, or a time from now such as 5m.",
                field=field,
            ) from None
    if moment - now > timedelta(seconds=_LONGEST):
        raise InvalidRequest(
            f"The start time '{text}' is more than {human_time(_LONGEST)} away.",
            hint="Choose an earlier time.",
            field=field,
        )
    return moment
