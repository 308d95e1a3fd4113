"""Spans of time, as people write and read them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_sessions.durations import human_time, parse_duration
from jupyter_sessions.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        (90.5, 90.5),
        ("0", 0),
        ("90s", 90),
        ("30m", 1800),
        ("1.5h", 5400),
        (" 1H30m ", 5400),
        ("2d", 172_800),
        ("1w", 604_800),
    ],
)
def test_spans_of_time(text: object, seconds: float) -> None:
    assert parse_duration(text, field="idle_timeout") == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "nan", "inf", "1e3", "4 h", "h", "11y", "600w", True, None, [], "٣m"]
)
def test_what_is_no_span_of_time(text: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_duration(text, field="idle_timeout")
    assert (caught.value.field, bool(caught.value.hint)) == ("idle_timeout", True)


@given(st.text() | st.floats() | st.integers())
def test_any_input_is_read_or_refused(given_: object) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse_duration(given_, field="time_limit") >= 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (45, "45 s"), (1800, "30 min"), (5400, "1 h 30 min"), (172_800, "2 d"), (90_061, "1 d 1 h")],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert human_time(seconds) == words
