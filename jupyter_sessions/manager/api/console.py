"""Report the state and output of a run as Backend.AI does.

Source: managers 23.09 to 26.8. With ``options: {"messages": true}``, an addition of this manager, the console holds
the kernel's messages as ``["jupyter", {"msg_type", "content"}]``, so that nothing is lost.
"""

from __future__ import annotations

from typing import Any

from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.manager.run.batch_run import STEP

_INTERRUPTED = 130


def report(run: Run, messages: list[Message], *, whole: bool) -> dict[str, Any]:
    """Return the state of a run and its output; with `whole`, the output is the kernel's own messages."""
    said = [message for message in messages if _kind(message) != STEP]
    console = [_item(message) for message in said] if whole else _console(said)
    return {"exitCode": None, "options": None, "files": [], "console": console} | _state(run, messages)


def ends_step(message: Message) -> bool:
    """Return whether a message marks the end of a step, which also ends a report."""
    return _kind(message) == STEP


def _kind(message: Message) -> str:
    return str(message["header"]["msg_type"])


def _state(run: Run, messages: list[Message]) -> dict[str, Any]:
    if messages and ends_step(messages[-1]):
        step = messages[-1]["content"]
        return {"status": f"{step['step']}-finished", "exitCode": step["exit_code"]}
    if run.finished and run.messages.empty() and run.reply is not None:
        return {"status": "finished", "exitCode": _exit_code(run.reply), "reply": run.reply}
    if run.waiting_input:
        return {"status": "waiting-input", "options": {"is_password": run.password}}
    return {"status": "continued"}


def _exit_code(reply: dict[str, Any]) -> int:
    if reply.get("ename") == "SessionEnded":
        return _INTERRUPTED
    return int(reply.get("exit_code", reply["status"] != "ok"))


def _item(message: Message) -> list[Any]:
    return ["jupyter", {"msg_type": _kind(message), "content": message["content"]}]


def _console(messages: list[Message]) -> list[list[Any]]:
    """Return messages in Backend.AI's form; adjacent texts of the same stream are joined."""
    items: list[list[Any]] = []
    for message in messages:
        for item in _plain(_kind(message), message["content"]):
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
