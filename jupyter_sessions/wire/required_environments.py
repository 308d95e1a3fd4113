"""Environments that are built from requirements when a session first needs them, and kept for later ones."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from msgspec import structs

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.files import write_private
from jupyter_sessions.wire.places import private_folder

_PROGRAM = Path(__file__).with_name("build_environment.py")
_CACHE = "jupyter_sessions/environments"
_FLAG = "-m"
_URL = re.compile(r"\w[\w+.-]*://\S*")
_PATH = re.compile(
    r"^\s*(\.|-[ercf]|--(editable|requirement|constraint|find-links))|[/\\]|\.(whl|zip|tar|tgz)\b",
    re.MULTILINE,
)
"""What names a path, once URLs are left out; that a comment does so, too, does no harm."""


def cache_folder() -> Path:
    """Return the folder of all environments that were built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _CACHE


def with_requirements(launch: Launch, requirements: str) -> tuple[str, Launch]:
    """Return the interpreter of an environment with these packages, and a launch that builds the environment first.

    Its Python is that of `launch`. Requirements that name paths have an environment for each working folder.
    Errors: InvalidRequest for a launch of another language; SessionError if the environment's folder cannot be used.
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
    cwd = [launch.cwd] if _PATH.search(_URL.sub("", requirements)) else []
    key = hashlib.sha256(
        "\0".join((python, os.path.realpath(python), requirements, *cwd)).encode()
    ).hexdigest()
    folder = private_folder(cache_folder() / key[:16])
    file = folder / "requirements.txt"
    if not file.exists():
        write_private(file, requirements.encode())  # Addresses of indexes may hold passwords.
    target = str(folder / "env" / "bin" / "python")
    prepare = [python, str(_PROGRAM), str(folder)]
    return target, structs.replace(launch, argv=[target, *launch.argv[1:]], prepare=prepare)
