"""Python environments beside the notebook or in the shell's folder, as people name them: by their folders."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_sessions.model import Image
from jupyter_sessions.wire.python_environments import environment_at, environments_beside


def images_beside() -> list[Image]:
    """Return the environments beside the notebook or in the shell's folder as images."""
    return [Image(name=name, title=title, language="python") for name, title in beside().items()]


def beside() -> dict[str, str]:
    """Return the environments of the current folder by name, each with its title or what it lacks."""
    found = {}
    for env in environments_beside(Path.cwd()):
        name = os.path.relpath(env.prefix)
        lacks = f": without ipykernel, which `{env.remedy}` adds"
        found[name if name.startswith(".") else f"./{name}"] = env.title + ("" if env.runs_kernels else lacks)
    return found


def here(image: str) -> str:
    """Return an image as the backend can find it: the path of an environment's folder or interpreter from the root.

    The process that resolves it may have another current folder.
    """
    path = os.path.abspath(os.path.expanduser(image))
    env = environment_at(path) if "/" in image or image.startswith(".") else None
    if env is None:
        return image
    return path if os.path.isfile(path) else str(env.python)
