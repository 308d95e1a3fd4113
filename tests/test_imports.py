"""What is imported in a kernel is light, and what is imported anywhere is declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jupyter_sessions"


def test_the_package_imports_nothing_heavy() -> None:
    heavy = [
        "jupyter_server",
        "httpx",
        "aiohttp",
        "msgspec",
        "zmq",
        "jupyter_client",
        "graphql",
        "tornado",
        "IPython",
    ]
    code = f"import sys, jupyter_sessions; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_the_magics_import_no_server() -> None:
    heavy = ["jupyter_server", "aiohttp", "graphql", "jupyter_client", "jupyter_sessions.manager"]
    code = f"import sys, jupyter_sessions.magics; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def _imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, by the first part of their names."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        yield from (name.partition(".")[0] for name in names)


def _project(requirement: str) -> str:
    """The name of what is required, spelled as packaging.python.org normalizes it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    always = {_project(requirement) for requirement in project["dependencies"]}
    in_tests = always | {_project(requirement) for requirement in project["optional-dependencies"]["testing"]}
    owners, at_hand = packages_distributions(), {*sys.stdlib_module_names, PACKAGE.name}
    undeclared = set()
    for file in PACKAGE.rglob("*.py"):
        known = in_tests if file.parent.name == "testing" else always
        for name in {*_imported(file)} - at_hand:
            beside = name not in owners and file.with_name(f"{name}.py").exists()
            if not beside and known.isdisjoint(map(_project, owners.get(name, []))):
                undeclared.add((name, str(file.relative_to(PACKAGE))))
    assert undeclared == set()
