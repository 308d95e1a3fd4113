"""Kernel messages in the two forms that Jupyter servers send over WebSockets.

Source: "WebSocket kernel wire protocols" of jupyter_server 2: `v1.kernel.websocket.jupyter.org`, and the older
default of JSON, which binary buffers follow.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from jupyter_sessions.wire import untrusted

V1 = "v1.kernel.websocket.jupyter.org"
_NAMES = ("header", "parent_header", "metadata", "content")
_MOST_VALUES, _MOST_DEPTH = 4_000_000, 256


def encode(channel: str, parts: list[bytes], *, v1: bool) -> bytes | str:
    """Return a message for a WebSocket: bytes, or text in the older form without buffers."""
    return _encode_v1(channel, parts) if v1 else _encode_json(channel, parts)


def decode(data: bytes | str, *, v1: bool) -> tuple[str, list[bytes]]:
    """Return a message's channel and parts. Errors: ValueError for what is no message."""
    try:
        if isinstance(data, str):
            return _from_json(data.encode(), [])
        return _decode_v1(data) if v1 else _decode_with_buffers(data)
    except (LookupError, TypeError, struct.error, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise ValueError("not a kernel message") from error


def _encode_v1(channel: str, parts: list[bytes]) -> bytes:
    pieces = [channel.encode(), *parts]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return b"".join([struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), *pieces])


def _decode_v1(data: bytes) -> tuple[str, list[bytes]]:
    (count,) = struct.unpack_from("<Q", data)
    if not 6 <= count <= len(data) // 8:
        raise ValueError("not a kernel message")
    offsets = struct.unpack_from(f"<{count}Q", data, 8)
    channel, *parts = _pieces(data, offsets)
    return channel.decode(), parts


def _encode_json(channel: str, parts: list[bytes]) -> bytes | str:
    fields = ",".join(f'"{name}":{part.decode()}' for name, part in zip(_NAMES, parts, strict=False))
    header = msgspec.json.decode(parts[0])
    text = (
        f'{{"channel":"{channel}","msg_id":"{header["msg_id"]}","msg_type":"{header["msg_type"]}",{fields}}}'
    )
    buffers = parts[len(_NAMES) :]
    if not buffers:
        return text
    blobs = [text.encode(), *buffers]
    offsets = [4 * (len(blobs) + 1)]
    for blob in blobs[:-1]:
        offsets.append(offsets[-1] + len(blob))
    return b"".join([struct.pack(f"!{len(blobs) + 1}I", len(blobs), *offsets), *blobs])


def _decode_with_buffers(data: bytes) -> tuple[str, list[bytes]]:
    (count,) = struct.unpack_from("!I", data)
    offsets = [*struct.unpack_from(f"!{count}I", data, 4), len(data)]
    first, *buffers = _pieces(data, offsets)
    return _from_json(first, buffers)


def _pieces(data: bytes, offsets: Sequence[int]) -> list[bytes]:
    """Cut a message at its offsets. Errors: ValueError if pieces overlap, which could be much larger than the message."""
    if any(start > end for start, end in itertools.pairwise(offsets)):
        raise ValueError("not a kernel message")
    return [data[start:end] for start, end in itertools.pairwise(offsets)]


def _from_json(text: bytes, buffers: list[bytes]) -> tuple[str, list[bytes]]:
    untrusted.check(text, values=_MOST_VALUES, depth=_MOST_DEPTH)
    message = untrusted.read(text, dict[str, Any])
    parts = [msgspec.json.encode(message.get(name) or {}) for name in _NAMES]
    return str(message.get("channel") or "iopub"), [*parts, *buffers]
