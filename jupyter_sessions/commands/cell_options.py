"""The options of `%%session`, which runs a cell in a session."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser

from jupyter_sessions.commands import options
from jupyter_sessions.commands.grammar import Help, RaisingParser, asks_for_help, split_line
from jupyter_sessions.errors import InvalidRequest

_USAGE = (
    "`%session create python --name demo` makes one; then begin the cell with `%%session demo`, or type"
    " `%session use demo` first."
)


def cell_parser() -> ArgumentParser:
    """Return the parser of the line that begins a cell."""
    parser = RaisingParser(prog="%%session", description="Run the cell in a session.")
    parser.add_argument(
        "session", nargs="?", help=f"{options.REFERENCE} (default: what `%%session use` named)"
    )
    parser.add_argument(
        "--timeout",
        type=options.seconds,
        default=0,
        metavar="SECONDS",
        help="interrupt the code after this time (0: no limit)",
    )
    parser.add_argument(
        "--ignore-errors", action="store_true", help="show errors of the code without failing the cell"
    )
    parser.add_argument(
        "--background", action="store_true", help="go on while it runs; `%%session output` shows its output"
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME",
        help="copy this variable of the session here afterwards: plain data, as JSON",
    )
    parser.add_argument(
        "--pickle",
        action="store_true",
        help="copy variables by pickle, from machines that you trust: unpickling can run code",
    )
    return parser


def _variable(text: str) -> str:
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(f"takes the name of a variable, not '{text}'")
    return text


def parse_cell(line: str, default: str) -> argparse.Namespace:
    """Parse the line that begins a cell; `default` is the session that it means if it names none.

    Errors: InvalidRequest for what cannot be read, or without a session; Help with the help text.
    """
    words, parser = split_line(line), cell_parser()
    if asks_for_help(words):
        raise Help(parser.format_help())
    asked = parser.parse_args(words)
    asked.session = asked.session or default
    if not asked.session:
        raise InvalidRequest("%%session needs the name of a session.", hint=_USAGE)
    if asked.background and (asked.output or asked.ignore_errors):
        option = "-o" if asked.output else "--ignore-errors"
        hint = "Leave one out; `.result()` of the handle waits for the end, and raises."
        raise InvalidRequest(
            f"'{option}' needs the end of the cell, and '--background' does not wait for it.", hint=hint
        )
    if asked.pickle and not asked.output:
        hint = "Add `-o NAME`."
        raise InvalidRequest("'--pickle' is for variables that are copied here.", hint=hint, field="pickle")
    return asked
