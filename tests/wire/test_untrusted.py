"""JSON of others: whatever it is, it is decoded within limits or refused with one kind of error."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_sessions.wire import untrusted

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)


@settings(deadline=None)
@given(JSON, st.booleans())
def test_values_are_counted_as_they_are(value: Any, ascii_only: bool) -> None:
    """However a text is cut into pieces, and whatever is in quotes."""
    data = json.dumps([value, [[]] * 40], ensure_ascii=ascii_only).encode(errors="replace")
    left = set()
    for size in (1, 2, 3, 7, len(data)):
        scan = untrusted._Scan(10**6, 10**6)
        for start in range(0, len(data), size):
            scan.take(data[start : start + size])
        left.add((scan._values_left, scan._depth, scan._quoted))
    assert left == {(10**6 - _marks(msgspec.json.decode(data)), 0, False)}


def _marks(value: Any) -> int:
    """The brackets and commas of a value."""
    if not isinstance(value, list | dict):
        return 0
    parts = [*value.values()] if isinstance(value, dict) else value
    return 1 + max(len(parts) - 1, 0) + sum(map(_marks, parts))


def test_depth() -> None:
    most = untrusted.MOST_DEPTH
    assert untrusted.decode("[" * most + "]" * most)
    assert untrusted.decode(json.dumps(["[" * 99, [[]] * 99]))
    for deep in ("[" * (most + 1) + "]" * (most + 1), '{"":' * 5000 + "1" + "}" * 5000, "[" * 10**6):
        with pytest.raises(untrusted.LimitExceeded):
            untrusted.decode(deep)


@pytest.mark.parametrize(
    "text", [b"\xff", b'"\xff"', "\ud800", "1" * 5000, "1e999", "[1,", "][" * 99, "", "NaN", '"\\ud800"']
)
def test_what_is_no_json_is_one_error(text: str | bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        untrusted.decode(text)


@pytest.mark.parametrize(
    "text", [b"[" + b"[]," * 2**20 + b"1]", b"[" + b'"",' * 2**20 + b"1]", b'{"":1,' + b'"a,":1,' * 2**20]
)
def test_what_would_become_large_is_not_decoded(text: bytes) -> None:
    with pytest.raises(untrusted.LimitExceeded):
        untrusted.decode(text)


def test_texts_of_any_length_are_decoded() -> None:
    lines = "a, b\n" * 2**20
    assert untrusted.decode(msgspec.json.encode({"logs": lines})) == {"logs": lines}


@pytest.mark.asyncio
async def test_long_texts_leave_time_for_the_loop() -> None:
    text = b"[" + b'[1,"a"],' * 150_000 + b"1]"
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    ticking = asyncio.create_task(tick())
    await untrusted.decode_gently(text)
    ticking.cancel()
    assert turns > 10
