"""Options that several verbs share, and the texts that they take."""

from __future__ import annotations

import argparse
import math
from argparse import ArgumentParser

REFERENCE = "name, id or backend/name"


def session(verb: ArgumentParser) -> None:
    """Add the session that a verb is about."""
    verb.add_argument("session", help=REFERENCE)


def sessions(verb: ArgumentParser) -> None:
    """Add the sessions that a verb is about."""
    verb.add_argument("sessions", nargs="+", metavar="session", help=REFERENCE)


def backend(verb: ArgumentParser, about: str) -> None:
    """Add the option that names a backend."""
    verb.add_argument("--backend", "-b", help=about)


def json(verb: ArgumentParser) -> None:
    """Add the option for output that programs read."""
    verb.add_argument("--json", action="store_true", help="as JSON")


def alias(verb: ArgumentParser, option: argparse.Action, *names: str) -> None:
    """Accept other names for an option: those of the vendors' clients, which help does not list."""
    verb._option_string_actions.update(dict.fromkeys(names, option))


def amounts(verb: ArgumentParser) -> None:
    """Add the options for resources."""
    verb.add_argument("--cpu", "--cores", help="number of CPUs")
    verb.add_argument("--mem", help="memory, for example 4g; a bare number is in MiB")
    verb.add_argument("--ram", help="memory like --mem; a bare number is in GiB")
    verb.add_argument("--gpu", help="number of whole GPUs, also where GPUs are shared")
    slots(verb, "any resource")


def slots(verb: ArgumentParser, about: str) -> None:
    """Add the option for any resource."""
    option = verb.add_argument(
        "-r", "--resource", action="append", default=[], metavar="SLOT=AMOUNT", help=about
    )
    alias(verb, option, "--resources")


def seconds(text: str) -> float:
    """Return a number of seconds that was typed. Errors: ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"takes a number of seconds, 0 or more, not '{text}'")
    return found


def whole_number(text: str) -> int:
    """Return a whole number that was typed, 0 or more. Errors: ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"takes a whole number, 0 or more, not '{text}'")
    return int(text)
