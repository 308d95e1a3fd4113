"""A name stands for one thing, all over the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "jupyter_sessions"
PYTHON_FACE = ("Session", "AsyncSession", "Sessions", "AsyncSessions", "ComputeSession")


def _names(body: list[ast.stmt]) -> Iterator[str]:
    """The classes and type aliases that statements define, without the underscore of private ones."""
    for node in body:
        match node:
            case ast.ClassDef(name=name):
                yield name.lstrip("_")
                yield from _names(node.body)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name.lstrip("_")[:1].isupper() and not name.isupper():
                    yield name.lstrip("_")
            case ast.If():
                yield from _names(node.body + node.orelse)


def _defined() -> dict[str, list[Path]]:
    found = defaultdict(list)
    for file in sorted(PACKAGE.rglob("*.py")):
        for name in _names(ast.parse(file.read_bytes()).body):
            found[name].append(file.relative_to(PACKAGE))
    return found


def test_no_class_and_no_type_is_defined_twice() -> None:
    assert {name: files for name, files in _defined().items() if len(files) > 1} == {}


def test_the_names_of_the_python_face_are_left_to_it() -> None:
    defined = _defined()
    found = [(name, file) for name in PYTHON_FACE for file in defined.get(name, [])]
    assert [(name, file) for name, file in found if file.parts[0] != "client"] == []
