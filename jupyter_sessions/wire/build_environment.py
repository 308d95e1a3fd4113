"""Build a Python environment from a requirements file, unless it has been built before: `python build_environment.py FOLDER`.

FOLDER/requirements.txt says what to install. Uses uv where it is, else venv and pip. This program runs with the
interpreter of the environment to be, so it needs nothing but the standard library.
"""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time

_OFFLINE = re.compile(
    r"dns error|name resolution|name or service not known|network is unreachable|no route to host|connection refused"
    r"|NewConnectionError|error sending request|failed to lookup|ConnectTimeout|ProxyError",
    re.IGNORECASE,
)
_LAST_LINES = 200


def main(folder: str) -> int:
    """Build the environment; return the exit code."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(os.path.join(folder, "ready")):
            _say("The environment was built before.")
            return 0
        begun = time.monotonic()
        target = os.path.join(folder, "env")
        shutil.rmtree(target, ignore_errors=True)
        for command in _commands(target, os.path.join(folder, "requirements.txt")):
            _say("$ " + " ".join(command))
            code, printed = _run(command)
            if code:
                offline = _OFFLINE.search(printed)
                why = "there is no network, and they have not been fetched before" if offline else "see above"
                _say(f"The packages could not be installed: {why}.")
                return code
        with open(os.path.join(folder, "ready"), "w"):
            pass
        _say(f"The environment was built in {time.monotonic() - begun:.0f} s.")
    return 0


def _commands(target: str, requirements: str) -> list[list[str]]:
    python = os.path.join(target, "bin", "python")
    wanted = ["-r", requirements, "ipykernel"]
    uv = [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else [shutil.which("uv") or ""]
    if uv[0]:
        return [
            [*uv, "venv", "--no-project", "--python", sys.executable, target],
            [*uv, "pip", "install", "--no-config", "--python", python, *wanted],
        ]
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    return [[sys.executable, "-m", "venv", target], [*pip, *wanted]]


def _run(command: list[str]) -> tuple[int, str]:
    """Run a command, pass on what it prints, and return its exit code and the end of its output."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            _say(line.rstrip("\n"))
            lines = [*lines[1 - _LAST_LINES :], line]
    return process.returncode, "".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
