"""Add a verb to the grammar."""

from __future__ import annotations

import argparse
from typing import Any


def add_verb(parsers: Any, name: str, **options: Any) -> argparse.ArgumentParser:
    """Return the parser of a new verb, whose name has one word or two."""
    verb: argparse.ArgumentParser = parsers.add_parser(name, **options)
    verb.set_defaults(verb=name)
    return verb
