"""The catalog and the modules that it names agree, and a verb loads no other verb's module."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from jupyter_sessions.commands import catalog


@pytest.mark.parametrize(
    ("module", "names"), [pair for group in catalog.GROUPS.values() for pair in group.items()]
)
def test_the_names_are_those_of_the_module(module: str, names: tuple[str, ...]) -> None:
    found = importlib.import_module(f"jupyter_sessions.commands.{module}").VERBS
    assert [name for verb in found for name in (verb.name, *verb.aliases)] == [*names]
    assert all(verb.about.endswith(".") and not verb.help.endswith(".") for verb in found)


def test_a_shell_loads_the_verb_that_is_typed_and_no_other() -> None:
    code = (
        "import sys; from jupyter_sessions.cli import main; main(['ps', '--json']);"
        "print(*[name for name in sys.modules if name.startswith('jupyter_sessions.commands.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in done.stderr.split()}
    others = {module for group in catalog.GROUPS.values() for module in group} - {"ps"}
    assert "ps" in loaded and not loaded & others
