"""A shell command as Skaha can run it: a program, and arguments that it splits at each single space.

Servers up to 1.4.0 quote nothing: they write each argument between double quotes into a file in YAML. So a command
that means more to a shell than its words is passed as one argument without spaces, double quotes and backslashes.
"""

from __future__ import annotations

import base64
import re

_WORDS = re.compile(r"[\w@%+:,./-]+( [\w@%+=:,./-]+)*", re.ASCII)
"""A command that is the same without a shell."""
_BEFORE = "unset IFS;set +f\n"
_EVALUATE = "set\t-f;IFS=;eval\t`echo\t{}|base64\t-d`"
"""Runs the text that is encoded in it: without field separators and file names it is one word, as if it were quoted."""


def words_of(command: str) -> tuple[str, str]:
    """Return the program, and its arguments with single spaces between them; "" for none."""
    command = command.strip()
    if not command or _WORDS.fullmatch(command):
        program, _, arguments = command.partition(" ")
        return program, arguments
    encoded = base64.b64encode(f"{_BEFORE}{command}".encode()).decode()
    return "sh", f"-c {_EVALUATE.format(encoded)}"
