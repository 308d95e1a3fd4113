"""The machine that makes all changes of sessions: only drawn moves, stored before they are told."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jupyter_sessions.manager.core import changes, machine, transitions
from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.events import Bus
from jupyter_sessions.manager.core.machine import ImpossibleTransition, SessionMachine
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.services import ServiceDefinition, ServiceState
from jupyter_sessions.manager.core.store import Store, StoreError
from jupyter_sessions.manager.core.transitions import Transition
from jupyter_sessions.manager.runtime.process import Process, identify
from tests.manager.records import make_record

MANAGER = Path(machine.__file__).parents[1]
WRITERS = {MANAGER / "core" / f"{name}.py" for name in ("transitions", "changes", "record", "cluster")}
FIELDS = {*Record.__struct_fields__, *MemberRecord.__struct_fields__}


def drawing() -> set[tuple[str, str, str]]:
    """The moves that the machine's docstring draws: from a status, by a transition, to a status."""
    found = re.findall(r"^ {4}([A-Z_, ]+) ──(\w+)──> ([A-Z_]+)$", machine.__doc__ or "", re.MULTILINE)
    return {(source, name, target) for sources, name, target in found for source in sources.split(", ")}


def kinds(kind: type[Transition] = Transition) -> Iterator[type[Transition]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds(one)


DRAWN = drawing()


def _encoded(record: Record | None) -> bytes:
    return msgspec.json.encode(record)


def test_the_moves_are_those_of_the_drawing() -> None:
    moving = [kind for kind in kinds() if kind.target]
    assert {(source, kind.__name__, kind.target) for kind in moving for source in kind.sources} == DRAWN
    assert len(DRAWN) > 15


class Killed(BaseException):
    """The manager was killed."""


class FragileBus(Bus):
    """A bus at which the manager may be killed: the first to be told after a change was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.deadly = False

    def publish(self, name: str, record: Record, sub: MemberRecord | None = None) -> None:
        if self.deadly:
            raise Killed
        super().publish(name, record, sub)


def _processes() -> st.SearchStrategy[Process]:
    here = identify(os.getpid())
    assert here is not None
    return st.builds(Process, shim=st.just(here), child=st.just(here), folder=st.text("abc", max_size=3))


def _transitions() -> st.SearchStrategy[Transition]:
    special = {
        changes.Enqueued,
        changes.MemberChange,
        changes.MemberReady,
        changes.MemberEnded,
        changes.Claimed,
    }
    words, numbers = st.sampled_from(["", "why"]), st.integers(0, 3)
    values: dict[str, st.SearchStrategy[Any]] = {
        "of": st.sampled_from([0, 1]),
        "stat": st.sampled_from([None, {"cpu_used": 1}]),
        "exit_code": st.sampled_from([None, 0, 1]),
        "process": _processes(),
        "failed": st.booleans(),
        "ids": st.just(["met"]),
        "gpus": st.just(["GPU-1"]),
        "ports": st.lists(numbers, max_size=2),
        "limit_from": st.floats(0, 9),
        "cpu_ms": numbers,
        "environ": st.just({"NAME": "value"}),
        "limits": st.just({"cpu": "shares"}),
        "plugins": st.just({"tensorboard": ServiceDefinition(plugin="/bin/python")}),
        "state": st.sampled_from([ServiceState(), ServiceState(state="ready", port=5)]),
    }
    usual = [kind for kind in kinds() if kind not in special]
    made = {
        kind: st.builds(kind, **{name: values.get(name, words) for name in kind.__struct_fields__})
        for kind in usual
    }
    made |= {
        changes.MemberReady: st.builds(changes.MemberReady, of=st.just(1)),
        changes.MemberEnded: st.builds(
            changes.MemberEnded, of=st.just(1), reason=words, exit_code=values["exit_code"]
        ),
        changes.Claimed: st.builds(changes.Claimed, owner=st.just(identify(os.getpid()))),
    }
    moves = [strategy for kind, strategy in made.items() if kind.target]
    return st.one_of(*made.values(), *moves, *moves)


class SessionMachines(RuleBasedStateMachine):
    """Random changes of a few sessions, by managers that are killed in between."""

    records: dict[str, Record]
    stored: dict[str, bytes]

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.records, self.stored, self.published = {}, {}, 0
        self._open()

    def _open(self) -> None:
        self.bus = FragileBus()
        self.store = Store(self.folder / "sessions.db")
        self.machine = SessionMachine(self.store, self.bus)
        self.machine.listen(self._hear)
        self.machine.load()

    def _hear(self, record: Record, transition: Transition) -> None:
        self.published += 1
        if transition.stored:
            assert _encoded(self.store.get(record.id)) == _encoded(record)

    def _kill(self) -> None:
        """Begin with another manager, which finds what is stored and nothing else."""
        self.store.close()
        self._open()
        assert {*self.machine.live} == {one for one, record in self.records.items() if record.live}
        for one in self.records:
            found = self.machine.get(one)
            assert found is not None
            assert _encoded(found) == self.stored[one]
            self.records[one] = found

    @rule(of=st.integers(1, 2), kill=st.booleans())
    def add(self, of: int, kill: bool) -> None:
        record = make_record()
        record.subs = [MemberRecord(idx=number) for number in range(1, of + 1)]
        record.type = "batch" if of == 2 else "interactive"
        self.records[record.id] = record
        self._do(kill, record, None)

    @precondition(lambda self: self.records)
    @rule(data=st.data(), changes_made=st.lists(_transitions(), min_size=1, max_size=2), kill=st.booleans())
    def change(self, data: st.DataObject, changes_made: list[Transition], kill: bool) -> None:
        record = self.records[data.draw(st.sampled_from(sorted(self.records)))]
        before, status, possible = _encoded(record), record.status, True
        for one in changes_made:
            name = type(one).__name__
            targets = {target for source, drawn, target in DRAWN if (source, drawn) == (status, name)}
            possible = possible and bool(targets if one.target else not one.sources or status in one.sources)
            status = targets.pop() if targets else status
        if not possible:
            published = self.published
            with pytest.raises(ImpossibleTransition):
                self.machine.apply(record, *changes_made)
            assert (_encoded(record), self.published) == (before, published)
            return
        self._do(kill, record, changes_made)
        assert self.records[record.id].status == status

    def _do(self, kill: bool, record: Record, asked: list[Transition] | None) -> None:
        self.bus.deadly = kill
        try:
            if asked is None:
                self.machine.add(record, ["key"] * record.size)
            else:
                self.machine.apply(record, *asked)
        except Killed:
            pass
        if asked is None or any(one.stored for one in asked):
            self.stored[record.id] = _encoded(record)
            assert _encoded(self.store.get(record.id)) == _encoded(record)
        self.bus.deadly = False
        if kill:
            self._kill()

    @invariant()
    def the_store_holds_what_was_last_stored(self) -> None:
        for one, kept in getattr(self, "stored", {}).items():
            assert _encoded(self.store.get(one)) == kept

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)


SessionMachines.TestCase.settings = settings(deadline=None, max_examples=30, stateful_step_count=30)
TestSessionMachines = SessionMachines.TestCase


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "sessions.db")
    yield store
    store.close()


def test_what_a_full_disk_does_not_take_is_told_and_stored_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, told = SessionMachine(store, Bus()), list[str]()
    one.listen(lambda record, transition: told.append(type(transition).__name__))
    record = make_record()
    one.add(record, ["key"])
    store._db.execute("PRAGMA max_page_count = 1")
    record_of = make_record("other")
    record_of.environ = {"LARGE": "x" * 100_000}
    with pytest.raises(StoreError):
        one.add(record_of, ["key"])
    assert {*one.live} == {record.id}
    one.apply(record, changes.EnvironSet(record_of.environ), transitions.Cancelled("why not"))
    assert told == ["Enqueued", "Cancelled"]
    kept = store.get(record.id)
    assert kept is not None
    assert kept.status == "PENDING"
    assert one.get(record.id) is record
    store._db.execute("PRAGMA max_page_count = 100000")
    one.save()
    assert _encoded(store.get(record.id)) == _encoded(record)


@pytest.mark.asyncio
async def test_those_who_wait_are_told_last(store: Store) -> None:
    bus, told = Bus(), list[str]()
    one = SessionMachine(store, bus)
    record = make_record()
    one.add(record, ["key"])

    async def wait() -> None:
        await one.wait(record, lambda record: record.status == "PREPARING")
        told.append("waiter")

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    with bus.listen() as queue:
        one.listen(lambda record, transition: told.append(f"listener after {queue.qsize()} events"))
        one.apply(record, changes.Waits("Waiting for 1 CPU."))
        await asyncio.sleep(0)
        assert not waiting.done()
        one.apply(record, transitions.Scheduled(["GPU-1"]))
        await waiting
    assert told == ["listener after 1 events", "listener after 3 events", "waiter"]


def _written(node: ast.AST) -> Iterator[ast.expr]:
    """The attributes of records that a statement writes or changes in place."""
    targets: list[ast.expr] = []
    match node:
        case ast.Assign(targets=found) | ast.Delete(targets=found):
            targets = found
        case ast.AugAssign(target=target):
            targets = [target]
        case ast.Call(
            func=ast.Attribute(value=value, attr="pop" | "append" | "update" | "setdefault" | "clear")
        ):
            targets = [value]
        case ast.Call(func=ast.Attribute(value=value, attr="enter" | "stamp" | "end" | "move") as called):
            if _is_record(value):
                yield called
    for target in targets:
        for one in target.elts if isinstance(target, ast.Tuple) else [target]:
            inner = one.value if isinstance(one, ast.Subscript) else one
            if isinstance(inner, ast.Attribute) and inner.attr in FIELDS and _is_record(inner.value):
                yield one


def _is_record(value: ast.expr) -> bool:
    return re.search(r"(^|\.)_?record$|\.row$|^sub$", ast.unparse(value)) is not None


def test_nobody_else_writes_records() -> None:
    found = {
        f"{file.relative_to(MANAGER)}:{one.lineno}: {ast.unparse(one)}"
        for file in MANAGER.rglob("*.py")
        if file not in WRITERS
        for node in ast.walk(ast.parse(file.read_bytes()))
        for one in _written(node)
    }
    assert found == set()
