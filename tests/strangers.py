"""Another local user, for tests of what one must not be able to do: a process of user `nobody`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TextIO

import pytest

NOBODY = 65534
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")


class Stranger(NamedTuple):
    """A process of another user, and what it prints."""

    pid: int
    said: TextIO


@contextmanager
def stranger(code: str, *args: str) -> Iterator[Stranger]:
    """A process of another user that runs Python code, once it has printed a line.

    It is forked, for another user may not enter the folder of this interpreter.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become(code, args, writer)
    os.close(writer)
    try:
        with open(reader) as said:
            assert said.readline(), "the stranger ended before it was ready"
            yield Stranger(child, said)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _become(code: str, args: tuple[str, ...], output: int) -> None:
    try:
        os.dup2(output, 1)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        sys.argv, sys.stdout = ["stranger", *args], os.fdopen(1, "w")
        exec(compile(code, "stranger", "exec"), {"__name__": "__main__"})
    finally:
        os._exit(0)
