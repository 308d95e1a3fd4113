"""The grammar of `%session` and `jupyter session`, read by argparse."""

from __future__ import annotations

import argparse
import difflib
import math
import shlex
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from jupyter_sessions.commands import backend_grammar, mistakes
from jupyter_sessions.commands.adding import add_verb as _verb
from jupyter_sessions.commands.types import name_types, session_type
from jupyter_sessions.errors import InvalidRequest, SessionError

_REFERENCE = "name, id or backend/name"
_MOST_REPLICAS = 512  # As many as clients of Skaha take, 1.7.0.


class Help(SessionError):
    """The help text that was asked for, raised like an error."""


class _ArgumentParser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of printing and exiting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"add_help": False, **options})
        self.add_argument("-h", "--help", action="store_true", help="show this help")

    def error(self, message: str) -> NoReturn:
        """Raise InvalidRequest: what is wrong, the nearest option, and where the options are explained."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        raise mistakes.refusal(self.prog, message, known)


def parse(words: str | Sequence[str], *, prog: str = "%session") -> argparse.Namespace:
    """Parse a verb and its options; the verb is "help" for the help on a verb `of` one backend.

    Errors: InvalidRequest for what cannot be read; Help with the help text.
    """
    if isinstance(words, str):
        try:
            words = shlex.split(words)
        except ValueError:
            hint = "Close each quotation, and put a backslash that you mean into quotation marks."
            raise InvalidRequest(
                "The line ends within a quotation or after a backslash.", hint=hint
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
    return known[verb].parse_intermixed_args(rest)


def backend_of(words: Sequence[str]) -> str:
    """Return the backend that the words of a command name, "" if none."""
    named = [after for word, after in pairwise(words) if word in ("-b", "--backend")]
    return named[-1] if named and not named[-1].startswith("-") else ""


def split_verb(known: Iterable[str], words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Split words into the verb that they begin with, of two words or one, and the other words.

    The verb is "" if the words begin with none.
    """
    for count in (2, 1):
        verb = " ".join(words[:count])
        if len(words) >= count and verb in known:
            return verb, words[count:]
    return "", words


def _groups(known: Iterable[str]) -> set[str]:
    return {verb.split()[0] for verb in known if " " in verb}


def _unknown_verb(word: str, known: Iterable[str], prog: str) -> InvalidRequest:
    if members := [verb for verb in known if " " in verb and verb.split()[0] == word.split()[0]]:
        wrong = f"There is no verb '{word}'." if " " in word else f"`{prog} {word}` is not complete."
        return InvalidRequest(wrong, hint=f"Type one of these: {', '.join(members)}.", field="verb")
    nearest = difflib.get_close_matches(word, list(known), n=1)
    meant = f"Did you mean '{nearest[0]}'? " if nearest else ""
    hint = f"{meant}`{prog} --help` lists the verbs."
    return InvalidRequest(f"There is no verb '{word}'.", hint=hint, field="verb")


