"""The vendor's command line as a person types it, each command as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.waiting import wait_until


class Said(msgspec.Struct, frozen=True):
    """What a command wrote: results in `out`, how it goes in `err`."""

    out: str
    err: str

    @property
    def text(self) -> str:
        """Both."""
        return self.err + self.out

    @property
    def rows(self) -> list[dict[str, str]]:
        """The table in it, by column; a rule of dashes under the heads tells where each begins."""
        lines = self.out.splitlines()
        rule = next(number for number, line in enumerate(lines) if re.fullmatch(r"-+(  -+)*\s*", line))
        starts = [found.start() for found in re.finditer(r"-+", lines[rule])]
        ends = [*(start - 2 for start in starts[1:]), None]
        cells = [
            [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
            for line in lines[rule - 1 :]
        ]
        return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


class Cli:
    """The command line of one version in an environment; `folder` is where its files are."""

    def __init__(self, program: str, env: dict[str, str], folder: Path) -> None:
        self.program = program
        self.env = env
        self.folder = folder

    def __call__(self, *words: str, code: int = 0, given: str = "") -> Said:
        """Run a command, which must end with `code`."""
        done = subprocess.run(
            [self.program, *words],
            env=self.env,
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=90,
        )
        said = Said(done.stdout, done.stderr)
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{said.text}"
        assert "APIVersionWarning" not in said.text
        return said

    @contextmanager
    def beside(self, *words: str) -> Iterator[Beside]:
        """A command that goes on while others are typed."""
        log = self.folder / f"{'-'.join(words[:2])}.log"
        with log.open("w") as file:
            env = self.env | {"PYTHONUNBUFFERED": "1"}
            process = subprocess.Popen(
                [self.program, *words],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            yield Beside(process, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)

    def listens(self, watcher: Beside, name: str) -> None:
        """Wait until it hears of a session: what happened before is not told again."""

        def heard() -> bool:
            self("session", "rename", name, name)
            return "session_renamed" in watcher.text

        wait_until(heard, why=lambda: watcher.text, process=watcher.process)

    def statuses(self, *options: str) -> dict[str, str]:
        """The statuses of sessions by name, of those listed first."""
        rows = self("ps", "-f", "name,status", *options).rows
        return {row["Name"]: row["Status"] for row in reversed(rows)}


class Beside(msgspec.Struct, frozen=True):
    """A command that still runs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        """What it wrote so far."""
        return self.log.read_text()

    def ended(self) -> int:
        """Its exit code, once it has one."""
        return self.process.wait(60)


def environment_from(command: str, folder: Path, keep: Callable[[str], bool]) -> dict[str, str]:
    """A bare environment and what `eval "$(command)"` adds to it in a shell."""
    done = subprocess.run(
        ["bash", "-c", f'eval "$({command})" && env -0'],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    added = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "200"}
    return bare | {name: value for name, value in added.items() if keep(name)}
