"""What one may type after `%session`, as argparse reads it."""

from __future__ import annotations

import argparse
import difflib
import math
import shlex
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from jupyter_sessions.commands import backend_grammar
from jupyter_sessions.commands.adding import add_verb as _verb
from jupyter_sessions.commands.types import name_types, session_type
from jupyter_sessions.errors import InvalidRequest, SessionError

_REFERENCE = "name, id or backend/name"
_MOST_REPLICAS = 512  # As many as clients of Skaha take, 1.7.0.


class Help(SessionError):
    """Not an error: the help that was asked for."""


class _ArgumentParser(argparse.ArgumentParser):
    """An ArgumentParser that raises what it would print."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"add_help": False, **options})
        self.add_argument("-h", "--help", action="store_true", help="show this")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it would be right."""
        raise InvalidRequest(f"{message[:1].upper()}{message[1:]}.", hint=self.format_usage().strip())


def parse(words: str | Sequence[str], *, prog: str = "%session") -> argparse.Namespace:
    """The verb and its options; the verb "help" for the help on a verb `of` one backend.

    Errors: InvalidRequest with the usage; Help holding the help text.
    """
    if isinstance(words, str):
        try:
            words = shlex.split(words)
        except ValueError as error:
            raise InvalidRequest(
                f"The command cannot be read: {error}.", hint="Close the quotation."
            ) from None
    parser, known = _grammar(prog)
    if not words or words[0] in ("-h", "--help", "help"):
        raise Help(parser.format_help())
    verb, rest = split_verb(known, words)
    if not verb:
        raise _unknown_verb(" ".join(rest[: 2 if rest[0] in _groups(known) else 1]), known, prog)
    if "-h" in rest or "--help" in rest:
        if backend := backend_of(rest):
            return argparse.Namespace(verb="help", of=verb, backend=backend, prog=prog)
        name_types(known[verb])
        raise Help(known[verb].format_help())
    known[verb].usage = _usage(known[verb])
    return known[verb].parse_intermixed_args(rest)


def backend_of(words: Sequence[str]) -> str:
    """Return the backend that the words of a command name, "" if none."""
    named = [after for word, after in pairwise(words) if word in ("-b", "--backend")]
    return named[-1] if named and not named[-1].startswith("-") else ""


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
    return InvalidRequest(f"There is no command '{word}'.", hint=hint, field="verb")


def verbs(prog: str = "%session") -> dict[str, argparse.ArgumentParser]:
    """Every verb's own parser, aliases too."""
    return _grammar(prog)[1]


def _grammar(prog: str) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = _ArgumentParser(prog=prog, description="Compute sessions: create, list, use and end them.")
    parsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_ArgumentParser)
    for define in (
        _create,
        _ps,
        _info,
        _rm,
        _restart,
        _renew,
        _rename,
        _logs,
        _events,
        _output,
        _console,
        _env,
        _keys_add,
        _keys_list,
        _keys_rm,
        _kernel_add,
        _kernel_list,
        _kernel_rm,
        backend_grammar.define,
        _config,
    ):
        define(parsers)
    return parser, dict(parsers.choices)


def _create(parsers: Any) -> None:
    verb = _verb(
        parsers, "create", aliases=["start"], help="create a session", description="Create a session."
    )
    verb.add_argument("image", nargs="?", help="environment or image, for example python")
    verb.add_argument("--image", dest="image_option", metavar="IMAGE", help="the same as an option")
    verb.add_argument("--name", "-t", help="what to call it")
    verb.add_argument("--backend", "-b", help="where it runs")
    _amounts(verb)
    verb.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable"
    )
    verb.add_argument("--cwd", help="working folder (default: this one)")
    verb.add_argument("--project", metavar="NAME", help="project it belongs to")
    verb.add_argument("--resource-group", metavar="NAME", help="part of the backend it runs on")
    verb.add_argument("--preset", help="a saved spec to begin with")
    verb.add_argument("--tag", help="a note of your own")
    _program(verb)
    _times(verb)
    verb.add_argument("--no-reuse", action="store_true", help="refuse if a session of that name lives")
    verb.add_argument("--enqueue-only", action="store_true", help="do not wait until it runs")
    verb.add_argument(
        "--max-wait", type=_seconds, default=0, metavar="SECONDS", help="wait no longer (0: for ever)"
    )


