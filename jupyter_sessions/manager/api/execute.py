"""Run code in a session by polling: the client repeats `POST /session/{ref}` until the run has finished.

Source: managers 23.09 to 26.8.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.console import ends_step, report
from jupyter_sessions.manager.api.runs import begin, count, running
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, find
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink
from jupyter_sessions.manager.run.supervisor import SessionSupervisor

HOLD_SECONDS = 2.0
GATHER_SECONDS = 0.005
COMPLETE_SECONDS = 10.0


class RunCodeRequest(msgspec.Struct, kw_only=True):
    """The body of an execute request."""

    mode: str = "query"
    code: str = ""
    runId: str | None = None  # noqa: N815
    options: dict[str, Any] | None = None


class CompleteRequest(msgspec.Struct, kw_only=True):
    """The body of a request for completions: the cursor is before `options.post`, or at row and column."""

    code: str = ""
    options: dict[str, Any] | None = None


async def execute(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}: start code, or report the progress of a run."""
    asked = msgspec.convert(await body_of(request), RunCodeRequest)
    supervisor = running(request)
    link, options = supervisor.running_link(), asked.options or {}
    if asked.mode == "complete":
        count(request, supervisor.record)
        found = await _complete(link, asked.code, options)
        return answer({"result": {"runId": asked.runId, **found}})
    run = _run(supervisor, asked, options)
    count(request, supervisor.record)
    messages = await _gather(run)
    result = report(run, messages, whole=bool(options.get("messages")))
    if result["status"] == "finished":
        link.forget(run)
    return answer({"result": {"runId": run.id, **result}})


def _run(supervisor: SessionSupervisor, asked: RunCodeRequest, options: dict[str, Any]) -> Run:
    if asked.mode not in ("continue", "input"):
        return begin(supervisor, asked.mode, asked.code, options)
    if not asked.runId:
        raise InvalidRequest("The id of the run that is to go on ('runId') is missing.", field="runId")
    link = supervisor.running_link()
    run = link.run(asked.runId)
    if asked.mode == "input":
        link.input(run, asked.code)
    return run


async def _gather(run: Run) -> list[Message]:
    """Return the messages since the last request: the first as soon as it arrives, and those right after."""
    found: list[Message] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(HOLD_SECONDS) as hold:
            while (message := await run.messages.get()) is not None:
                if not found:
                    hold.reschedule(asyncio.get_running_loop().time() + GATHER_SECONDS)
                found.append(message)
                if ends_step(message):
                    break
    return found


async def complete(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}/complete: the completions of code."""
    asked = msgspec.convert(await body_of(request), CompleteRequest)
    supervisor = running(request)
    count(request, supervisor.record)
    return answer({"result": await _complete(supervisor.running_link(), asked.code, asked.options or {})})


async def _complete(link: KernelLink, code: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the kernel's completions; none if the kernel is too busy to answer soon."""
    run = link.complete(code, _cursor(code, options))
    with suppress(TimeoutError):
        await asyncio.wait_for(run.replied.wait(), COMPLETE_SECONDS)
    link.forget(run)
    matches = (run.reply or {}).get("matches") or []
    return {"status": "finished", "exitCode": None, "options": None, "files": [], "completions": matches}


def _cursor(code: str, options: dict[str, Any]) -> int:
    """Return the position of the cursor; rows and columns count from 0 (`options` of managers 23.09 to 26.8)."""
    post, row, column = (options.get(name) for name in ("post", "row", "col"))
    if isinstance(post, str) and post and code.endswith(post):
        return len(code) - len(post)
    lines = code.split("\n")
    if isinstance(row, int) and isinstance(column, int) and 0 <= row < len(lines):
        return sum(len(line) + 1 for line in lines[:row]) + max(0, min(column, len(lines[row])))
    return len(code)


async def interrupt(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}/interrupt: interrupt the running code."""
    request.app[SESSIONS].interrupt(find(request))
    return web.Response(status=204)
