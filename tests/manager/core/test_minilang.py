"""The mini-languages of lists: what they let through, against the same said in Python; and whatever is typed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.minilang import EVERYTHING, parse_filter, parse_order
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.store import Store
from tests.manager.records import make_record

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ["abc-1", "ABC-2", "abc_3", "a%b-4", "ünï-5", "a[b]c", "a*?b", 'x"y\\z']


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[Record]]]:
    store = Store(tmp_path_factory.mktemp("store") / "sessions.db")
    records = []
    for number, name in enumerate(NAMES):
        record = make_record(name)
        record.created = NOON + timedelta(hours=number // 2)
        if number % 2:
            record.enter("CANCELLED", f"why {number}")
        store.save(record)
        records.append(record)
    yield store, records
    store.close()


def found(filled: tuple[Store, list[Record]], text: str) -> set[str]:
    store, records = filled
    ids = set(store.ids(parse_filter(text)))
    return {record.name for record in records if record.id in ids}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('status == "PENDING" & name ilike "%c-%"', {"abc-1"}),
        ('status == "pending" & name like "ABC%"', set()),
        ('name like "ABC%"', {"ABC-2"}),
        ('name ilike "abc%" | name == "ünï-5"', {"abc-1", "ABC-2", "abc_3", "ünï-5"}),
        ('name == "abc-1" | name == "ABC-2" & status == "RUNNING"', {"abc-1"}),
        ('(name == "abc-1" | name == "ABC-2") & status != "PENDING"', {"ABC-2"}),
        ('!(name in ["abc-1", "ABC-2"]) & name like "%c_3"', {"abc_3"}),
        ('name contains "[b]"', {"a[b]c"}),
        ('name like "a[b]c"', {"a[b]c"}),
        ('name like "a*?b"', {"a*?b"}),
        ('name == "x\\"y\\\\z"', {'x"y\\z'}),
        ("status_info is null & terminated_at is null", {"abc-1", "abc_3", "ünï-5", "a*?b"}),
        ("status_info isnot null", {"ABC-2", "a%b-4", "a[b]c", 'x"y\\z'}),
        (
            'created_at >= "2026-11-20T13:00:00+00:00" & created_at < "2026-11-20T14:00:00Z"',
            {"abc_3", "a%b-4"},
        ),
        ("cluster_size > 1", set()),
        ("name in []", set()),
        ('scaling_group == "default" & type == "interactive" & cluster_size == 1', set(NAMES)),
    ],
)
def test_what_a_filter_lets_through(filled: tuple[Store, list[Record]], text: str, names: set[str]) -> None:
    assert found(filled, text) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a field's name was expected, not the end"),
        ("zzz == 1", "There is no field 'zzz' to filter by"),
        ("name", "an operator was expected after name, not the end"),
        ("name == abc", "text is put in double quotes"),
        ('name == "a" &', "a field's name was expected"),
        ('name == "a" name == "b"', "'name' was not expected"),
        ('(name == "a"', "')' is missing"),
        ("name == 1", "must be compared with text"),
        ('cluster_size == "1"', "compared with a number"),
        ('created_at > "yesterday"', "compared with a time such as"),
        ('created_at like "2026%"', "'like' compares text"),
        ('name == ["a"]', "'name' is compared with a list"),
        ('name in "a"', "'name in' needs a list"),
        ('name == "a"; DROP TABLE sessions', "cannot be read"),
        ("!" * 100 + 'name == "a"', "nested too deeply"),
        ("(" * 100, "nested too deeply"),
        ('name == "' + "a" * 5000 + '"', "longer than"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_filter(text)
    assert said in str(caught.value)
    assert caught.value.field == "filter"


OPS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
    "contains": operator.contains,
    "like": lambda name, pattern: fnmatchcase(name, _glob(pattern)),
}
Test = tuple[str, Callable[[Record], bool]]


def _glob(pattern: str) -> str:
    return "".join({"%": "*", "_": "?"}.get(c, f"[{c}]" if c in "*?[" else c) for c in pattern)


def _one(op: str, value: str) -> Test:
    text = f"name {op} {msgspec.json.encode(value).decode()}"
    return text, lambda record: OPS[op](record.name, value)


ATOMS = st.builds(_one, st.sampled_from([*OPS]), st.sampled_from([*NAMES, "abc", "%b%", "a_c%", ""]))
TREES: st.SearchStrategy[Test] = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]} & {p[1][0]})", lambda r: p[0][1](r) and p[1][1](r))
        )
        | st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}|{p[1][0]})", lambda r: p[0][1](r) or p[1][1](r))
        )
        | inner.map(lambda one: (f"!({one[0]})", lambda r: not one[1](r)))
    ),
    max_leaves=6,
)


def test_filters_mean_what_python_means_by_them(filled: tuple[Store, list[Record]]) -> None:
    @settings(CALM, max_examples=300)
    @given(TREES)
    def same(test: Test) -> None:
        text, holds = test
        assert found(filled, text) == {record.name for record in filled[1] if holds(record)}, text

    same()


WORDS = "== != < in is isnot like ilike contains name status zzz created_at cluster_size null true".split()
PIECES = st.sampled_from(
    [*WORDS, *"()[]!&|,'\\", '"', "1", "-2.5e300", "9" * 40, '"a"', '"%"', '"\\u0000"', "\0"]
)


def test_whatever_is_typed_is_read_or_refused(filled: tuple[Store, list[Record]]) -> None:
    store, _ = filled

    @settings(CALM, max_examples=600)
    @given(st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=40))
    def read(text: str) -> None:
        try:
            where = parse_filter(text)
        except InvalidRequest as error:
            assert error.field == "filter"
            assert error.hint
            return
        store.ids(where)
        assert 0 <= store.count(where) <= len(NAMES)

    @settings(CALM, max_examples=300)
    @given(st.lists(st.sampled_from(["name", "-created_at", "+", "-", ",", "record", "1", "id;", "changed"])))
    def sort(words: list[str]) -> None:
        try:
            order = parse_order(",".join(words))
        except InvalidRequest as error:
            assert error.field == "order"
            return
        assert len(store.ids(EVERYTHING, order=order)) == len(NAMES)

    read()
    sort()
    assert store.count(EVERYTHING) == len(NAMES)


def test_order(filled: tuple[Store, list[Record]]) -> None:
    store, records = filled
    names = {record.id: record.name for record in records}
    assert [names[one] for one in store.ids(EVERYTHING, order=parse_order("-name"))] == sorted(
        NAMES, reverse=True
    )
    wanted = sorted(sorted(records, key=lambda r: r.name), key=lambda r: r.created, reverse=True)
    ids = store.ids(EVERYTHING, order=parse_order("-created_at, +name"))
    assert ids == [record.id for record in wanted]
    with pytest.raises(InvalidRequest, match="There is no field 'record' to order by"):
        parse_order("record")


def test_a_page_of_many_is_quick(tmp_path: Path) -> None:
    """No record is decoded to filter, to sort or to count."""
    store = Store(tmp_path / "sessions.db")
    like = make_record("row")
    for number in range(2000):
        like.id, like.name = f"{number:08}", f"row-{number:04}"
        store.save(like)
    where = parse_filter('name ilike "%7%" & status == "PENDING"')
    with _undecodable(store):
        ids = store.ids(where, order=parse_order("-name"), limit=3)
        assert store.count(where) == sum("7" in f"{number:04}" for number in range(2000))
    assert ids == ["00001997", "00001987", "00001979"]


@contextmanager
def _undecodable(store: Store) -> Iterator[None]:
    store._db.execute("BEGIN")
    store._db.execute("UPDATE sessions SET record = x'00'")
    try:
        yield
    finally:
        store._db.execute("ROLLBACK")
