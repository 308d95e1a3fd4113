"""Read a kernel's messages from their frames, in a tenth of the time that jupyter_client's Session takes.

Source: "Messaging in Jupyter", wire protocol 5.4.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.wire import untrusted

_DELIMITER = b"<IDS|MSG>"

_MOST_DEPTH = 256
"""The deepest nesting; deeper messages can be read, but not always written again."""


def deserialize(frames: list[bytes]) -> Message | None:
    """Return a message in the form of jupyter_client's Session, or None if it is not a kernel's message.

    Dates stay text. Signatures are not checked: the sockets lie in a folder that only this user may enter, and all
    processes of this user can read the key.
    """
    try:
        return from_parts(frames[frames.index(_DELIMITER) + 2 :])
    except ValueError:
        return None


def from_parts(parts: list[bytes]) -> Message | None:
    """Return the message of a header, parent header, metadata, content and buffers, or None as `deserialize`."""
    try:
        header, parent, metadata, content = (_decode(part) for part in parts[:4])
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
            "buffers": parts[4:],
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _decode(part: bytes) -> dict[str, Any]:
    """Decode a part of a message as Session does, including JSON that is not strict (NaN, lone surrogates)."""
    untrusted.check(part, values=sys.maxsize, depth=_MOST_DEPTH)
    try:
        found = msgspec.json.decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = json.loads(part.decode(errors="replace"))
    if found is None:  # Some kernels (xeus 6) send null for a message without a parent.
        return {}
    if not isinstance(found, dict):
        raise TypeError("a part of a message is not an object")
    return found
