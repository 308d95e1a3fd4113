"""How a verb is added to the grammar."""

from __future__ import annotations

import argparse
from typing import Any


def add_verb(parsers: Any, name: str, **options: Any) -> argparse.ArgumentParser:
    """The parser of a verb, of one word or two."""
    verb: argparse.ArgumentParser = parsers.add_parser(name, **options)
    verb.set_defaults(verb=name)
    return verb
