"""The public names of the package: chosen, sorted, documented, and imported when they are first used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import jupyter_sessions

PUBLIC = [
    "AsyncComputeSession",
    "AsyncSession",
    "AsyncSessions",
    "CellFailed",
    "ComputeSession",
    "Session",
    "SessionError",
    "Sessions",
    "__version__",
    "connect",
    "load_ipython_extension",
]


def test_all_names_what_is_public_in_order() -> None:
    assert jupyter_sessions.__all__ == sorted(PUBLIC)


def test_every_public_name_is_there_and_documented() -> None:
    for name in jupyter_sessions.__all__:
        found = getattr(jupyter_sessions, name)
        assert isinstance(found, str) or (inspect.getdoc(found) or "").strip(), name
        for member, value in vars(found).items() if inspect.isclass(found) else ():
            is_method = inspect.isfunction(value) or isinstance(value, property)
            assert member.startswith("_") or not is_method or inspect.getdoc(value), f"{name}.{member}"
    assert {*jupyter_sessions.__all__} <= {*dir(jupyter_sessions)}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(jupyter_sessions, "Sesion")


def test_type_checkers_see_what_is_imported_lazily() -> None:
    tree = ast.parse(Path(jupyter_sessions.__file__).read_bytes())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imports = {
        alias.name: node.module
        for node in checked.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jupyter_sessions.")
        for alias in node.names
    }
    assert imports == {
        name: f"jupyter_sessions.{module}" for name, module in jupyter_sessions._MODULES.items()
    }


def test_a_public_name_imports_no_server() -> None:
    heavy = ["jupyter_server", "jupyter_client", "graphql", "IPython", "jupyter_sessions.manager"]
    code = f"import sys; from jupyter_sessions import *; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
