"""docs/commands.md, run as the page has it: in a shell, and as magics in a notebook."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

from tests import processes

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
BOX = re.compile(r"```console\n(?P<text>.*?)```", re.DOTALL)
CONFIG = re.compile(r"```python\n# jupyter_sessions_config.py\n(?P<text>.*?)```", re.DOTALL)
OR = " || "
"""What follows in a shell if a command fails; in a notebook its cell fails."""
COLOR = re.compile(r"\x1b\[[0-9;]*m")


class Example(NamedTuple):
    """A command of the page, and what it prints."""

    command: str
    printed: list[str]

    def difference(self, text: str) -> str:
        """What was printed if it is something else; `…` stands for anything, on a line of its own for any lines."""
        parts = ["(.*\n)*" if line == "…" else f"{_pattern(line)}\n" for line in self.printed]
        found = re.fullmatch("".join(parts), f"{text.rstrip()}\n".lstrip("\n"))
        return "" if found else f"$ {self.command}\n{text}"


def _pattern(line: str) -> str:
    return ".*".join(r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in line.split("…"))


def examples() -> Iterator[Example]:
    """The commands in the boxes of the page."""
    for box in BOX.finditer(PAGE.read_text()):
        for part in re.split(r"^\$ ", box["text"], flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield Example(command, printed.splitlines())


@pytest.fixture
def env(state: Path, tmp_path: Path) -> dict[str, str]:
    """Where the examples run: this Python's programs are found, and the configuration is the page's."""
    env = processes.environment(state, tmp_path, COLUMNS="250")
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    found = CONFIG.search(PAGE.read_text())
    assert found is not None
    (tmp_path / "config" / "jupyter_sessions_config.py").write_text(f"c = get_config()\n{found['text']}")
    return env


@pytest.mark.timeout(300)
def test_in_a_shell(env: dict[str, str], tmp_path: Path) -> None:
    wrong = []
    for example in examples():
        done = subprocess.run(
            ["bash", "-c", f"{{ {example.command}; }} 2>&1"],
            env=env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )
        if example.printed:
            wrong.append(example.difference(done.stdout))
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.timeout(300)
def test_as_magics(env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    cells = [nbformat.v4.new_code_cell("%load_ext jupyter_sessions")]
    chosen = [*examples()]
    for example in chosen:
        command = example.command.partition(OR)[0].removeprefix("jupyter session")
        is_ours = command != example.command
        cells.append(nbformat.v4.new_code_cell(f"%session{command}" if is_ours else f"!{example.command}"))
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=90, allow_errors=True
    )
    client.execute()
    wrong = []
    for example, cell in zip(chosen, notebook.cells[1:], strict=True):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if OR in example.command:
            continue
        if errors:
            wrong.append(f"$ {example.command}\n{errors[0]['evalue']}")
        if _is_told_alike(example):
            text = "".join(
                output.get("text") or output["data"]["text/plain"] + "\n" for output in cell.outputs
            )
            magic = example._replace(
                printed=[line.replace("jupyter session", "%session") for line in example.printed]
            )
            wrong.append(magic.difference(COLOR.sub("", text)))
    assert not any(wrong), "\n".join(filter(None, wrong))


def _is_told_alike(example: Example) -> bool:
    """Whether a notebook shows the same text: it knows nothing of terminals' widths."""
    verb = next(word for word in shlex.split(example.command) if word not in ("jupyter", "session"))
    return bool(example.printed) and verb not in ("ps", "list", "admin", "create")
