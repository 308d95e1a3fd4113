"""What the manager keeps on disk."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from jupyter_sessions.errors import SessionError
from jupyter_sessions.manager.core.minilang import parse_filter
from jupyter_sessions.manager.core.store import SCHEMA_VERSION, Store
from jupyter_sessions.manager.runtime.process import Identity, Process
from jupyter_sessions.wire.identity import here
from tests.manager.records import make_record

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def test_a_session_comes_back_as_it_was(path: Path) -> None:
    record = make_record("full-one", cpu="0.5", cuda_device=1)
    record.environ = {"A": "ä\n"}
    record.enter("PREPARING")
    one = Identity(4_000_000, 7, "boot", 4026531836)
    record.process = Process(one, one, "/tmp/folder")
    record.service_processes = {"jupyter-abc": record.process}
    record.gpus, record.exit_code, record.cpu_ms_at_launch = ["GPU-a"], -9, 12
    store = Store(path)
    store.save(record)
    store.close()
    found = Store(path).get(record.id)
    assert found == record
    assert found is not None
    assert found.slots["cpu"] == Decimal("0.5")


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(SessionError, match="written by a newer version") as caught:
        Store(path)
    assert "Upgrade" in caught.value.hint
    assert path.read_bytes() == before


FIRST = """CREATE TABLE sessions (id TEXT PRIMARY KEY, name TEXT NOT NULL, access_key TEXT NOT NULL,
  status TEXT NOT NULL, changed REAL NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX by_change ON sessions (changed DESC, id);
CREATE INDEX by_name ON sessions (name, status);
CREATE TABLE keys (access_key TEXT PRIMARY KEY, secret_key TEXT NOT NULL, role TEXT NOT NULL);
CREATE TABLE host (hostname TEXT, boot_id TEXT, pid_ns INTEGER);
PRAGMA user_version = 1"""


def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    record = make_record("old-one")
    record.enter("CANCELLED", "why not")
    with sqlite3.connect(path) as db:
        db.executescript(FIRST)
        row = (record.id, record.name, record.access_key, record.status, 1.0, msgspec.json.encode(record))
        db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
        db.execute("INSERT INTO keys VALUES ('AKIAOLD', 'secret', 'superadmin')")
    db.close()
    store = Store(path)
    assert store.ids(parse_filter('status_info == "why not" & image == "python3"')) == [record.id]
    assert store.get(record.id) == record
    assert (store.keys.first.access_key, store.keys.first.secret_key) == ("AKIAOLD", "secret")
    assert (store.keys.first.role, store.keys.first.domain) == ("superadmin", "default")
    with sqlite3.connect(path.with_name("sessions.db.v1")) as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (1,), "the copy is as it was"
    db.close()
    assert path.with_name("sessions.db.v1").stat().st_mode & 0o077 == 0
    store.close()
    assert Store(path).get(record.id) == record


def test_what_cannot_be_brought_up_to_date_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(FIRST)
        db.execute("INSERT INTO sessions VALUES ('a', 'a', 'a', 'PENDING', 1.0, x'00')")
    db.close()
    with pytest.raises(msgspec.DecodeError):
        Store(path)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT name FROM sessions").fetchone() == ("a",)
    db.close()


def test_pages_are_ordered_by_last_change_and_then_by_id(path: Path) -> None:
    store = Store(path)
    records = [make_record(f"row-{number}") for number in range(6)]
    for number, record in enumerate(records):
        record.changed = NOON + timedelta(seconds=number // 2)
        store.save(record)
    wanted = [r.id for r in sorted(records, key=lambda r: (-r.changed.timestamp(), r.id))]
    pages = [store.page(None, 2, offset) for offset in (0, 2, 4, 6)]
    assert [record.id for page, _ in pages for record in page] == wanted
    assert {count for _, count in pages} == {6}


def test_pages_by_status_and_key(path: Path) -> None:
    store = Store(path)
    pending, cancelled, other = (make_record(name) for name in ("pending", "cancelled", "other"))
    cancelled.enter("CANCELLED")
    other.access_key = "AKIAOTHER"
    for record in (pending, cancelled, other):
        store.save(record)
    assert [r.name for r in store.page(["CANCELLED"], 10, 0)[0]] == ["cancelled"]
    assert store.page([], 10, 0) == ([], 0)
    assert store.page(None, 10, 0, "AKIAOTHER")[1] == 1
    assert {record.name for record in store.live()} == {"pending", "other"}


def test_a_thousand_rows(path: Path) -> None:
    store = Store(path)
    for number in range(1000):
        record = make_record(f"row-{number:04}")
        record.changed = NOON + timedelta(seconds=number)
        store.save(record)
    began = time.perf_counter()
    page, count = store.page(None, 1000, 0)
    assert time.perf_counter() - began < 2
    assert (len(page), count, page[0].name, page[-1].name) == (1000, 1000, "row-0999", "row-0000")
    latest = store.latest("row-0500")
    assert latest is not None
    assert latest.id == page[499].id


def test_of_one_name_the_latest(path: Path) -> None:
    store = Store(path)
    for number in range(3):
        record = make_record("same")
        record.tag, record.changed = str(number), NOON + timedelta(seconds=(1, 2, 0)[number])
        store.save(record)
    found = store.latest("same")
    assert found is not None
    assert found.tag == "1"
    assert store.latest("none") is None


def test_old_ended_ones_are_forgotten_and_live_ones_never(path: Path) -> None:
    store = Store(path)
    records = [make_record(f"row-{number}") for number in range(6)]
    for number, record in enumerate(records):
        if number:
            record.enter("CANCELLED")
        record.changed = NOON - timedelta(days=number)
        store.save(record)
    records[0].changed = NOON - timedelta(days=99)
    store.save(records[0])
    assert set(store.prune(10, NOON - timedelta(days=3, hours=1))) == {r.id for r in records[4:]}
    assert {r.name for r in store.page(None, 10, 0)[0]} == {"row-0", "row-1", "row-2", "row-3"}
    assert set(store.prune(1, NOON - timedelta(days=99))) == {records[2].id, records[3].id}
    assert {r.name for r in store.page(None, 10, 0)[0]} == {"row-0", "row-1"}


def test_the_first_key_is_made_once(path: Path) -> None:
    first = Store(path).keys.first
    store = Store(path)
    assert store.keys.first == first
    assert (first.role, first.domain, first.group) == ("superadmin", "default", "default")
    assert store.keys.get(first.access_key) == first
    assert store.keys.get("AKIANOBODY") is None
    assert first.secret_key not in repr(first)
    assert Store(path.with_name("other.db")).keys.first != first


def test_where_it_was_written_last(path: Path) -> None:
    store = Store(path)
    assert store.last_host() is None
    store.set_host(msgspec.structs.replace(here(), boot_id="before"))
    store.set_host(here())
    assert Store(path).last_host() == here()


def test_the_log_of_writes_stays_short_once_it_is_tidied(path: Path) -> None:
    """And what was written can be read meanwhile, and later."""
    store, log = Store(path), path.with_name(f"{path.name}-wal")
    sizes = []
    for turn in range(3):
        for number in range(300):
            store.save(make_record(f"s-{number}"))
        sizes.append(log.stat().st_size)
        store.tidy()
        assert len(store.live()) == 300 * (turn + 1)
        assert log.stat().st_size == 0
    assert min(sizes) > 4 << 20
    store.close()
    assert len(Store(path).live()) == 900
