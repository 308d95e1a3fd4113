"""Faces know no kind of backend: what they say of one, they read off its class."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_sessions.service import find_types

ROOT = Path(__file__).parents[1]
FACES = ("magics.py", "cli.py", "widgets", "server", "commands", "client", "kernels", "service/registry.py")
PYTHON = sorted(
    file
    for name in FACES
    for file in [ROOT / "jupyter_sessions" / name, *(ROOT / "jupyter_sessions" / name).rglob("*.py")]
    if file.is_file()
)
PANEL = sorted(
    file
    for ending in ("ts", "tsx")
    for file in (ROOT / "labextension/src").rglob(f"*.{ending}")
    if file.name != "types.ts"
)
KINDS = ("local", "backendai", "skaha")
WHOLE = re.compile(rf"(?:{'|'.join(KINDS)})", re.IGNORECASE)
PART = re.compile(r"backend\.?ai|skaha|canfar", re.IGNORECASE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|`([^`]*)`")


def names_kind(text: str) -> bool:
    """Whether a text is the name of a kind of backend, or names one."""
    return bool(WHOLE.fullmatch(text) or PART.search(text))


def python_words(file: Path) -> Iterator[str]:
    """The texts of a module that are no docstrings, and its identifiers."""
    tree = ast.parse(file.read_text())
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in told:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name


def panel_words(file: Path) -> Iterator[str]:
    """The texts of a TypeScript module."""
    for found in QUOTED.finditer(COMMENT.sub("", file.read_text())):
        yield next(text for text in found.groups() if text is not None)


def test_the_kinds_are_those_that_come_with_the_package() -> None:
    assert set(KINDS) <= find_types().keys()
    assert names_kind("local") and names_kind("Sign in to Backend.AI") and not names_kind("localhost")


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: str(file.relative_to(ROOT)))
def test_faces_name_no_kind_of_backend(file: Path) -> None:
    assert [word for word in python_words(file) if names_kind(word)] == []


@pytest.mark.parametrize("file", PANEL, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_panel_names_no_kind_of_backend(file: Path) -> None:
    assert [word for word in panel_words(file) if names_kind(word)] == []
