"""The verbs that show what there is: `stats`, `images`, `sizes`, `folders`, `presets`."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from jupyter_sessions.amounts import parse_slots, slot_label
from jupyter_sessions.client import Api
from jupyter_sessions.commands import html, options
from jupyter_sessions.commands.cells import Cell, plain
from jupyter_sessions.commands.environments import images_beside
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import words
from jupyter_sessions.commands.result import Json, Result, Table
from jupyter_sessions.commands.usage import used
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.model import Amount, Folder, Image, Size
from jupyter_sessions.service import BackendInfo

_METRICS = ("CPU", "Memory", "GPU", "GPU memory")


def _overview_options(verb: ArgumentParser) -> None:
    options.backend(verb, "those of one backend")
    options.json(verb)


def _stats_options(verb: ArgumentParser) -> None:
    verb.add_argument(
        "sessions", nargs="*", metavar="session", help=f"use of these sessions: {options.REFERENCE}"
    )
    _overview_options(verb)


async def _by_backend(
    api: Api,
    asked: Namespace,
    items: Callable[[BackendInfo], Any],
    head: list[str],
    rows: Callable[[BackendInfo], list[list[str]]],
    empty: str,
) -> Result:
    """Show something of each backend: as JSON the items, or else a table of their rows with the backend's name."""
    found = await api.describe(asked.backend)
    backends = [one for one in found if one.health.ok]
    if asked.json:
        result: Result = Json({one.name: items(one) for one in backends})
    else:
        lines = [[*row, one.name] for one in backends for row in rows(one)]
        result = Table([*head, "Backend"], lines, empty=empty, kept=(0, len(head)))
    result.warnings = [f"{one.name}: {one.health.message}" for one in found if not one.health.ok]
    return result


async def images(api: Api, asked: Namespace, face: Face) -> Result:
    """List the images or environments that sessions can be made of."""

    def row(image: Image) -> list[str]:
        return [image.name, ", ".join(image.aliases), image.title, amounts(image.resources)]

    def there(backend: BackendInfo) -> list[Image]:
        return [*backend.images, *(images_beside() if backend.on_this_machine else ())]

    head = ["Name", "Also called", "Title", "At least"]
    return await _by_backend(
        api, asked, there, head, lambda one: [*map(row, there(one))], "There are no images."
    )


async def sizes(api: Api, asked: Namespace, face: Face) -> Result:
    """List the sizes that backends offer."""

    def row(size: Size) -> list[str]:
        return [size.name, amounts(size.resources), "yes" if size.fits else "no"]

    head = ["Name", "Resources", "Fits now"]
    return await _by_backend(
        api,
        asked,
        lambda one: one.sizes,
        head,
        lambda one: [*map(row, one.sizes)],
        "No backend offers sizes.",
    )


async def folders(api: Api, asked: Namespace, face: Face) -> Result:
    """List the folders that sessions can mount."""

    def row(folder: Folder) -> list[str]:
        return [folder.name, words(folder.read_only), words(folder.automatic)]

    head = ["Name", "Read-only", "In each session"]
    return await _by_backend(
        api,
        asked,
        lambda one: one.folders,
        head,
        lambda one: [*map(row, one.folders)],
        "There are no folders to mount.",
    )


async def presets(api: Api, asked: Namespace, face: Face) -> Result:
    """List the presets of the configuration."""
    found = (await api.defaults()).presets
    if asked.json:
        return Json(found)
    rows = [
        [
            name,
            str(preset.get("image", "")),
            amounts(preset.get("resources", {})),
            words(
                {key: value for key, value in preset.items() if key not in ("image", "resources", "environ")}
            ),
        ]
        for name, preset in found.items()
    ]
    empty = "There are no presets. `JupyterSessions.presets` in jupyter_sessions_config.py adds some."
    return Table(["Name", "Image", "Resources", "More"], rows, empty=empty)


async def stats(api: Api, asked: Namespace, face: Face) -> Result:
    """Show what backends have and what is free, or what some sessions use."""
    if asked.sessions:
        return await _use_of(api, asked)

    def row(name: str, amount: Amount) -> list[str]:
        return [name, slot_words(name, amount.free), slot_words(name, amount.total), _share(name, amount)]

    head = ["Resource", "Free", "In all", "Used"]
    return await _by_backend(
        api,
        asked,
        lambda one: one.capacity,
        head,
        lambda one: [row(name, amount) for name, amount in one.capacity.items()],
        "No backend tells what it has.",
    )


async def _use_of(api: Api, asked: Namespace) -> Result:
    """Return what sessions use now."""
    found = await asyncio.gather(*map(api.find, asked.sessions))
    rows = await asyncio.gather(*(api.get(row.backend, row.id) for row in found))
    if asked.json:
        return Json({row.ref: row.live_stat or {} for row in rows})
    lines = [[plain(row.name), *(used(row).get(name, Cell("")) for name in _METRICS)] for row in rows]
    return Table(["Name", *_METRICS], lines)


def amounts(resources: dict[str, Any]) -> str:
    """Return amounts by slot in words: "2 CPU · 4 GiB"."""
    return " · ".join(slot_label(name, amount) for name, amount in parse_slots(resources, unit="m").items())


def slot_words(name: str, amount: str) -> str:
    """Return an amount of a slot in words, "0" for none."""
    slots = parse_slots({name: amount}) if amount.strip("0.") else {}
    return slot_label(name, slots[name]) if name in slots else "0"


def _share(name: str, amount: Amount) -> Cell:
    """Return which part of a slot is used."""
    total = float(parse_slots({name: amount.total}).get(name, 0)) if amount.total.strip("0.") else 0.0
    free = float(parse_slots({name: amount.free}).get(name, 0)) if amount.free.strip("0.") else 0.0
    if not total:
        return Cell("")
    share = 1 - free / total
    return Cell(text := f"{share:.0%}".replace("%", " %"), html=html.bar(share, text))


VERBS = (
    Verb(
        "stats",
        "show what is free, or what sessions use",
        "Show what backends have and what is free; with names of sessions, what these use now.",
        _stats_options,
        stats,
    ),
    Verb(
        "images",
        "list images",
        "List the images or environments that sessions can be made of.",
        _overview_options,
        images,
    ),
    Verb("sizes", "list sizes", "List the sizes that backends offer.", _overview_options, sizes),
    Verb("folders", "list folders", "List the folders that sessions can mount.", _overview_options, folders),
    Verb("presets", "list presets", "List the presets of the configuration.", options.json, presets),
)
