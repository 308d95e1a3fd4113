"""Complete verbs, options, and names of sessions, images and backends, each with a short description."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from jupyter_sessions.client import Api
from jupyter_sessions.commands import catalog
from jupyter_sessions.commands.backend_options import fields_taken, is_taken
from jupyter_sessions.commands.cell_options import cell_parser
from jupyter_sessions.commands.environments import beside
from jupyter_sessions.commands.grammar import parser_of, split_verb
from jupyter_sessions.commands.overview import slot_words
from jupyter_sessions.commands.types import addable_types, session_types
from jupyter_sessions.kernels.specs import listed
from jupyter_sessions.model import STATUSES, status_word

_ABOUT_GROUPS = {
    "live": "sessions that have not ended",
    "running": "sessions that run",
    "dead": "sessions that have ended",
    "all": "live and ended sessions",
}


async def complete(api: Api, before: Sequence[str], word: str) -> dict[str, str]:
    """Return the completions of the unfinished `word` after the words `before`, of which the first is a verb.

    Each completion comes with its description, "" if it needs none.
    """
    verb, rest = split_verb(before)
    if not verb:
        return _next_words(before, word)
    parser = parser_of(verb)
    options = _options(parser)
    asked = options.get(before[-1])
    if rest and asked is not None and asked.nargs != 0:
        return _fitting(await _values(api, asked.dest), word)
    if word.startswith("-"):
        takes = await fields_taken(api, before)
        taken = {name: action for name, action in options.items() if is_taken(action, takes)}
        return _fitting(_described(taken), word)
    return _fitting(await _values(api, _positional(parser, rest, options)), word)


def _next_words(before: Sequence[str], word: str) -> dict[str, str]:
    """Return the next words of the verbs that begin with the words `before`."""
    found = dict[str, str]()
    for name in catalog.NAMES:
        words, count = name.split(), len(before)
        if words[:count] == list(before) and catalog.verb(name).help:
            found.setdefault(words[count], catalog.verb(name).about if len(words) == count + 1 else "")
    return _fitting(found, word)


def _about(option: argparse.Action) -> str:
    """Return the description of an option, on one line."""
    return " ".join((option.help or "").split()).replace("%%", "%")


async def complete_cell(api: Api, before: Sequence[str], word: str) -> dict[str, str]:
    """Return the completions of the `word` after those that follow `%%session`: its options, and live sessions."""
    parser = cell_parser()
    options = _options(parser)
    asked = options.get(before[-1]) if before else None
    if asked is not None and asked.nargs != 0:
        return {}
    if word.startswith("-"):
        return _fitting(_described(options), word)
    return _fitting(await _values(api, _positional(parser, before, options)), word)


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings}


def _described(options: Mapping[str, argparse.Action]) -> dict[str, str]:
    """Return the long names of options with their descriptions."""
    return {name: _about(action) for name, action in options.items() if name.startswith("--")}


def _positional(
    parser: argparse.ArgumentParser, before: Sequence[str], options: dict[str, argparse.Action]
) -> str:
    """Return the name of the positional argument that follows these words."""
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


async def _values(api: Api, what: str) -> dict[str, str]:
    """Return the possible values of an argument, each with its description."""
    if what in ("session", "sessions", "again"):
        rows = sorted((await api.list()).sessions, key=lambda row: row.name)
        return {row.name: " ".join(filter(None, (status_word(row.status), row.image))) for row in rows}
    if what == "status":
        return _ABOUT_GROUPS | dict.fromkeys(STATUSES, "")
    if what in ("backend", "backends"):
        return {info.name: info.title for info in await api.describe()}
    if what == "kind":
        return dict.fromkeys(addable_types(), "")
    if what == "type":
        return dict.fromkeys(session_types(), "")
    if what == "kernels":
        return dict.fromkeys((kernel.name for kernel in listed()), "")
    if what == "preset":
        presets = (await api.defaults()).presets
        return {name: str(preset.get("image") or "") for name, preset in presets.items()}
    if what == "resource":
        return {
            f"{name}=": f"{slot_words(name, amount.free)} of {slot_words(name, amount.total)} free"
            for info in await api.describe()
            for name, amount in info.capacity.items()
        }
    if what in ("image", "image_option"):
        images = [image for info in await api.describe() for image in info.images]
        names = {name: image.title for image in images for name in (image.name, *image.aliases)}
        return dict(sorted(names.items())) | beside()
    return {}


def _fitting(candidates: Mapping[str, str], word: str) -> dict[str, str]:
    """Return the candidates that begin with `word`."""
    return {candidate: about for candidate, about in candidates.items() if candidate.startswith(word)}
