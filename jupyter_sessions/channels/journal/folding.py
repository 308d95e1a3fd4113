r"""Fold the messages of an execution into the outputs of a notebook's cell.

As in JupyterLab 4 (outputarea/model.ts), consecutive text of one stream is joined, `\r` and `\b` overwrite,
`clear_output` clears, and `update_display_data` changes the output with its id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from jupyter_sessions.amounts import human_size

HEAD_BYTES = 2 * 1024**2
TAIL_BYTES = 6 * 1024**2

KINDS = frozenset(
    {"stream", "display_data", "execute_result", "update_display_data", "error", "clear_output"}
)
_CONTROL = re.compile(r"[\r\b]")
_STEPS = re.compile(r"[\r\b]|[^\r\b]+")


class Said(msgspec.Struct, tag="said", tag_field="kind"):
    """A message of one of `KINDS`."""

    type: str
    content: dict[str, Any]


class LeftOut(msgspec.Struct, tag="left_out", tag_field="kind"):
    """Bytes of output that were dropped here."""

    size: int


class Note(msgspec.Struct, tag="note", tag_field="kind"):
    """A remark of the manager about the outputs, in one sentence."""

    text: str


OutputItem = Said | LeftOut | Note


class Fold:
    """The outputs of one execution, folded message by message."""

    def __init__(self) -> None:
        self._items: list[OutputItem] = []
        self._pieces: list[str] = []
        self._stream = ""
        self._clear_next = False

    def add(self, item: OutputItem) -> None:
        """Add the next message."""
        if not isinstance(item, Said):
            self._break()
            self._items.append(item)
        elif item.type == "clear_output":
            self._clear_next = bool(item.content.get("wait"))
            if not self._clear_next:
                self._clear()
        elif item.type == "update_display_data":
            self._update(item.content)
        else:
            self._show(item)

    def outputs(self) -> list[dict[str, Any]]:
        """Return the outputs as in a notebook, with a line on stderr where output was dropped."""
        self._break()
        found: list[dict[str, Any]] = []
        for item in self._items:
            output = _output(item)
            if found and output["output_type"] == "stream" and found[-1].get("name") == output["name"]:
                found[-1]["text"] += output["text"]
            else:
                found.append(output)
        return found

    def kept(self) -> Iterator[OutputItem]:
        """Yield the outputs in as few items as possible; of too much output, the beginning and the end."""
        self._break()
        items = [_compact(item) for item in self._items]
        yield from items if sum(map(_size, items)) <= HEAD_BYTES + TAIL_BYTES else _ends(items)
        if self._clear_next:
            yield Said("clear_output", {"wait": True})

    def _show(self, item: Said) -> None:
        if self._clear_next:
            self._clear()
            self._clear_next = False
        if item.type != "stream":
            self._break()
            self._items.append(item)
            return
        if item.content.get("name") != self._stream:
            self._break()
            self._stream = str(item.content.get("name", "stdout"))
        self._pieces.append(str(item.content.get("text", "")))

    def _update(self, content: dict[str, Any]) -> None:
        shown = display_id(content)
        for index, item in enumerate(self._items):
            if shown and isinstance(item, Said) and display_id(item.content) == shown:
                new = {"data": content.get("data", {}), "metadata": content.get("metadata", {})}
                self._items[index] = Said(item.type, item.content | new)

    def _clear(self) -> None:
        self._items, self._pieces, self._stream = [], [], ""

    def _break(self) -> None:
        """End the current text, so that the next message begins another output."""
        if self._pieces:
            self._items.append(Said("stream", {"name": self._stream, "text": "".join(self._pieces)}))
        self._pieces, self._stream = [], ""


def display_id(content: dict[str, Any]) -> str:
    """Return the display id of a message, or ""."""
    return str((content.get("transient") or {}).get("display_id") or "")


def overwritten(text: str) -> str:
    """Return a text as a terminal shows it, with carriage returns and backspaces applied."""
    if not _CONTROL.search(text):
        return text
    return "\n".join(_typed(line)[0] for line in text.split("\n"))


def _settled(text: str) -> str:
    """Return the shortest text with the same result and the same cursor position."""
    if not _CONTROL.search(text):
        return text
    *lines, last = text.split("\n")
    shown, cursor = _typed(last)
    again = "" if cursor == len(shown) else "\r" + shown[:cursor]
    return "\n".join([*(_typed(line)[0] for line in lines), shown + again])


def _typed(line: str) -> tuple[str, int]:
    """Return a line as typed character by character, and the final cursor position."""
    shown, at = "", 0
    for step in _STEPS.findall(line):
        if step == "\r":
            at = 0
        elif step == "\b":
            shown, at = (shown[: at - 1] + shown[at + 1 :], at - 1) if at else (shown, 0)
        else:
            shown, at = shown[:at] + step + shown[at + len(step) :], at + len(step)
    return shown, at


def _output(item: OutputItem) -> dict[str, Any]:
    if isinstance(item, LeftOut):
        item = Note(f"{human_size(item.size)} of output were left out here.")
    if isinstance(item, Note):
        return {"output_type": "stream", "name": "stderr", "text": f"[{item.text}]\n"}
    content = item.content
    match item.type:
        case "stream":
            return {"output_type": "stream", "name": content["name"], "text": overwritten(content["text"])}
        case "error":
            return (
                {"output_type": "error"}
                | {key: content.get(key, "") for key in ("ename", "evalue")}
                | {"traceback": content.get("traceback", [])}
            )
    shown = {"data": content.get("data", {}), "metadata": content.get("metadata", {})}
    if item.type == "execute_result":
        shown["execution_count"] = content.get("execution_count")
    return {"output_type": item.type, **shown}


# Bounds.


def _size(item: OutputItem) -> int:
    """Estimate the bytes of an item on disk."""
    match item:
        case Said():
            return len(encode(item.content))
        case LeftOut():
            return item.size
        case _:
            return 0


def encode(value: object) -> bytes:
    """Encode a value as JSON, and replace invalid Unicode."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="replace")


