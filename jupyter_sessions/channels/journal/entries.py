"""The files of a journal: one for each execution, with a line of JSON for each message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from jupyter_sessions.channels.journal.folding import Fold, LeftOut, Note, Said
from jupyter_sessions.channels.journal_messages import Execution, Gap, Outputs, Selection

MOST_GAPS = 1000
_GAPS = "gaps.jsonl"
_HEADS = (b'{"kind":"began"', b'{"kind":"ended"')


class Began(msgspec.Struct, tag="began", tag_field="kind"):
    """The first line of an execution."""

    number: int
    id: str
    code: str
    at: datetime
    count: int | None = None


class Ended(msgspec.Struct, tag="ended", tag_field="kind"):
    """The last line of an execution."""

    at: datetime
    status: str


JournalLine = Began | Said | LeftOut | Note | Ended
_decoder = msgspec.json.Decoder(JournalLine)


def read(folder: Path, which: Selection, *, live: bool) -> Outputs:
    """Read the journal in a folder. In an ended session, unfinished executions have the status "unknown"."""
    found = (entry(file_of(folder, number), heads=which.heads) for number in which.of(numbers(folder)))
    executions = [one for one in found if one is not None]
    if not live:
        executions = [
            msgspec.structs.replace(one, status="unknown") if one.status == "running" else one
            for one in executions
        ]
    gaps = list[Gap]()
    with suppress(OSError):
        for line in (folder / _GAPS).read_bytes().splitlines()[-MOST_GAPS:]:
            with suppress(msgspec.MsgspecError, ValueError, RecursionError):
                gaps.append(msgspec.json.decode(line, type=Gap))
    return Outputs(executions, gaps)


def entry(path: Path, *, heads: bool = False) -> Execution | None:
    """Return one execution, or None if its file is gone or has no beginning."""
    began: Began | None = None
    ended: Ended | None = None
    fold = Fold()
    with suppress(OSError):
        for line in lines(path, heads=heads):
            match line:
                case Began():
                    began = line
                case Ended():
                    ended = line
                case _:
                    fold.add(line)
    if began is None:
        return None
    return Execution(
        number=began.number,
        id=began.id,
        code=began.code,
        status=ended.status if ended else "running",
        started=began.at,
        ended=ended.at if ended else None,
        execution_count=began.count,
        outputs=fold.outputs(),
    )


def lines(path: Path, *, heads: bool = False) -> Iterator[JournalLine]:
    """Yield the lines of a file, with `heads` only the first and the last. A truncated line is left out."""
    with path.open("rb") as file:
        for line in file:
            if not heads or line.startswith(_HEADS):
                with suppress(msgspec.MsgspecError, ValueError, RecursionError):
                    yield _decoder.decode(line)


def add_gap(folder: Path, gap: Gap) -> None:
    """Record a time in which no manager ran. Errors: OSError."""
    with (folder / _GAPS).open("ab") as file:
        file.write(msgspec.json.encode(gap) + b"\n")


def numbers(folder: Path) -> list[int]:
    """Return the numbers of all stored executions, the oldest first."""
    return sorted(int(path.stem) for path in folder.glob("[0-9]*.jsonl") if path.stem.isdecimal())


def file_of(folder: Path, number: int) -> Path:
    """Return the path of an execution's file."""
    return folder / f"{number:08}.jsonl"
