"""The journal: what is put together, what is left out, and what is there after a crash."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.channels.journal import Journal, folding, read, writer
from jupyter_sessions.channels.journal_messages import Execution, Outputs, Selection


class Kernel:
    """Says on iopub what a kernel says, to a journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder)
        self.request = ""

    def say(self, kind: str, **content: Any) -> None:
        """One message about the code that runs."""
        header = {"msg_type": kind}
        self.journal.add({"header": header, "parent_header": {"msg_id": self.request}, "content": content})

    def begin(self, code: str, count: int = 1) -> None:
        """Run code."""
        self.request = f"request-{code}-{count}"
        self.say("status", execution_state="busy")
        self.say("execute_input", code=code, execution_count=count)

    def out(self, *texts: str, name: str = "stdout") -> None:
        """Print."""
        for text in texts:
            self.say("stream", name=name, text=text)

    def show(self, text: str, shown: str = "", kind: str = "display_data") -> None:
        """Display, perhaps under an id."""
        transient = {"display_id": shown} if shown else {}
        self.say(kind, data={"text/plain": text}, metadata={}, transient=transient)

    def end(self) -> None:
        """Go idle."""
        self.say("status", execution_state="idle")

    def read(self, *, live: bool = True, **which: Any) -> Outputs:
        """What is in the journal."""
        return read(self.folder, Selection(**which), live=live)

    def last(self) -> Execution:
        """The newest execution."""
        (one,) = self.read(last=1).executions
        return one

    def text(self) -> str:
        """All that the newest execution printed."""
        return "".join(output["text"] for output in self.last().outputs)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    yield Kernel(tmp_path / "journal")


def test_executions_are_put_together_as_a_notebook_does(kernel: Kernel) -> None:
    kernel.begin("first", 7)
    kernel.out("a\n", "b", "\rc\n")
    kernel.out("oh\n", name="stderr")
    kernel.out("d")
    running = kernel.last()
    assert (running.number, running.code, running.execution_count) == (1, "first", 7)
    assert (running.status, running.ended) == ("running", None)
    kernel.say("execute_result", data={"text/plain": "42"}, metadata={}, execution_count=7)
    kernel.end()
    kernel.begin("1/0", 8)
    kernel.say("error", ename="ZeroDivisionError", evalue="zero", traceback=["\x1b[31mzero"])
    kernel.end()
    first, second = kernel.read().executions
    assert first.status == "ok" and first.ended is not None and first.ended >= first.started
    assert first.outputs == [
        {"output_type": "stream", "name": "stdout", "text": "a\nc\n"},
        {"output_type": "stream", "name": "stderr", "text": "oh\n"},
        {"output_type": "stream", "name": "stdout", "text": "d"},
        {
            "output_type": "execute_result",
            "data": {"text/plain": "42"},
            "metadata": {},
            "execution_count": 7,
        },
    ]
    assert (second.number, second.status, second.outputs[0]["output_type"]) == (2, "error", "error")
    assert kernel.read(heads=True, since=1).executions[0].outputs == []
    assert [one.number for one in kernel.read(last=1).executions] == [2]
    assert [one.code for one in kernel.read(number=1).executions] == ["first"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("50%\r100%\n", "100%\n"),
        ("100%\rab", "ab0%"),
        ("a\r\nb", "a\nb"),
        ("abc\b\bX", "aX"),
        ("\n\bx", "\nx"),
        ("a\nbc\rd\ne", "a\ndc\ne"),
    ],
)
def test_a_text_that_overwrites(kernel: Kernel, typed: str, shown: str) -> None:
    kernel.begin("x")
    kernel.out(*typed)
    assert kernel.text() == shown


def test_what_is_cleared_and_what_is_updated(kernel: Kernel) -> None:
    kernel.begin("one")
    kernel.show("old", "bar")
    kernel.out("old\n")
    kernel.end()
    kernel.begin("two")
    kernel.show("0 %", "bar")
    kernel.show("100 %", "bar", "update_display_data")
    kernel.show("nobody", "other", "update_display_data")
    kernel.end()
    first, second = kernel.read().executions
    assert [output.get("data") for output in first.outputs] == [{"text/plain": "100 %"}, None]
    assert [output["data"] for output in second.outputs] == [{"text/plain": "100 %"}]

    kernel.begin("frames")
    for frame in "123":
        kernel.say("clear_output", wait=True)
        kernel.show(frame)
    kernel.say("clear_output", wait=True)
    assert [output["data"]["text/plain"] for output in kernel.last().outputs] == ["3"]
    kernel.say("clear_output", wait=False)
    assert kernel.last().outputs == []


def test_what_is_said_after_the_end_and_by_nobody(kernel: Kernel) -> None:
    kernel.begin("thread")
    kernel.end()
    thread = kernel.request
    kernel.request = "somebody's comm"
    kernel.out("lost")
    kernel.begin("next")
    kernel.end()
    kernel.request = thread
    kernel.out("late\n")
    first, second = kernel.read().executions
    assert (first.status, first.outputs[0]["text"], second.outputs) == ("ok", "late\n", [])


