"""Environments that are built from requirements when a session first needs them, and kept for later ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from msgspec import structs

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.wire.environment import Launch

_PROGRAM = Path(__file__).with_name("build_environment.py")
_CACHE = "jupyter_sessions/environments"
_FLAG = "-m"


def cache_folder() -> Path:
    """Return the folder of all environments that were built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _CACHE


def with_requirements(launch: Launch, requirements: str) -> tuple[str, Launch]:
    """Return the interpreter of an environment with these packages, and a launch that builds the environment first.

    Its Python is that of `launch`. Errors: InvalidRequest for a launch of another language.
    """
    python = launch.argv[0]
    if (
        not launch.language.lower().startswith("python")
        or _FLAG not in launch.argv
        or not os.path.isabs(python)
    ):
        raise InvalidRequest(
            f"'{launch.display_name}' takes no requirements: they are for Python.",
            hint="Choose a Python environment, or leave out the requirements.",
            field="requirements",
        )
    key = hashlib.sha256("\0".join((python, os.path.realpath(python), requirements)).encode()).hexdigest()
    folder = cache_folder() / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text(requirements)
    target = str(folder / "env" / "bin" / "python")
    prepare = [python, str(_PROGRAM), str(folder)]
    return target, structs.replace(launch, argv=[target, *launch.argv[1:]], prepare=prepare)