def _program(verb: argparse.ArgumentParser) -> None:
    """What a session runs, on how many members, and what it finds there. Source: seed 003, client 23.9.10."""
    verb.add_argument(
        "--type",
        "--kind",
        type=session_type,
        metavar="TYPE",
        help="interactive (notebook), or batch (headless): run a startup command, then end (default: what the image is for)",
    )
    verb.add_argument(
        "--replicas", type=_replicas, metavar="N", help="make NAME-1 to NAME-N, which find REPLICA_ID"
    )
    verb.add_argument("--startup-command", metavar="COMMAND", help="shell command to run when it starts")
    verb.add_argument("--bootstrap-script", metavar="FILE", help="script to run before it starts")
    verb.add_argument("--cluster-size", type=int, metavar="N", help="number of members, each as asked")
    verb.add_argument(
        "--cluster-mode",
        choices=("single-node", "multi-node"),
        metavar="MODE",
        help="where members run: single-node or multi-node",
    )
    verb.add_argument(
        "-v", "--mount", action="append", default=[], metavar="NAME[:PATH]", help="folder to mount"
    )
    verb.add_argument(
        "--preopen", type=_ports, default=[], metavar="PORTS", help="ports its programs will listen on"
    )
    verb.add_argument(
        "--resource-opts", action="append", default=[], metavar="NAME=VALUE", help="as shmem=64m"
    )
    verb.add_argument(
        "--depends", action="append", default=[], metavar="SESSION", help="start after this one succeeds"
    )
    verb.add_argument("--starts-at", metavar="TIME", help="start not before, as 10m or 2030-01-31T08:00")


def _times(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--idle-timeout", metavar="TIME", help="end it when it is not used for so long (30m, 2h; 0: never)"
    )
    verb.add_argument("--time-limit", metavar="TIME", help="end it after so long (4h, 1d; 0: never)")
    verb.add_argument("--callback-url", metavar="URL", help="post each change of its status there")


