"""A time limit for code in a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from msgspec import structs

from jupyter_sessions.backends.base import Output
from jupyter_sessions.errors import BackendTimeout

_GRACE_SECONDS = 10.0


async def timed(
    outputs: AsyncIterator[Output], seconds: float, interrupt: Callable[[], Awaitable[object]]
) -> AsyncIterator[Output]:
    """Yield the outputs of code, which is interrupted after some `seconds`; the reply then reports a TimeoutError.

    Errors: BackendTimeout if the code does not react to the interrupt.
    """
    said = f"The code was interrupted after {seconds:g} s."
    loop, is_over = asyncio.get_running_loop(), False

    async def stop() -> None:
        nonlocal is_over
        await asyncio.sleep(seconds)
        is_over = True
        limit.reschedule(loop.time() + _GRACE_SECONDS)
        await interrupt()

    try:
        async with asyncio.timeout(None) as limit:
            stopper = asyncio.create_task(stop())
            try:
                async for output in outputs:
                    yield _overdue(output, said) if is_over and output.kind == "reply" else output
            finally:
                stopper.cancel()
    except TimeoutError:
        hint = "It may still run. `%session restart NAME` ends it, and its variables."
        raise BackendTimeout(
            f"The code did not react to the interrupt after {seconds:g} s.", hint=hint
        ) from None


def _overdue(reply: Output, said: str) -> Output:
    """Return a reply that reports the end of the time, below the traceback of the interrupt."""
    traceback = [*reply.content.get("traceback", []), said]
    content = {"status": "error", "ename": "TimeoutError", "evalue": said, "traceback": traceback}
    return structs.replace(reply, content=content)
