"""The grammar of `%session` and `jupyter session`, read by argparse."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from jupyter_sessions.commands import catalog, mistakes
from jupyter_sessions.commands.types import name_types
from jupyter_sessions.errors import InvalidRequest, SessionError

_MOST_WORDS = 3
_COMPLETE = "complete"
_ABOUT = "Compute sessions: create, list, use and end them."


class Help(SessionError):
    """The help text that was asked for, raised like an error."""


class RaisingParser(argparse.ArgumentParser):
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
    words = split_line(words)
    if not words or words[0] in ("-h", "--help", "help"):
        raise Help(_overview(prog))
    name, rest = split_verb(words)
    if not name:
        raise _unknown_verb(" ".join(_unknown_words(rest)), prog)
    if name == _COMPLETE:  # Its words are those of another command.
        return argparse.Namespace(verb=name, words=[*rest])
    parser = parser_of(name, prog)
    if asks_for_help(rest):
        if backend := backend_of(rest):
            return argparse.Namespace(verb="help", of=name, backend=backend, prog=prog)
        name_types(parser)
        raise Help(parser.format_help())
    return parser.parse_intermixed_args(_with_values(parser, rest))


def _with_values(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return words in which values that begin with "-" are joined to their options: `--order -created_at`."""
    known, joined = parser._option_string_actions, list[str]()
    for word in words:
        option = known.get(joined[-1]) if joined else None
        takes_value = option is not None and option.nargs is None and joined[-1].startswith("--")
        if (
            takes_value
            and word.startswith("-")
            and not {word, word[:2], word.partition("=")[0]} & known.keys()
        ):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def split_line(words: str | Sequence[str]) -> Sequence[str]:
    """Return the words of a line; words that are split already stay. Errors: InvalidRequest."""
    if not isinstance(words, str):
        return words
    try:
        return shlex.split(words)
    except ValueError:
        hint = "Close each quotation, and put a backslash that you mean into quotation marks."
        raise InvalidRequest("The line ends within a quotation or after a backslash.", hint=hint) from None


def asks_for_help(words: Sequence[str]) -> bool:
    """Return whether the words of a command ask for its help."""
    return "-h" in words or "--help" in words


def parser_of(name: str, prog: str = "%session") -> argparse.ArgumentParser:
    """Return the parser of a verb, by its name or an alias."""
    verb = catalog.verb(name)
    parser = RaisingParser(prog=f"{prog} {name}", description=verb.about)
    verb.options(parser)
    parser.set_defaults(verb=verb.name)
    return parser


def verbs(prog: str = "%session") -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb, aliases included."""
    return {name: parser_of(name, prog) for name in catalog.NAMES}


def _overview(prog: str) -> str:
    """Return the list of all verbs."""
    lines = [f"usage: {prog} VERB …", "", _ABOUT]
    for head, group in catalog.listed().items():
        lines += ["", f"{head}:"]
        lines += [f"  {', '.join((verb.name, *verb.aliases)):<32} {verb.help}" for verb in group if verb.help]
    return "\n".join([*lines, "", f"`{prog} VERB --help` explains the options of one verb.", ""])


def backend_of(words: Sequence[str]) -> str:
    """Return the backend that the words of a command name, "" if none."""
    named = [after for word, after in pairwise(words) if word in ("-b", "--backend")]
    return named[-1] if named and not named[-1].startswith("-") else ""


def split_verb(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Split words into the verb that they begin with, of one to three words, and the other words.

    The verb is "" if the words begin with none.
    """
    for count in range(min(_MOST_WORDS, len(words)), 0, -1):
        name = " ".join(words[:count])
        if name in catalog.NAMES:
            return name, words[count:]
    return "", words


def _unknown_words(words: Sequence[str]) -> Sequence[str]:
    """Return the words that were meant as a verb."""
    begun = any(name.startswith(f"{words[0]} ") for name in catalog.NAMES)
    return words[: 2 if begun else 1]


def _unknown_verb(given: str, prog: str) -> InvalidRequest:
    first = given.split()[0]
    if members := [name for name in catalog.NAMES if name.startswith(f"{first} ")]:
        wrong = f"There is no verb '{given}'." if " " in given else f"`{prog} {given}` is not complete."
        return InvalidRequest(wrong, hint=f"Type one of these: {', '.join(members)}.", field="verb")
    nearest = difflib.get_close_matches(given, catalog.NAMES, n=1)
    meant = f"Did you mean '{nearest[0]}'? " if nearest else ""
    hint = f"{meant}`{prog} --help` lists the verbs."
    return InvalidRequest(f"There is no verb '{given}'.", hint=hint, field="verb")
