"""What could be typed next: verbs, options, and names of sessions, images and backends."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from jupyter_sessions.client import Api
from jupyter_sessions.commands.grammar import split_verb, verbs
from jupyter_sessions.kernels.specs import listed
from jupyter_sessions.model import STATUSES

_GROUPS = ("live", "running", "dead", "all")


async def complete(api: Api, before: Sequence[str], word: str) -> list[str]:
    """What may stand in place of the unfinished `word` after the words `before`, the first a verb."""
    known = verbs()
    verb, rest = split_verb(known, before)
    if not verb:
        return _next_words(known, before, word)
    parser = known[verb]
    options = {name: action for action in parser._actions for name in action.option_strings}
    asked = options.get(before[-1])
    if rest and asked is not None and asked.nargs != 0:
        return _fitting(await _values(api, asked.dest), word)
    if word.startswith("-"):
        return _fitting([name for name in options if name.startswith("--")], word)
    return _fitting(await _values(api, _positional(parser, rest, options)), word)


def _next_words(known: Iterable[str], before: Sequence[str], word: str) -> list[str]:
    """What may come next of verbs that begin so."""
    begun = [verb.split() for verb in known if verb.split()[: len(before)] == list(before)]
    return _fitting(list(dict.fromkeys(verb[len(before)] for verb in begun)), word)


async def session_names(api: Api, word: str) -> list[str]:
    """Names of live sessions that begin so."""
    return _fitting(await _values(api, "session"), word)


def _positional(
    parser: argparse.ArgumentParser, before: Sequence[str], options: dict[str, argparse.Action]
) -> str:
    """Which positional argument comes after these words."""
    given, skip = 0, False
    for text in before:
        if skip or text.startswith("-"):
            option = options.get(text)
            skip = not skip and option is not None and option.nargs != 0
            continue
        given += 1
    positionals = [action for action in parser._actions if not action.option_strings]
    if positionals and positionals[-1].nargs == "+":
        return positionals[-1].dest
    return positionals[given].dest if given < len(positionals) else ""


async def _values(api: Api, what: str) -> list[str]:
    if what in ("session", "sessions"):
        return sorted({row.name for row in (await api.list()).sessions})
    if what == "status":
        return [*_GROUPS, *STATUSES]
    if what in ("backend", "backends"):
        return [info.name for info in await api.describe()]
    if what == "kernels":
        return [kernel.name for kernel in listed()]
    if what in ("image", "image_option"):
        images = [image for info in await api.describe() for image in info.images]
        return sorted({name for image in images for name in (image.name, *image.aliases)})
    return []


def _fitting(candidates: Sequence[str] | dict[str, argparse.ArgumentParser], word: str) -> list[str]:
    return [candidate for candidate in candidates if candidate.startswith(word)]
