"""What one may type after `%session`, as argparse reads it."""

from __future__ import annotations

import argparse
import difflib
import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from jupyter_sessions.errors import InvalidRequest, SessionError


class Help(SessionError):
    """Not an error: the help that was asked for."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises what it would print."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"add_help": False, **options})
        self.add_argument("-h", "--help", action="store_true", help="show this")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it would be right."""
        raise InvalidRequest(f"{self.prog}: {message}.", hint=self.format_usage().strip())


def parse(words: str | Sequence[str], *, prog: str = "%session") -> argparse.Namespace:
    """The verb and its options.

    Errors: InvalidRequest with the usage; Help holding the help text.
    """
    if isinstance(words, str):
        try:
            words = shlex.split(words)
        except ValueError as error:
            raise InvalidRequest(f"{prog}: {error}.", hint="Close the quotation.") from None
    parser, known = _grammar(prog)
    if not words or words[0] in ("-h", "--help", "help"):
        raise Help(parser.format_help())
    verb, rest = split_verb(known, words)
    if not verb:
        raise _unknown_verb(" ".join(rest[: 2 if rest[0] in _groups(known) else 1]), known, prog)
    if "-h" in rest or "--help" in rest:
        raise Help(known[verb].format_help())
    known[verb].usage = _usage(known[verb])
    return known[verb].parse_intermixed_args(rest)


def _usage(verb: argparse.ArgumentParser) -> str:
    """Its usage on one line, as a template: argparse fills it in once more, in which '%' has a meaning."""
    return " ".join(verb.format_usage().split()).removeprefix("usage: ").replace("%", "%%")


