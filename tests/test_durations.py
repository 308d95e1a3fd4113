"""Spans of time, as people write and read them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_sessions.durations import human_time, parse_duration, parse_moment
from jupyter_sessions.errors import InvalidRequest

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T13:00:00+00:00", NOON + timedelta(hours=1)),
        ("2026-11-20T14:00:00.5+01:00", NOON + timedelta(hours=1, seconds=0.5)),
        ("2026-11-20T12:00:00Z", NOON),
        ("5m", NOON + timedelta(minutes=5)),
        ("1h30m", NOON + timedelta(minutes=90)),
        ("2020-01-01T00:00:00Z", datetime(2020, 1, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_start_times(text: str | None, moment: datetime | None) -> None:
    assert parse_moment(text, NOON, field="starts_at") == moment


@pytest.mark.parametrize(
    "text", ["tomorrow", "5 parsecs", "-5m", "9999-01-01", "99999w", "0001-01-01T00:00:00+14:00x"]
)
def test_what_is_no_start_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_moment(text, NOON, field="starts_at")
    assert caught.value.field == "starts_at"
