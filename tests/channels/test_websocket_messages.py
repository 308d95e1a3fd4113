"""Both forms of kernel messages over WebSockets, against jupyter_server's own code."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)

from jupyter_sessions.channels.websocket_messages import decode, encode

HEADER = {"msg_id": "1", "msg_type": "comm_msg"}
BUFFERS = st.lists(st.binary(max_size=50), max_size=4)


@given(BUFFERS, st.dictionaries(st.text(), st.integers()))
def test_v1(buffers: list[bytes], content: dict[str, int]) -> None:
    parts = [*(json.dumps(part).encode() for part in (HEADER, {}, {}, content)), *buffers]
    data = encode("shell", parts, v1=True)
    assert deserialize_msg_from_ws_v1(data) == ("shell", parts)
    assert decode(serialize_msg_to_ws_v1(parts, "iopub"), v1=True) == ("iopub", parts)


@given(BUFFERS, st.dictionaries(st.text(), st.integers()))
def test_json(buffers: list[bytes], content: dict[str, int]) -> None:
    parts = [*(json.dumps(part).encode() for part in (HEADER, {}, {}, content)), *buffers]
    data = encode("stdin", parts, v1=False)
    message = json.loads(data) if isinstance(data, str) else deserialize_binary_message(data)
    assert (message["channel"], message["header"], message["content"]) == ("stdin", HEADER, content)
    assert [bytes(one) for one in message.get("buffers", [])] == buffers
    message |= {"buffers": buffers}
    sent = serialize_binary_message(message) if buffers else json.dumps(message | {"buffers": []})
    channel, back = decode(sent, v1=False)
    assert (channel, json.loads(back[0]), json.loads(back[3]), back[4:]) == (
        "stdin",
        HEADER,
        content,
        buffers,
    )


@pytest.mark.parametrize("v1", [True, False])
@given(st.binary() | st.text())
def test_nonsense(v1: bool, data: bytes | str) -> None:
    try:
        decode(data, v1=v1)
    except ValueError:
        return


@pytest.mark.parametrize(("v1", "form"), [(True, "<{}Q"), (False, "!{}I")])
def test_a_message_is_not_larger_than_what_came(v1: bool, form: str) -> None:
    """Pieces that overlap would be: the second is the whole message, again and again."""
    text = b'{"channel":"iopub","header":{}}'
    count = 2000
    start = struct.calcsize(form.format(count + 1))
    offsets = [start, start + len(text), *[0, start + len(text)] * (count // 2 - 1)]
    data = struct.pack(form.format(count + 1), count, *offsets) + text
    with pytest.raises(ValueError, match="not a kernel message"):
        decode(data, v1=v1)
