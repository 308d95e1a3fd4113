"""Skaha's session ids: 8 characters, derived from the id of the session.

Source: servers up to 1.4.0: a letter, then letters and digits.
"""

from __future__ import annotations

import hashlib
import string

_LETTERS = string.ascii_lowercase
_REST = _LETTERS + string.digits
_LENGTH = 8


def skaha_id(session_id: str) -> str:
    """Return the Skaha id of a session."""
    number = int.from_bytes(hashlib.sha256(session_id.encode()).digest())
    number, first = divmod(number, len(_LETTERS))
    found = _LETTERS[first]
    while len(found) < _LENGTH:
        number, digit = divmod(number, len(_REST))
        found += _REST[digit]
    return found