def bound(monkeypatch: pytest.MonkeyPatch, *, run: int, head: int, tail: int) -> None:
    monkeypatch.setattr(writer, "RUN_BYTES", run)
    monkeypatch.setattr(folding, "HEAD_BYTES", head)
    monkeypatch.setattr(folding, "TAIL_BYTES", tail)


def test_a_long_one_keeps_its_beginning_and_its_end(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    bound(monkeypatch, run=200_000, head=20_000, tail=60_000)
    kernel.begin("long")
    kernel.show("a picture")
    for number in range(30_000):
        kernel.out(f"line {number}\n")
    kernel.out("50 %", "\r")
    for step in range(9_000):
        kernel.out(f"{step} done", "\r")
    kernel.out("all")
    kernel.end()
    one = kernel.last()
    assert one.status == "ok"
    picture, first, note, last = one.outputs
    assert picture["data"] == {"text/plain": "a picture"}
    assert first["text"].startswith("line 0\nline 1\n") and first["text"].endswith("\n")
    assert last["text"].endswith("line 29999\nall9 done")
    assert last["text"].startswith("line ") and 50_000 < len(last["text"]) < 60_100
    assert note["name"] == "stderr" and note["text"].endswith("of output were left out here.]\n")
    assert sum(path.stat().st_size for path in kernel.folder.glob("*.jsonl")) < 200_000


def test_one_that_is_too_big_by_itself_is_left_out(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    bound(monkeypatch, run=50_000, head=5_000, tail=20_000)
    kernel.begin("huge")
    kernel.out("before\n")
    kernel.show("x" * 60_000)
    kernel.out("after\n")
    before, note, after = kernel.last().outputs
    assert (before["text"], after["text"]) == ("before\n", "after\n")
    assert "58.6 KiB" in note["text"]


def test_the_oldest_go_first(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "JOURNAL_BYTES", 20_000)
    for number in range(40):
        kernel.begin(f"code {number}")
        kernel.out("x" * 1000)
        kernel.end()
    kept = [one.number for one in kernel.read(heads=True).executions]
    assert kept == [*range(kept[0], 41)] and 10 < len(kept) < 20
    again = Kernel(kernel.folder)
    again.begin("next")
    assert again.last().number == 41
    monkeypatch.setattr(writer, "MOST_RUNS", 3)
    again.begin("one more")
    assert [one.number for one in again.read(heads=True).executions] == [40, 41, 42]


def test_a_manager_that_crashed(kernel: Kernel) -> None:
    kernel.journal.mark_attended()
    kernel.begin("done")
    kernel.out("kept\n")
    kernel.end()
    kernel.begin("long")
    kernel.out("before\n")
    (file,) = kernel.folder.glob("*2.jsonl")
    with file.open("ab") as half:
        half.write(b'{"kind":"said","type":"str')

    again = Kernel(kernel.folder)
    again.journal.resume()
    again.request = kernel.request
    again.out("after\n")
    done, long = again.read().executions
    assert (done.status, done.outputs[0]["text"], long.status) == ("ok", "kept\n", "running")
    before, note, after = long.outputs
    assert (before["text"], after["text"]) == ("before\n", "after\n")
    assert note["text"].startswith("[Output between ") and "was not seen" in note["text"]
    (gap,) = again.read().gaps
    assert gap.since <= gap.until
    again.end()
    again.journal.caught_up()
    assert again.last().status == "ok"

    again.begin("ends unseen")
    last = Kernel(kernel.folder)
    last.journal.resume()
    last.journal.caught_up()
    assert last.last().status == "unknown"


def test_the_kernel_ends_while_it_runs(kernel: Kernel) -> None:
    kernel.begin("long")
    kernel.out("so far\n")
    assert kernel.read(live=False).executions[0].status == "unknown"
    kernel.journal.close("The session was restarted.")
    one = kernel.last()
    assert (one.status, one.outputs[1]["evalue"]) == ("error", "The session was restarted.")


def test_a_text_that_is_no_unicode_and_a_full_disk(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.begin("odd")
    kernel.out("\ud800 is odd\n")
    assert kernel.text() == "? is odd\n"
    kernel.folder.rename(kernel.folder.with_name("away"))
    kernel.folder.with_name("journal").write_text("no folder")
    kernel.end()
    kernel.begin("nowhere")
    kernel.out("lost\n")


def test_the_disk_is_full_half_way_through_a_line(kernel: Kernel) -> None:
    """What follows once there is room again is kept."""
    kernel.begin("x")
    kernel.out("first\n")
    (file,) = kernel.folder.glob("*.jsonl")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))
    try:
        kernel.out("second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not file.read_bytes().endswith(b"\n")
    kernel.out("third\n")
    kernel.end()
    assert kernel.text() == "first\nthird\n"
    assert kernel.last().status == "ok"
