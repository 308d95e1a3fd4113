"""The verb `output`: the output of an execution in a session."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from jupyter_sessions.backends.base import Output
from jupyter_sessions.channels.journal_messages import Execution, Selection
from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Json, Result, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import InvalidRequest, NotFound
from jupyter_sessions.model import SessionInfo

_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


def _output_options(verb: ArgumentParser) -> None:
    verb.set_defaults(request="")
    verb.add_argument("session", nargs="?", help=f"{options.REFERENCE} (default: the only session)")
    verb.add_argument(
        "number", nargs="?", type=int, help="which execution: 1 is the first, -1 the last (default)"
    )
    options.json(verb)


class Shown(Result):
    """Outputs of a cell as nbformat 4 has them; a notebook shows them as if it had run the cell."""

    def __init__(self, outputs: list[dict[str, Any]]) -> None:
        self.outputs = outputs

    def messages(self) -> Iterator[Output]:
        """Return the outputs as a kernel sends them.

        An error that was raised then is printed as text, so that it does not fail the cell that shows it.
        """
        for output in self.outputs:
            if output["output_type"] == "error":
                yield Output(kind="stream", content={"name": "stderr", "text": _text(output)})
            else:
                yield Output(kind=output["output_type"], content=output)

    def text(self, width: int = 100, *, color: bool = False) -> str:
        """Return the outputs as a terminal shows them."""
        return "".join(map(_text, self.outputs)).rstrip("\n")


async def output(api: Api, asked: Namespace, face: Face) -> Result:
    """Show the output of an execution: the latest, or the one with the given number.

    The execution that asks (its `request`) is still running; it does not count when counting from the end.
    """
    ref, number = _meant(asked.session, asked.number)
    row = await api.find(ref) if ref else await _only_one(api)
    one = await _execution(api, row, number, asked.request)
    if asked.json:
        return Json(one)
    if one.status == "running":
        face(f"Execution {one.number} in {plain(row.name)} is still running. So far:")
    elif not one.outputs:
        face(f"Execution {one.number} in {plain(row.name)} printed nothing.")
    return Shown(one.outputs)


def _meant(ref: str | None, number: int | None) -> tuple[str, int]:
    """Return the session and the number of the execution; a number alone is an execution's."""
    if ref and number is None and _NUMBER.fullmatch(ref):
        return "", int(ref)
    return ref or "", -1 if number is None else number


async def _only_one(api: Api) -> SessionInfo:
    """Return the only live session. Errors: InvalidRequest if there is none or several."""
    rows = (await api.list()).sessions
    if len(rows) != 1:
        names = ", ".join(row.name for row in rows)
        hint = f"Name one of these: {names}." if rows else "`%session ps --all` shows those that have ended."
        raise InvalidRequest("No session is named.", hint=hint, field="session")
    return rows[0]


async def _execution(api: Api, row: SessionInfo, number: int, request: str) -> Execution:
    """Return an execution by its number, or counted from the end. Errors: NotFound."""
    which = Selection(number=number) if number >= 0 else Selection(last=1 - number)
    there = (await api.outputs(row.backend, row.id, which)).executions
    others = [one for one in there if number >= 0 or one.id != request]
    if len(others) >= max(1, -number):
        return others[number] if number < 0 else others[0]
    heads = (await api.outputs(row.backend, row.id, Selection(heads=True))).executions
    hint = f"Choose from {heads[0].number} to {heads[-1].number}." if heads else "Nothing has run in it yet."
    raise NotFound(f"The session '{row.name}' has no execution {number}.", hint=hint, field="number")


def _text(output: dict[str, Any]) -> str:
    match output["output_type"]:
        case "stream":
            return str(output["text"])
        case "error":
            return "\n".join(output["traceback"]) + "\n"
        case _:
            return f"{output['data'].get('text/plain', '')}\n"


VERBS = (
    Verb(
        "output",
        "show the output of an execution",
        "Show the output of an execution in a session, also if no notebook was open.",
        _output_options,
        output,
    ),
)
