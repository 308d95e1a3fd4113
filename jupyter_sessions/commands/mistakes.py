"""Explain what argparse could not read.

argparse says what is wrong in its own words and prints the whole usage, which nobody reads. People get one
sentence about the mistake, the nearest option, and the command that explains all options.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from jupyter_sessions.errors import InvalidRequest

_ARGUMENT = re.compile(r"argument (?P<names>\S+): (?P<text>.*)", re.DOTALL)
_CHOICE = re.compile(r"invalid choice: (?P<given>.*) \(choose from (?P<choices>.*)\)")
_NUMBER = re.compile(r"invalid int value: (?P<given>.*)")


def refusal(prog: str, message: str, options: Sequence[str]) -> InvalidRequest:
    """Return the error for a message of argparse; `options` are those that the verb has."""
    where = f"`{prog} --help` explains the options."
    kind, _, rest = message.partition(": ")
    match kind:
        case "unrecognized arguments":
            text, meant = _unknown(prog, rest.split(), options)
            return InvalidRequest(text, hint=f"{meant}{where}")
        case "the following arguments are required":
            return InvalidRequest(f"`{prog}` needs {_list(rest.split(', '))}.", hint=where)
        case "ambiguous option":
            given, _, fitting = rest.partition(" could match ")
            return InvalidRequest(
                f"'{given}' is short for several options: {fitting}.", hint="Type one in full."
            )
    if argument := _ARGUMENT.fullmatch(message):
        return InvalidRequest(f"{_long(argument['names'])} {_predicate(argument['text'])}.", hint=where)
    return InvalidRequest(f"`{prog}`: {message}.", hint=where)


def _unknown(prog: str, words: Sequence[str], options: Sequence[str]) -> tuple[str, str]:
    """Return what is wrong with words that no option takes, and the question whether another option was meant."""
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
    if not option:
        return f"`{prog}` does not take '{' '.join(words)}'.", ""
    nearest = difflib.get_close_matches(option, options, n=1)
    return f"`{prog}` has no option {option}.", f"Did you mean {nearest[0]}? " if nearest else ""


def _predicate(text: str) -> str:
    """Return what is wrong with an argument as the predicate of a sentence that begins with the argument."""
    if text.startswith("expected"):
        return "needs a value"
    if choice := _CHOICE.fullmatch(text):
        return f"takes one of {choice['choices'].replace(chr(39), '')}, not {choice['given']}"
    if number := _NUMBER.fullmatch(text):
        return f"takes a whole number, not {number['given']}"
    if text.startswith("not allowed with argument "):
        return f"cannot be combined with {_long(text.split()[-1])}"
    return text


def _long(names: str) -> str:
    """Return the long name of an option that argparse calls "-a/--all"."""
    every = names.split("/")
    return next((name for name in every if name.startswith("--")), every[0])


def _list(names: Sequence[str]) -> str:
    """Return names of arguments with articles: "a session and a name"."""
    nouns = [
        name if name.startswith("-") else f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in names
    ]
    return " and ".join(nouns)
