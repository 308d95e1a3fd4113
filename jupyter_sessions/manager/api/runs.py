"""Start runs: code in the kernel, or the commands of a batch run."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from aiohttp import web

from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api import sockets
from jupyter_sessions.manager.api.session import SESSIONS, find
from jupyter_sessions.manager.core.changes import Used
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.run.batch_run import BatchRun, Plan
from jupyter_sessions.manager.run.supervisor import SessionSupervisor


def running(request: web.Request) -> SessionSupervisor:
    """Return the supervisor of the running session that the path names.

    Errors: SessionNotFound, Ambiguous, NotRunning.
    """
    supervisor = request.app[SESSIONS].supervisor(find(request))
    supervisor.running_link()
    return supervisor


def streamed(request: web.Request) -> SessionSupervisor:
    """Return the supervisor for a WebSocket request, before which nothing is started.

    Errors: those of `running`, and InvalidRequest.
    """
    find(request)
    sockets.check(request)
    return running(request)


def count(request: web.Request, record: Record) -> None:
    """Count an accepted access to a session, which is then not idle."""
    sessions = request.app[SESSIONS]
    sessions.machine.apply(record, Used())
    sessions.touch(record)


def begin(supervisor: SessionSupervisor, mode: str, code: str, options: dict[str, Any]) -> Run:
    """Start a query or a batch run. Errors: InvalidRequest, NotRunning."""
    link = supervisor.running_link()
    if mode == "query":
        return link.execute(code, stdin=bool(options.get("stdin", True)))
    if mode != "batch":
        raise InvalidRequest(
            f"There is no mode '{mode}' here.",
            hint="Use query, batch, complete, continue or input.",
            field="mode",
        )
    try:
        plan = msgspec.convert({name: options.get(name) for name in Plan.__struct_fields__}, Plan)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"The commands in 'options' cannot be read: {error}.", hint="Each is a command.", field="options"
        ) from None
    if any("\0" in (command or "") for command in (plan.clean, plan.build, plan.exec)):
        raise InvalidRequest("A command in 'options' holds a NUL character.", field="options")
    run = Run(secrets.token_hex(16))
    link.add(run)
    supervisor.programs.do(BatchRun(run, plan, supervisor.programs).perform())
    return run
