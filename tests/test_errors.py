"""The tree of errors is drawn in one place, and whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from jupyter_sessions import errors
from jupyter_sessions.errors import InvalidRequest, SessionError, from_wire
from jupyter_sessions.manager.api.problems import BadAuthParams
from jupyter_sessions.manager.core.store import StoreDamaged
from jupyter_sessions.model import standing

PACKAGE = Path(__file__).parents[1] / "jupyter_sessions"
_LINE = re.compile(r"^    ((?:[│ ]   )*)(?:[├└]── )?(\w+) +(\d{3})(?:  .*?(?:\(([a-z_.]+)\))?)?$")
_FOREIGN = ("Error", "Exception")
_OUTSIDE = {"KeyboardInterrupt", "HTTPError"}
"""Interrupts, and what the proxy answers."""


def _drawn() -> dict[str, tuple[str, int, str]]:
    """The parent, HTTP status and module of each class in the drawing."""
    found: dict[str, tuple[str, int, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        depth = len(line[4 : match.start(2)]) // 4
        above = [*above[:depth], match[2]]
        found[match[2]] = (above[-2] if depth else "Exception", int(match[3]), match[4] or "errors")
    return found


def _classes() -> dict[str, tuple[list[str], str]]:
    """The bases and module of each class of the package. Modules are read, not run: some are programs."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef):
                found[node.name] = ([ast.unparse(base).split(".")[-1] for base in node.bases], module)
    return found


def _ancestors(name: str, classes: dict[str, tuple[list[str], str]]) -> set[str]:
    found, left = set(), [name]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += classes[one][0] if one in classes else []
    return found


def _is_error(name: str, classes: dict[str, tuple[list[str], str]]) -> bool:
    above = _ancestors(name, classes)
    return any(one.endswith(_FOREIGN) for one in above) and not above & _OUTSIDE


def test_every_public_error_has_its_place_in_the_tree() -> None:
    classes, drawn = _classes(), _drawn()
    public = [name for name in classes if not name.startswith("_") and _is_error(name, classes)]
    assert {name for name in public if "SessionError" in _ancestors(name, classes)} == set(public)
    assert set(public) == set(drawn)
    for name, (parent, _, module) in drawn.items():
        bases, defined = classes[name]
        assert bases[0] == parent, name
        assert defined.removesuffix(".part") == module or defined.startswith(f"{module}."), name


def test_the_tree_has_the_status_of_each_error() -> None:
    drawn = {name: status for name, (_, status, module) in _drawn().items() if module == "errors"}
    assert {name: getattr(errors, name).status for name in drawn} == drawn


@pytest.mark.parametrize(
    ("error", "kind"), [(BadAuthParams, "InvalidRequest"), (StoreDamaged, "LaunchFailed")]
)
def test_an_error_of_another_module_is_the_nearest_kind_over_the_wire(
    error: type[SessionError], kind: str
) -> None:
    body = error("Something is wrong.", hint="Mend it.", field="date").to_wire()
    assert body["reason"] == kind
    again = from_wire(body, 500)
    assert (type(again).__name__, again.message, again.hint, again.field) == (
        kind,
        "Something is wrong.",
        "Mend it.",
        "date",
    )
    assert isinstance(again, InvalidRequest) == (kind == "InvalidRequest")


@pytest.mark.parametrize(
    ("info", "whole"),
    [
        ("", "The session 'demo' has ended."),
        ("user-requested", "The session 'demo' has ended (on request)."),
        ("It was idle.", "The session 'demo' has ended: it was idle."),
    ],
)
def test_a_status_is_told_with_its_reason(info: str, whole: str) -> None:
    assert standing("demo", "TERMINATED", info) == whole


def _first_words(node: ast.expr) -> str:
    """A message as it is written, with '{}' for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
    return ""


def test_no_message_begins_with_the_name_of_its_field() -> None:
    """A client that needs the field has `field`; see `SessionError`."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Call) and node.args:
                is_error = any(keyword.arg in ("field", "hint") for keyword in node.keywords)
                is_error |= ast.unparse(node.func).split(".")[-1] in vars(errors)
                if is_error and re.match(r"(\{\}|-{0,2}[\w.]+): ", _first_words(node.args[0])):
                    found.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert found == []
