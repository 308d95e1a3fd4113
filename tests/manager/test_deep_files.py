"""Files that hold JSON nested without end: what they should say is not known, and nothing fails by that."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from jupyter_sessions.channels.backlog import Backlog
from jupyter_sessions.channels.journal import entries
from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.channels.messages import deserialize
from jupyter_sessions.channels.unanswered import Unanswered
from jupyter_sessions.manager.endpoints.pending_replies import PendingReplies
from jupyter_sessions.manager.runtime.limits.records import LimitsRecords

DEEP = "[" * 5000 + "]" * 5000
DELIMITER = b"<IDS|MSG>"


def test_requests_that_are_not_answered(tmp_path: Path) -> None:
    path = tmp_path / "unanswered.json"
    path.write_text(f'[{{"relay": "", "sender": [], "header": {{"msg_id": "1", "deep": {DEEP}}}}}]\n')
    assert PendingReplies(path, "demo").read() == []


@pytest.mark.parametrize("depth", [70, 300, 900, 930, 960, 5000])
def test_what_is_taken_down_can_be_read_again(tmp_path: Path, depth: int) -> None:
    """Whatever the header of a request holds: what could be decoded, may be too deep to be encoded."""
    deep = '{"a":' * depth + "1" + "}" * depth
    header = f'{{"msg_type": "execute_request", "msg_id": "1", "deep": {deep}}}'.encode()
    unanswered = Unanswered(b"relay")
    unanswered.take([b"sender", DELIMITER, b"", header, b"{}", b"{}", b"{}"])
    unanswered.take(
        [b"sender", DELIMITER, b"", b'{"msg_type": "execute_request", "msg_id": "2"}', b"{}", b"{}", b"{}"]
    )
    path = tmp_path / "unanswered.json"
    pending = PendingReplies(path, "demo")
    pending.save(unanswered.all({}))
    pending.close()
    assert [one.id for one in PendingReplies(path, "demo").read()] == ["2"]


@pytest.mark.parametrize("depth", [300, 900, 930, 960, 5000])
def test_messages_of_kernels_can_be_encoded_if_they_were_decoded(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    header = b'{"msg_type": "display_data", "msg_id": "1"}'
    frames = [DELIMITER, b"", header, b"{}", b"{}", deep.encode()]
    message = deserialize(frames)
    assert message is None or msgspec.json.encode({"a": {"b": [message]}})
    frames[-1] = ('{"a":' * 99 + "NaN" + "}" * 99).encode()
    assert deserialize(frames) is not None


def test_a_journal(tmp_path: Path) -> None:
    began = '{"kind":"began","number":1,"id":"x","code":"1","at":"2026-01-01T00:00:00Z"}'
    said = '{"kind":"said","type":"display_data","content":{"data":%s}}'
    ended = '{"kind":"ended","at":"2026-01-01T00:00:01Z","status":"ok"}'
    (tmp_path / "00000001.jsonl").write_text("\n".join([began, said % DEEP, ended, ""]))
    (tmp_path / "gaps.jsonl").write_text(f'{{"since": {DEEP}}}\n')
    found = entries.read(tmp_path, Selection(), live=False)
    assert [(one.id, one.status, one.outputs) for one in found.executions] == [("x", "ok", [])]
    assert found.gaps == []


def test_what_waits_for_a_kernel(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "waiting.jsonl")
    backlog.add("shell", [b"a"])
    with (tmp_path / "waiting.jsonl").open("a") as file:
        file.write(f'["shell", {DEEP}]\n')
    backlog.add("shell", [b"b"])
    assert [*backlog.read()] == [("shell", [b"a"]), ("shell", [b"b"])]


def test_limits(tmp_path: Path) -> None:
    records = LimitsRecords(tmp_path)
    (tmp_path / "one.json").write_text(f'{{"id": {DEEP}}}')
    assert records.load("one") is None
    assert [*records.all()] == []