def split_verb(known: Iterable[str], words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The verb, of one word or two, that words begin with, "" if with none; and the other words."""
    for count in (2, 1):
        verb = " ".join(words[:count])
        if len(words) >= count and verb in known:
            return verb, words[count:]
    return "", words


def _groups(known: Iterable[str]) -> set[str]:
    return {verb.split()[0] for verb in known if " " in verb}


def _unknown_verb(word: str, known: Iterable[str], prog: str) -> InvalidRequest:
    known = [verb for verb in known if verb.split()[0] == word] or known
    nearest = difflib.get_close_matches(word, known, n=1)
    hint = (
        f"Did you mean '{nearest[0]}'?"
        if nearest and word not in _groups(known)
        else f"There are: {', '.join(known)}."
    )
    return InvalidRequest(f"{prog}: there is no '{word}'.", hint=hint, field="verb")


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every verb's own parser, aliases too."""
    return _grammar("%session")[1]


def _grammar(prog: str) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = _Parser(prog=prog, description="Compute sessions: create, list, use and end them.")
    parsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for define in (_create, _ps, _info, _rm, _restart, _rename, _logs, _console, _kernel):
        define(parsers)
    return parser, dict(parsers.choices)


def _create(parsers: Any) -> None:
    verb = parsers.add_parser(
        "create", aliases=["start"], help="create a session", description="Create a session."
    )
    verb.set_defaults(verb="create")
    verb.add_argument("image", nargs="?", help="environment or image, for example python")
    verb.add_argument("--image", dest="image_option", metavar="IMAGE", help="the same as an option")
    verb.add_argument("--name", "-t", help="what to call it")
    verb.add_argument("--backend", "-b", help="where it runs")
    _amounts(verb)
    verb.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable"
    )
    verb.add_argument("--cwd", help="working folder (default: this one)")
    verb.add_argument("--preset", help="a saved spec to begin with")
    verb.add_argument("--tag", help="a note of your own")
    verb.add_argument("--no-reuse", action="store_true", help="refuse if a session of that name lives")
    verb.add_argument("--enqueue-only", action="store_true", help="do not wait until it runs")
    verb.add_argument(
        "--max-wait", type=_seconds, default=0, metavar="SECONDS", help="wait no longer (0: for ever)"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 0 on")
    return seconds


def _ps(parsers: Any) -> None:
    verb = parsers.add_parser("ps", aliases=["list"], help="list sessions", description="List sessions.")
    verb.set_defaults(verb="ps")
    which = verb.add_mutually_exclusive_group()
    which.add_argument(
        "-a", "--all", action="store_const", dest="status", const="all", help="live and ended ones"
    )
    which.add_argument(
        "--running", action="store_const", dest="status", const="running", help="those that run"
    )
    which.add_argument("--dead", action="store_const", dest="status", const="dead", help="those that ended")
    which.add_argument("-s", "--status", help="those of these statuses")
    verb.set_defaults(status="live")
    verb.add_argument("--backend", "-b", help="those of one backend")
    verb.add_argument("--format", "-f", metavar="FIELDS", help="comma list of fields")
    verb.add_argument("--name-only", action="store_true", help="names alone")
    verb.add_argument("--json", action="store_true", help="as JSON")


def _info(parsers: Any) -> None:
    verb = parsers.add_parser(
        "info", help="show one session", description="Show all there is to know of a session."
    )
    verb.set_defaults(verb="info")
    verb.add_argument("session", help="name, id or backend/name")
    verb.add_argument("--json", action="store_true", help="as JSON")


def _rm(parsers: Any) -> None:
    verb = parsers.add_parser(
        "rm", aliases=["terminate", "destroy", "kill"], help="end sessions", description="End sessions."
    )
    verb.set_defaults(verb="rm")
    verb.add_argument("sessions", nargs="+", metavar="session", help="name, id or backend/name")
    verb.add_argument("--forced", "-f", action="store_true", help="skip the grace time")


def _restart(parsers: Any) -> None:
    verb = parsers.add_parser(
        "restart", help="restart a session", description="Restart a session's processes."
    )
    verb.set_defaults(verb="restart")
    verb.add_argument("session", help="name, id or backend/name")


def _rename(parsers: Any) -> None:
    verb = parsers.add_parser("rename", help="rename a session", description="Give a session another name.")
    verb.set_defaults(verb="rename")
    verb.add_argument("session", help="name, id or backend/name")
    verb.add_argument("name", help="its new name")


def _logs(parsers: Any) -> None:
    verb = parsers.add_parser("logs", help="show what it printed", description="Show what a session printed.")
    verb.set_defaults(verb="logs")
    verb.add_argument("session", help="name, id or backend/name")


def _amounts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--cpu", "--cores", help="number of CPUs")
    verb.add_argument("--mem", "--ram", help="memory with a unit; a bare number is MiB")
    verb.add_argument("--gpu", help="number of GPUs")
    verb.add_argument(
        "-r", "--resource", action="append", default=[], metavar="SLOT=AMOUNT", help="any resource"
    )


def _console(parsers: Any) -> None:
    about = "Type in a session, from a terminal; leaving it ends nothing."
    verb = parsers.add_parser("console", help="type in a session (in a shell)", description=about)
    verb.set_defaults(verb="console")
    verb.add_argument("session", help="name, id or backend/name")


def _kernel(parsers: Any) -> None:
    """Kernels that run in sessions: three verbs of two words."""
    about = "Make a kernel for launchers and notebooks that runs in a session of its own, or in SESSION."
    verb = parsers.add_parser("kernel add", help="make a kernel that runs in sessions", description=about)
    verb.set_defaults(verb="kernel add")
    verb.add_argument("name", help="what notebooks call the kernel")
    verb.add_argument("--image", default="python", help="environment or image (default: python)")
    verb.add_argument("--backend", "-b", help="where its sessions run")
    _amounts(verb)
    verb.add_argument("--session", help="attach to this session instead")
    verb.add_argument("--display-name", metavar="TEXT", help="what people see")
    verb = parsers.add_parser(
        "kernel list", help="list such kernels", description="List kernels that run in sessions."
    )
    verb.set_defaults(verb="kernel list")
    verb.add_argument("--json", action="store_true", help="as JSON")
    verb = parsers.add_parser(
        "kernel rm", help="remove such kernels", description="Remove kernels; sessions stay."
    )
    verb.set_defaults(verb="kernel rm")
    verb.add_argument("kernels", nargs="+", metavar="kernel", help="name of the kernel")
