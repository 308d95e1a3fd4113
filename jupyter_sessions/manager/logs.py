"""What a session printed, kept within bounds on disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

OUTPUT_BYTES = 32 * 1024**2
TAIL_BYTES = 1024**2


class Logs:
    """The log files of one session: what the kernel's processes wrote and what its code printed."""

    def __init__(self, folder: Path) -> None:
        self._output = folder / "output.log"
        self.kernel = folder / "kernel.log"

    def take(self, message: dict[str, Any]) -> None:
        """Keep what a message on iopub prints."""
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            text = str(content.get("text", ""))
        elif kind == "error":
            text = "\n".join(content.get("traceback", [])) + "\n"
        else:
            return
        self._append(text)

    def text(self) -> str:
        """The newest part of both."""
        return tail(self.kernel) + tail(self._output)

    def trim(self) -> None:
        """Keep what the kernel's processes write themselves within bounds, too."""
        with suppress(OSError):
            if self.kernel.stat().st_size > OUTPUT_BYTES:
                newest = tail(self.kernel, OUTPUT_BYTES // 2)
                os.truncate(self.kernel, 0)  # They append, so they go on at the new end.
                with self.kernel.open("a", encoding="utf-8") as file:
                    file.write(newest)

    def _append(self, text: str) -> None:
        try:
            with self._output.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
                full = file.tell() > OUTPUT_BYTES
            if full:
                os.replace(self._output, self._output.with_suffix(".log.1"))
        except OSError:
            return  # A full disk must not end the session; the output still reaches who listens.


def tail(path: Path, size: int = TAIL_BYTES) -> str:
    """The last `size` bytes of a text file from the beginning of a line; "" if there is none."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            data = file.read(size)
    except OSError:
        return ""
    if length > size:
        data = data.partition(b"\n")[2]
    return data.decode(errors="replace")


def last_line(path: Path) -> str:
    """The last line of a log that is not empty, for a reason in one sentence."""
    lines = [line for line in tail(path, 8192).splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