def _compact(item: OutputItem) -> OutputItem:
    if isinstance(item, Said) and item.type == "stream":
        return Said("stream", item.content | {"text": _settled(item.content["text"])})
    return item


def _ends(items: list[OutputItem]) -> Iterator[OutputItem]:
    """Yield the first and the last items, and between them the size of what is dropped."""
    first, rest = _taken(items, HEAD_BYTES, from_end=False)
    last, middle = _taken(rest[::-1], TAIL_BYTES, from_end=True)
    yield from first
    yield LeftOut(sum(map(_size, middle)))
    yield from (item for item in middle[::-1] if isinstance(item, Note))
    yield from last[::-1]


def _taken(
    items: list[OutputItem], most: int, *, from_end: bool
) -> tuple[list[OutputItem], list[OutputItem]]:
    """Split items after `most` bytes. A text is split between two lines."""
    left = most
    for index, item in enumerate(items):
        size = _size(item)
        if size > left or isinstance(item, LeftOut):
            taken, others = _divided(item, left if size > left else 0, from_end=from_end)
            return items[:index] + taken, others + items[index + 1 :]
        left -= size
    return items, []


def _divided(item: OutputItem, most: int, *, from_end: bool) -> tuple[list[OutputItem], list[OutputItem]]:
    """Split a text after `most` bytes; other items cannot be split and go to the second part."""
    if not isinstance(item, Said) or item.type != "stream" or not most:
        return [], [item]
    text = item.content["text"]
    most = most * len(text) // _size(item)
    if from_end:
        begin = max(0, len(text) - most)
        at = text.find("\n", begin) + 1 or begin
    else:
        at = text.rfind("\n", 0, most) + 1 or most
    before, after = (Said("stream", item.content | {"text": part}) for part in (text[:at], text[at:]))
    return ([after], [before]) if from_end else ([before], [after])
