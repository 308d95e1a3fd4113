"""Shell commands on Skaha: as a server passes them on, run by real shells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from jupyter_sessions.backends.skaha.command import words_of
from tests.conftest import need


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox"])
@pytest.mark.parametrize(
    ("command", "printed", "code"),
    [
        ("echo $TEST; exit 3", "a  b*", 3),
        ("echo \"$TEST\" 'c  d' | tr a-z A-Z", "A  B* C  D", 0),
        ("for n in 1 2; do printf '%s\\\\n' $n; done\nfalse", "1\\n2\\n", 1),
        ('ls *.txt && echo "`echo x`" >&2', "one.txt", 0),
        ("test -f one.txt || exit 4; cat", "", 0),
        ("A='1 2'; set -- $A; echo $# é", "2 é", 0),
    ],
)
def test_a_shell_command_is_run_by_a_shell(
    shell: str, command: str, printed: str, code: int, tmp_path: Path
) -> None:
    need(shell, "its sh runs the command as in small images")
    (tmp_path / "one.txt").touch()
    program, arguments = words_of(command)
    assert program == "sh" and not set('"\\\\\n') & set(arguments)
    words = [*([shell, "sh"] if shell == "busybox" else [shell]), *arguments.split(" ")]
    assert len(words) == 3 + (shell == "busybox")
    done = subprocess.run(
        words, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "TEST": "a  b*"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout.split() == printed.split() or done.stdout == printed


def test_words_are_passed_as_they_are() -> None:
    assert words_of("python run.py --fast --n=3 a/b:c") == ("python", "run.py --fast --n=3 a/b:c")
    assert words_of("") == ("", "")
    assert words_of("A=1 env")[0] == words_of("~/run")[0] == words_of("run  'a b'")[0] == "sh"
