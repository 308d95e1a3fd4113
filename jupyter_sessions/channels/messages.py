"""A kernel's messages, read from their frames at a tenth of what jupyter_client's Session takes for it.

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
"""What is deeper can be read, but not always written again."""


def deserialize(frames: list[bytes]) -> Message | None:
    """A message as jupyter_client's Session has it, but for dates, which stay text; None for what is not of a kernel.

    Signatures are not looked at: the sockets lie in a folder of this user's alone, whose processes
    can all read the key.
    """
    try:
        first = frames.index(_DELIMITER) + 2
        header, parent, metadata, content = (_decode(part) for part in frames[first : first + 4])
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
            "buffers": frames[first + 4 :],
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _decode(part: bytes) -> dict[str, Any]:
    """As Session does it; what is no strict JSON (NaN, half characters) passes, too."""
    untrusted.check(part, values=sys.maxsize, depth=_MOST_DEPTH)
    try:
        found = msgspec.json.decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = json.loads(part.decode(errors="replace"))
    if found is None:  # So some kernels (xeus 6) say that a message has no parent.
        return {}
    if not isinstance(found, dict):
        raise TypeError("a part of a message is no object")
    return found
