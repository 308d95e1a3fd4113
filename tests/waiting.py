"""Waiting until something holds, for what nothing can be awaited."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any

_PAUSE = 0.02


async def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is true, and return it; the answer may have to be awaited.

    Errors: AssertionError with the last answer once time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = true()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, _in_vain(true, seconds, found)
        await asyncio.sleep(_PAUSE)


def wait_until(
    true: Callable[[], Any],
    seconds: float = 60,
    *,
    why: Callable[[], object] | None = None,
    process: subprocess.Popen[bytes] | None = None,
) -> Any:
    """Ask until the answer is true, and return it.

    Errors: AssertionError with the last answer, and with what `why` then says, once time is over or the process
    has ended.
    """
    deadline = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > deadline or (process and process.poll() is not None):
            said = _in_vain(true, seconds, found)
            said += f" (exit code {process.poll()})" if process else ""
            raise AssertionError(f"{said}\n{why()}" if why else said)
        time.sleep(_PAUSE)
    return found


def _in_vain(true: Callable[[], Any], seconds: float, found: Any) -> str:
    name = getattr(true, "__name__", repr(true))
    if name == "<lambda>":
        name = inspect.getsource(true).strip()
    return f"not so within {seconds:g} s, the last answer was {found!r}: {name}"