def _ports(text: str) -> list[int]:
    try:
        return [int(port) for port in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no comma list of port numbers") from None


def _replicas(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_REPLICAS:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 to {_MOST_REPLICAS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 0 on")
    return seconds


def _ps(parsers: Any) -> None:
    verb = _verb(parsers, "ps", aliases=["list"], help="list sessions", description="List sessions.")
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
    verb = _verb(
        parsers, "info", help="show one session", description="Show all there is to know of a session."
    )
    verb.add_argument("session", help=_REFERENCE)
    verb.add_argument("--json", action="store_true", help="as JSON")


def _rm(parsers: Any) -> None:
    verb = _verb(
        parsers,
        "rm",
        aliases=["terminate", "destroy", "kill"],
        help="end sessions",
        description="End sessions.",
    )
    verb.add_argument("sessions", nargs="+", metavar="session", help=_REFERENCE)
    verb.add_argument("--forced", "-f", action="store_true", help="skip the grace time")
    verb.add_argument("--recursive", "-r", action="store_true", help="end those that wait for them, too")


def _restart(parsers: Any) -> None:
    verb = _verb(parsers, "restart", help="restart a session", description="Restart a session's processes.")
    verb.add_argument("session", help=_REFERENCE)


def _renew(parsers: Any) -> None:
    about = "Begin to count idle timeout, time limit or lifetime anew."
    verb = _verb(parsers, "renew", help="put off the end of a session", description=about)
    verb.add_argument("session", help=_REFERENCE)


def _rename(parsers: Any) -> None:
    verb = _verb(parsers, "rename", help="rename a session", description="Give a session another name.")
    verb.add_argument("session", help=_REFERENCE)
    verb.add_argument("name", help="its new name")


def _logs(parsers: Any) -> None:
    verb = _verb(parsers, "logs", help="show what it printed", description="Show what a session printed.")
    verb.add_argument("session", help=_REFERENCE)


def _events(parsers: Any) -> None:
    about = "Show what has happened to a session, and then what does until it runs or has ended."
    verb = _verb(parsers, "events", help="show what happens to it", description=about)
    verb.add_argument("session", help=_REFERENCE)
    verb.add_argument("--follow", "-f", action="store_true", help="go on until it has ended")


def _output(parsers: Any) -> None:
    about = "Show what an execution in a session printed, also while nobody looked."
    verb = _verb(parsers, "output", help="show what an execution printed", description=about)
    verb.set_defaults(request="")
    verb.add_argument("session", nargs="?", help=f"{_REFERENCE} (default: the only one)")
    verb.add_argument(
        "number", nargs="?", type=int, help="which execution: 1 is the first, -1 the last (default)"
    )
    verb.add_argument("--json", action="store_true", help="as JSON")


def _amounts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--cpu", "--cores", help="number of CPUs")
    verb.add_argument("--mem", help="memory with a unit; a bare number is MiB")
    verb.add_argument("--ram", help="the same; a bare number is GiB")
    verb.add_argument("--gpu", help="number of whole GPUs, also where they come in shares")
    verb.add_argument(
        "-r", "--resource", action="append", default=[], metavar="SLOT=AMOUNT", help="any resource"
    )


def _console(parsers: Any) -> None:
    about = "Type in a session, from a terminal; leaving it ends nothing."
    verb = _verb(parsers, "console", help="type in a session (in a shell)", description=about)
    verb.add_argument("session", help=_REFERENCE)


def _env(parsers: Any) -> None:
    about = 'Print what the vendors\' own clients need to reach a backend: `eval "$(jupyter session env)"`.'
    verb = _verb(parsers, "env", help="let other clients in (in a shell)", description=about)
    verb.add_argument("backend", nargs="?", help="which backend (default: the default one)")


def _keys_add(parsers: Any) -> None:
    about = "Make a key for others to use this machine's manager with; prints it, this once, for a shell to evaluate."
    verb = _verb(parsers, "keys add", help="make a key (in a shell)", description=about)
    verb.add_argument(
        "--role",
        choices=["user", "admin", "superadmin"],
        metavar="ROLE",
        default="user",
        help="user (default), admin (of its domain) or superadmin",
    )
    verb.add_argument("--domain", default="default", help="its domain (default: default)")
    verb.add_argument("--group", default="default", help="its group (default: default)")
    verb.add_argument("--email", default="", help="whose it is")
    verb.add_argument("--max-sessions", type=int, default=0, metavar="N", help="that run at once (0: any)")
    verb.add_argument(
        "-r",
        "--resource",
        action="append",
        default=[],
        metavar="SLOT=AMOUNT",
        help="most at once, for example mem=8g",
    )
    verb.add_argument("--backend", "-b", help="whose manager")


def _keys_list(parsers: Any) -> None:
    verb = _verb(
        parsers, "keys list", help="list keys (in a shell)", description="List keys, without their secrets."
    )
    verb.add_argument("--json", action="store_true", help="as JSON")
    verb.add_argument("--backend", "-b", help="whose manager")


def _keys_rm(parsers: Any) -> None:
    verb = _verb(
        parsers,
        "keys rm",
        help="remove keys (in a shell)",
        description="Remove keys that have no live sessions.",
    )
    verb.add_argument("keys", nargs="+", metavar="key", help="access key")
    verb.add_argument("--backend", "-b", help="whose manager")


def _kernel_add(parsers: Any) -> None:
    about = "Make a kernel for launchers and notebooks that runs in a session of its own, or in SESSION."
    verb = _verb(parsers, "kernel add", help="make a kernel that runs in sessions", description=about)
    verb.add_argument("name", help="what notebooks call the kernel")
    verb.add_argument("--image", default="python", help="environment or image (default: python)")
    verb.add_argument("--backend", "-b", help="where its sessions run")
    _amounts(verb)
    verb.add_argument("--session", help="attach to this session instead")
    verb.add_argument("--display-name", metavar="TEXT", help="what people see")


def _kernel_list(parsers: Any) -> None:
    verb = _verb(
        parsers, "kernel list", help="list such kernels", description="List kernels that run in sessions."
    )
    verb.add_argument("--json", action="store_true", help="as JSON")


def _kernel_rm(parsers: Any) -> None:
    verb = _verb(
        parsers, "kernel rm", help="remove such kernels", description="Remove kernels; sessions stay."
    )
    verb.add_argument("kernels", nargs="+", metavar="kernel", help="name of the kernel")


def _config(parsers: Any) -> None:
    about = "Show each option of the configuration files, and which file it comes from."
    verb = _verb(parsers, "config", help="show the configuration", description=about)
    verb.add_argument("--json", action="store_true", help="as JSON")
