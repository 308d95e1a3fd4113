"""Answers with anything anywhere: they are understood, or refused in words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_sessions.backends.backendai import catalog
from jupyter_sessions.backends.backendai import convert as of_backendai
from jupyter_sessions.backends.parsing import made_of, rows_of
from jupyter_sessions.backends.skaha import convert as of_skaha
from jupyter_sessions.errors import BadAnswer
from jupyter_sessions.model import Amount, Choices, Event, Image, SessionInfo
from tests.backends.recorded import NOW

ODD = """
1|1E+999999999|-1e-999999999|NaN|Infinity|None|{'a': 1j}|{1, b'x'}|'\\ud800'|0001-01-01T00:00:00Z|1g|http://x|2026-01-01
9999-12-31T23:59:59-23:59|{"a": [1]}|Decimal('1E+999999999')|{'mem': Decimal('9' * 9)}|{'mem': Decimal('1E+999999999')}
"""
LONG = ["9" * 400, "[" * 300, "(" * 3000, '["' + "x" * 70_000 + '"]']
TEXT = st.text(max_size=8) | st.sampled_from([*re.split(r"[|\n]", ODD), *LONG])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CALM = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

ROW = dict.fromkeys(re.findall(r"\w+", of_backendai._LISTED), "x") | {
    "id": "1",
    "containers": [{"id": "1", "live_stat": "{}", "occupied_slots": '{"cpu": "1"}'}],
    "service_ports": '[{"name": "jupyter", "ports": [1]}]',
    "local": '{"limits": {}}',
    "dependencies": [{"id": "2"}],
    "status_history": '{"RUNNING": "2026-01-01T00:00:00"}',
    "status_data": "{}",
    "cluster_size": 1,
    "num_queries": 0,
    "created_at": "2026-01-01T00:00:00",
    "requested_slots": '{"cpu": "1", "mem": "1024"}',
}
IMAGE = {
    "name": "n",
    "registry": "r",
    "tag": "t",
    "aliases": ["a"],
    "labels": [{"key": "ai.backend.role", "value": "COMPUTE"}],
    "resource_limits": [{"key": "mem", "min": "1g"}, {"key": "cpu", "min": "1"}],
}
PRESETS = {
    "presets": [
        {"name": "a", "resource_slots": {"cpu": "1", "mem": "2"}, "shared_memory": "64", "allocatable": True}
    ],
    "scaling_group_remaining": {"cpu": "1"},
    "keypair_limits": {"cpu": "Infinity"},
    "keypair_using": {"cpu": "1"},
}
CHOICES = [PRESETS, {"scaling_groups": [{"name": "default"}]}, ["p"], [{"name": "f", "status": "ready"}]]
STATS = {
    "cores": {"cpuCoresAvailable": 4, "requestedCPUCores": 1},
    "ram": {"ramAvailable": "4G", "requestedRAM": "1G"},
}
KINDS: list[tuple[Any, Callable[[Any], Any], Any]] = [
    (ROW, lambda item: of_backendai.session_of(item, "lab"), SessionInfo),
    ([IMAGE], catalog.images_of, list[Image]),
    (PRESETS, catalog.capacity_of, dict[str, Amount]),
    (CHOICES, catalog.choices_of, Choices),
    (NOW, lambda item: of_skaha.session_of(item, "lab"), SessionInfo),
    ([{"id": "h/p/n:1", "types": ["notebook"]}], of_skaha.images_of, list[Image]),
    (STATS, of_skaha.capacity_of, dict[str, Amount]),
]


def changed(whole: Any) -> st.SearchStrategy[Any]:
    """An answer with anything in place of one of its parts, however deep."""
    paths = [*_paths(whole)]
    return st.builds(lambda path, value: _put(whole, path, value), st.sampled_from(paths), ANY)


def _paths(value: Any) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *path) for key, part in parts for path in _paths(part))]


def _put(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(whole) if isinstance(whole, dict) else list(whole)
    copy[path[0]] = _put(whole[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_anything_anywhere_is_understood_or_refused(number: int) -> None:
    """And what is understood can be sent on, and shown to people with their clock."""
    whole, convert, kind = KINDS[number]

    @CALM
    @given(changed(whole))
    def read(answer: Any) -> None:
        answer = msgspec.json.decode(msgspec.json.encode(answer))
        try:
            found = asyncio.run(made_of(answer, convert, kind, "lab"))
        except BadAnswer as error:
            assert str(error).startswith("lab gave an answer that ")
            return
        assert msgspec.json.decode(msgspec.json.encode(found), type=kind) == found
        if isinstance(found, SessionInfo):
            asyncio.run(rows_of([answer], convert, "lab"))
            for moment in (found.created_at, found.started_at, found.ends_at, found.terminated_at):
                assert moment is None or moment.astimezone().year

    read()
    assert asyncio.run(made_of(whole, convert, kind, "lab"))


@CALM
@given(st.text() | st.just("TYPE REASON\n" * 100))
def test_any_history_is_understood(text: str) -> None:
    found = asyncio.run(made_of(text, of_skaha.events_of, list[Event], "lab"))
    assert len(found) <= text.count("\n") + len(text)
