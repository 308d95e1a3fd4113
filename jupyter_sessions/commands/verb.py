"""What a verb is: a name, its options, and the function that performs it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Result

AddOptions = Callable[[ArgumentParser], None]
Perform = Callable[[Api, Namespace, Face], Awaitable[Result]]


class Verb(msgspec.Struct, frozen=True):
    """A verb of `%session` and `jupyter session`.

    `help` is its line in the list of verbs, `about` the sentence in its own help. `options` adds its arguments to a
    parser, and `perform` does what they ask for.
    """

    name: str
    help: str
    about: str
    options: AddOptions
    perform: Perform
    aliases: tuple[str, ...] = ()


def no_options(parser: ArgumentParser) -> None:
    """Add nothing: the options of a verb that has none."""
