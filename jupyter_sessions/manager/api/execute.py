"""Run code in a session, poll style: `POST /session/{ref}` again and again until it has finished.

Source: managers 23.09 to 26.8. Asked with ``options: {"messages": true}``, which is ours, the
console holds the kernel's messages as ``["jupyter", {"msg_type", "content"}]`` and nothing is lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, find, read_object
from jupyter_sessions.manager.kernel import KernelLink, Message, Run
from jupyter_sessions.wire.identity import Identity

HOLD_SECONDS = 2.0
KERNEL = "kernel"
GATHER_SECONDS = 0.005
_INTERRUPTED = 130


class ExecuteRequest(msgspec.Struct, kw_only=True):
    """The body of an execute request."""

    mode: str = "query"
    code: str = ""
    runId: str | None = None  # noqa: N815
    options: dict[str, Any] | None = None


async def execute(request: web.Request) -> web.Response:
    """POST /session/{ref}: start code, or ask how it goes on."""
    asked = msgspec.convert(await body_of(request), ExecuteRequest)
    record = find(request)
    link = request.app[SESSIONS].guardian(record).running_link()
    record.num_queries += 1
    options = asked.options or {}
    run = _run(link, asked, options)
    if asked.mode == "input" and options.get("messages"):
        return answer(
            {"result": {"runId": run.id, "status": "continued", "console": []}}
        )  # Another call reads.
    messages = await _gather(run)
    if run.finished and run.messages.empty():
        link.forget(run)
    console = [_item(message) for message in messages] if options.get("messages") else _console(messages)
    return answer({"result": {"runId": run.id, **_state(run), "files": [], "console": console}})


def _run(link: KernelLink, asked: ExecuteRequest, options: dict[str, Any]) -> Run:
    if asked.mode == "query":
        return link.execute(asked.code, stdin=bool(options.get("stdin", True)))
    if asked.mode not in ("continue", "input"):
        raise InvalidRequest(
            f"mode: '{asked.mode}' cannot be run here.", hint="Use query, continue or input.", field="mode"
        )
    if not asked.runId:
        raise InvalidRequest("runId: it is needed to go on with a run.", field="runId")
    run = link.run(asked.runId)
    if asked.mode == "input":
        link.input(run, asked.code)
    return run


async def _gather(run: Run) -> list[Message]:
    """What came since the last time: the first thing as soon as it is there, and its neighbours."""
    found: list[Message] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(HOLD_SECONDS) as hold:
            while (message := await run.messages.get()) is not None:
                if not found:
                    hold.reschedule(asyncio.get_running_loop().time() + GATHER_SECONDS)
                found.append(message)
    return found


def _state(run: Run) -> dict[str, Any]:
    if run.finished and run.messages.empty() and run.reply is not None:
        failed = run.reply["status"] != "ok"
        ended = run.reply.get("ename") == "SessionEnded"
        code = _INTERRUPTED if ended else int(failed)
        return {"status": "finished", "exitCode": code, "options": None, "reply": run.reply}
    if run.waiting_input:
        return {"status": "waiting-input", "exitCode": None, "options": {"is_password": run.password}}
    return {"status": "continued", "exitCode": None, "options": None}


def _item(message: Message) -> list[Any]:
    return ["jupyter", {"msg_type": message["header"]["msg_type"], "content": message["content"]}]


def _console(messages: list[Message]) -> list[list[Any]]:
    """Messages in Backend.AI's own terms, neighbouring text of one stream joined."""
    items: list[list[Any]] = []
    for message in messages:
        for item in _plain(message["header"]["msg_type"], message["content"]):
            if items and item[0] in ("stdout", "stderr") and items[-1][0] == item[0]:
                items[-1][1] += item[1]
            else:
                items.append(item)
    return items


def _plain(kind: str, content: dict[str, Any]) -> list[list[Any]]:
    if kind == "stream":
        return [[content["name"], content["text"]]]
    if kind == "error":
        return [["stderr", "\n".join(content["traceback"]) + "\n"]]
    if kind == "input_request":
        return [["stdout", content["prompt"]]] if content["prompt"] else []
    data = (
        content.get("data", {}) if kind in ("display_data", "execute_result", "update_display_data") else {}
    )
    for mime, value in data.items():
        if mime.startswith("image/"):
            return [["media", [mime, value]]]
    if "text/html" in data:
        return [["html", data["text/html"]]]
    return [["stdout", f"{data['text/plain']}\n"]] if "text/plain" in data else []


async def interrupt(request: web.Request) -> web.Response:
    """POST /session/{ref}/interrupt"""
    request.app[SESSIONS].guardian(find(request)).interrupt()
    return web.Response(status=204)


async def start_service(request: web.Request) -> web.Response:
    """POST /session/{ref}/start-service: where a service listens; ours listen on unix sockets.

    `arguments` is JSON text; its "base_url" is the path under which the service's pages appear. The app
    "kernel" is ours: where notebooks connect (`front.front_of`), with the key as token; its "owner" is
    the process that has the session from now on.
    """
    body = await body_of(request)
    name = str(body.get("app") or body.get("service") or "")
    arguments = read_object(str(body.get("arguments") or ""), "arguments")
    sessions, record = request.app[SESSIONS], find(request)
    guardian = sessions.guardian(record)
    if name == KERNEL:
        stem, key = guardian.front()
        sessions.claim(record, _owner(arguments))
        return answer({"token": key, "wsproxy_addr": f"ipc://{stem}"})
    socket = await guardian.start_service(name, str(arguments.get("base_url") or "/"))
    return answer({"token": "", "wsproxy_addr": f"unix://{socket}"})


def _owner(arguments: dict[str, Any]) -> Identity | None:
    try:
        return msgspec.convert(arguments.get("owner"), Identity | None)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"owner: this is no process: {error}.", field="owner") from None


async def service_log(request: web.Request) -> web.Response:
    """GET /session/{ref}/service-log?app=…: the end of what a service printed (ours)."""
    guardian = request.app[SESSIONS].guardian(find(request))
    return answer({"result": {"logs": guardian.service_log(request.query.get("app", ""))}})
