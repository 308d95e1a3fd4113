"""Print to terminals and pipes: not all can show every character, and some are closed early."""

from __future__ import annotations

import codecs
import os
from contextlib import suppress
from typing import TextIO

from jupyter_sessions.errors import SessionError

_PLAINER = str.maketrans({"·": ",", "─": "-", "…": "...", "’": "'", "“": '"', "”": '"', "×": "x", "–": "-"})
_ESCAPED = "jupyter_sessions.escaped"
_NO_COLOR = "NO_COLOR"  # https://no-color.org


class OutputClosed(SessionError):
    """The program that read the output has closed its end of the pipe."""


def write(text: str, stream: TextIO, *, exact: bool = False, end: str = "\n") -> None:
    """Print a line, or a part of one.

    Characters that the stream cannot encode are replaced, or escaped as in JSON if the line must be `exact`.
    Errors: OutputClosed.
    """
    try:
        print(printable(text, stream.encoding, exact=exact), end=end, file=stream, flush=True)
    except BrokenPipeError:
        _discard(stream)
        raise OutputClosed("Nobody reads the output any more.") from None


def printable(text: str, encoding: str | None, *, exact: bool = False) -> str:
    """Return the text in characters that an encoding has."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text if exact else text.translate(_PLAINER)
        return text.encode(encoding, _ESCAPED).decode(encoding)
    return text


def in_color(stream: TextIO) -> bool:
    """Return whether a stream is a terminal of somebody who wants colours."""
    return stream.isatty() and not os.environ.get(_NO_COLOR) and os.environ.get("TERM") != "dumb"


def _discard(stream: TextIO) -> None:
    """Send what is still buffered to /dev/null, or Python would complain about it at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""Escape characters as JSON does, ``\u00e9``, in two parts beyond the first 65,536."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


codecs.register_error(_ESCAPED, _escape)