def verbs(prog: str = "%session") -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb, aliases included."""
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
    verb.add_argument("--name", "-t", help="name of the session")
    verb.add_argument("--backend", "-b", help="backend to run it on")
    _amounts(verb)
    verb.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable"
    )
    verb.add_argument("--cwd", help="working folder (default: the current one)")
    verb.add_argument("--project", metavar="NAME", help="project the session belongs to")
    verb.add_argument("--resource-group", metavar="NAME", help="resource group to run it on")
    verb.add_argument("--preset", help="preset to start from")
    verb.add_argument("--tag", help="a note for yourself")
    _program(verb)
    _times(verb)
    verb.add_argument("--no-reuse", action="store_true", help="fail if a session of that name is live")
    verb.add_argument("--enqueue-only", action="store_true", help="do not wait until the session runs")
    verb.add_argument(
        "--max-wait", type=_seconds, default=0, metavar="SECONDS", help="longest wait (0: no limit)"
    )


def _program(verb: argparse.ArgumentParser) -> None:
    """Add the options for what a session runs, on how many members, and with which files.

    Source: seed 003, client 23.9.10.
    """
    verb.add_argument(
        "--type",
        "--kind",
        type=session_type,
        metavar="TYPE",
        help="interactive (notebook), or batch (headless): run a startup command, then end (default: the image's usual type)",
    )
    verb.add_argument(
        "--replicas", type=_replicas, metavar="N", help="create NAME-1 to NAME-N, numbered in REPLICA_ID"
    )
    verb.add_argument(
        "--startup-command", metavar="COMMAND", help="shell command to run when the session starts"
    )
    verb.add_argument("--bootstrap-script", metavar="FILE", help="script to run before the session starts")
    verb.add_argument(
        "--cluster-size", type=int, metavar="N", help="number of members with these resources each"
    )
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
        "--preopen", type=_ports, default=[], metavar="PORTS", help="ports that its programs will listen on"
    )
    verb.add_argument(
        "--resource-opts",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="resource option, for example shmem=64m",
    )
    verb.add_argument(
        "--depends", action="append", default=[], metavar="SESSION", help="start after this session succeeds"
    )
    verb.add_argument(
        "--starts-at", metavar="TIME", help="earliest start, for example 10m or 2030-01-31T08:00"
    )


def _times(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--idle-timeout",
        metavar="TIME",
        help="end the session after this time without use (30m, 2h; 0: never)",
    )
    verb.add_argument(
        "--time-limit", metavar="TIME", help="end the session after this time (4h, 1d; 0: never)"
    )
    verb.add_argument("--callback-url", metavar="URL", help="address to post each change of its status to")


def _ports(text: str) -> list[int]:
    try:
        return [int(port) for port in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"takes port numbers with commas between them, not '{text}'"
        ) from None


def _replicas(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_REPLICAS:
        raise argparse.ArgumentTypeError(f"takes a number from 1 to {_MOST_REPLICAS}, not '{text}'")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"takes a number of seconds, 0 or more, not '{text}'")
    return seconds


def _ps(parsers: Any) -> None:
    verb = _verb(parsers, "ps", aliases=["list"], help="list sessions", description="List sessions.")
    which = verb.add_mutually_exclusive_group()
    which.add_argument(
        "-a", "--all", action="store_const", dest="status", const="all", help="live and ended sessions"
    )
    which.add_argument(
        "--running", action="store_const", dest="status", const="running", help="sessions that run"
    )
    which.add_argument(
        "--dead", action="store_const", dest="status", const="dead", help="sessions that have ended"
    )
    which.add_argument("-s", "--status", help="sessions with one of these statuses")
    verb.set_defaults(status="live")
    verb.add_argument("--backend", "-b", help="sessions of one backend")
    verb.add_argument("--format", "-f", metavar="FIELDS", help="fields to show, separated by commas")
    verb.add_argument("--name-only", action="store_true", help="names only")
    verb.add_argument("--json", action="store_true", help="as JSON")


def _info(parsers: Any) -> None:
    verb = _verb(
        parsers, "info", help="show one session", description="Show everything known about a session."
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
    verb.add_argument("--forced", "-f", action="store_true", help="end at once, without the grace period")
    verb.add_argument("--recursive", "-r", action="store_true", help="also end sessions that depend on them")


def _restart(parsers: Any) -> None:
    verb = _verb(parsers, "restart", help="restart a session", description="Restart a session's processes.")
    verb.add_argument("session", help=_REFERENCE)


def _renew(parsers: Any) -> None:
    about = "Restart the idle timeout, time limit or lifetime of a session."
    verb = _verb(parsers, "renew", help="extend the time of a session", description=about)
    verb.add_argument("session", help=_REFERENCE)


def _rename(parsers: Any) -> None:
    verb = _verb(parsers, "rename", help="rename a session", description="Rename a session.")
    verb.add_argument("session", help=_REFERENCE)
    verb.add_argument("name", help="its new name")


def _logs(parsers: Any) -> None:
    verb = _verb(parsers, "logs", help="show its output", description="Show the output of a session.")
    verb.add_argument("session", help=_REFERENCE)


def _events(parsers: Any) -> None:
    about = "Show the events of a session so far, then new ones until the session runs or has ended."
    verb = _verb(parsers, "events", help="show its events", description=about)
    verb.add_argument("session", help=_REFERENCE)
    verb.add_argument("--follow", "-f", action="store_true", help="continue until the session has ended")


def _output(parsers: Any) -> None:
    about = "Show the output of an execution in a session, also if no notebook was open."
    verb = _verb(parsers, "output", help="show the output of an execution", description=about)
    verb.set_defaults(request="")
    verb.add_argument("session", nargs="?", help=f"{_REFERENCE} (default: the only session)")
    verb.add_argument(
        "number", nargs="?", type=int, help="which execution: 1 is the first, -1 the last (default)"
    )
    verb.add_argument("--json", action="store_true", help="as JSON")


def _amounts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--cpu", "--cores", help="number of CPUs")
    verb.add_argument("--mem", help="memory, for example 4g; a bare number is in MiB")
    verb.add_argument("--ram", help="memory like --mem; a bare number is in GiB")
    verb.add_argument("--gpu", help="number of whole GPUs, also where GPUs are shared")
    verb.add_argument(
        "-r", "--resource", action="append", default=[], metavar="SLOT=AMOUNT", help="any resource"
    )


def _console(parsers: Any) -> None:
    about = "Open a console in a session, from a terminal. The session goes on when you leave."
    verb = _verb(parsers, "console", help="open a console (in a shell)", description=about)
    verb.add_argument("session", help=_REFERENCE)


def _env(parsers: Any) -> None:
    about = 'Print the environment variables that other clients need: `eval "$(jupyter session env)"`.'
    verb = _verb(parsers, "env", help="set up other clients (in a shell)", description=about)
    verb.add_argument("backend", nargs="?", help="name of the backend (default: the default backend)")


def _keys_add(parsers: Any) -> None:
    about = "Create a key for other users of this machine's manager. The secret is printed once, for a shell to evaluate."
    verb = _verb(parsers, "keys add", help="create a key (in a shell)", description=about)
    verb.add_argument(
        "--role",
        choices=["user", "admin", "superadmin"],
        metavar="ROLE",
        default="user",
        help="user (default), admin (of its domain) or superadmin",
    )
    verb.add_argument("--domain", default="default", help="its domain (default: default)")
    verb.add_argument("--group", default="default", help="its group (default: default)")
    verb.add_argument("--email", default="", help="address of its user")
    verb.add_argument(
        "--max-sessions", type=int, default=0, metavar="N", help="sessions at once (0: no limit)"
    )
    verb.add_argument(
        "-r",
        "--resource",
        action="append",
        default=[],
        metavar="SLOT=AMOUNT",
        help="resources at once, for example mem=8g",
    )
    verb.add_argument("--backend", "-b", help="backend of the manager")


def _keys_list(parsers: Any) -> None:
    verb = _verb(
        parsers, "keys list", help="list keys (in a shell)", description="List keys, without their secrets."
    )
    verb.add_argument("--json", action="store_true", help="as JSON")
    verb.add_argument("--backend", "-b", help="backend of the manager")


def _keys_rm(parsers: Any) -> None:
    verb = _verb(
        parsers,
        "keys rm",
        help="remove keys (in a shell)",
        description="Remove keys that have no live sessions.",
    )
    verb.add_argument("keys", nargs="+", metavar="key", help="access key")
    verb.add_argument("--backend", "-b", help="backend of the manager")


def _kernel_add(parsers: Any) -> None:
    about = "Create a kernel for notebooks that runs in a session of its own, or in SESSION."
    verb = _verb(parsers, "kernel add", help="create a kernel that runs in sessions", description=about)
    verb.add_argument("name", help="name of the kernel")
    verb.add_argument("--image", default="python", help="environment or image (default: python)")
    verb.add_argument("--backend", "-b", help="backend of its sessions")
    _amounts(verb)
    verb.add_argument("--session", help="attach to this session instead")
    verb.add_argument("--display-name", metavar="TEXT", help="name that the launcher shows")


def _kernel_list(parsers: Any) -> None:
    verb = _verb(
        parsers, "kernel list", help="list such kernels", description="List kernels that run in sessions."
    )
    verb.add_argument("--json", action="store_true", help="as JSON")


def _kernel_rm(parsers: Any) -> None:
    verb = _verb(
        parsers, "kernel rm", help="remove such kernels", description="Remove kernels. Their sessions go on."
    )
    verb.add_argument("kernels", nargs="+", metavar="kernel", help="name of the kernel")


def _config(parsers: Any) -> None:
    about = "Show the configuration: each option, its value, and the file that sets it."
    verb = _verb(parsers, "config", help="show the configuration", description=about)
    verb.add_argument("--json", action="store_true", help="as JSON")
