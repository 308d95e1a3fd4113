"""Words of the grammar that depend on which types of backends are installed.

Those are loaded for help, completion and a type that is given, and for nothing else: loading them takes its time.
"""

from __future__ import annotations

import argparse

from jupyter_sessions.model import TYPE_ALIASES, TYPES
from jupyter_sessions.service import find_types

_EVERYWHERE = (*TYPES, *TYPE_ALIASES)


def name_types(verb: argparse.ArgumentParser) -> None:
    """Add the types that there are to the help of a verb."""
    for action in verb._actions:
        if "--kind" in action.option_strings:
            more = _own_types() if "--type" in action.option_strings else " or ".join(addable_types())
            action.help = f"{action.help}: {more}" if more else action.help


def addable_types() -> list[str]:
    """Return the types of backends that people may add."""
    return [name for name, kind in find_types().items() if kind.address_option]


def session_types() -> list[str]:
    """Return the types of sessions that any backend has, by all their names."""
    own = [one for kind in find_types().values() for one in kind.types]
    return [*dict.fromkeys((*_EVERYWHERE, *own))]


def session_type(text: str) -> str:
    """Return a type of sessions that is given. Errors: ArgumentTypeError for one that no backend has."""
    if text not in _EVERYWHERE and text not in (known := session_types()):
        raise argparse.ArgumentTypeError(f"invalid choice: '{text}' (choose from {', '.join(known)})")
    return text


def _own_types() -> str:
    """Types of sessions that not each backend has, and which one has them."""
    found = {
        kind.type_title or name: [one for one in kind.types if one not in _EVERYWHERE]
        for name, kind in find_types().items()
    }
    return "; ".join(f"{', '.join(own)} ({title})" for title, own in found.items() if own)
