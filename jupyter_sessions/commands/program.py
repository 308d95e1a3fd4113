"""What a session runs, from the options of `create`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from jupyter_sessions.amounts import parse_size
from jupyter_sessions.errors import InvalidRequest

_PLAIN = ("type", "startup_command", "cluster_size", "cluster_mode", "starts_at")


def program_of(asked: Namespace) -> dict[str, Any]:
    """Return the fields of a `SessionSpec` that the options set. Errors: InvalidRequest."""
    mounts = [_split(mount) for mount in asked.mount]
    found = {name: getattr(asked, name) for name in _PLAIN} | {
        "bootstrap_script": _text(asked.bootstrap_script),
        "mounts": [name for name, _ in mounts],
        "mount_map": {name: path for name, path in mounts if path},
        "preopen_ports": asked.preopen,
        "resource_opts": _options(asked.resource_opts),
        "dependencies": [name for text in asked.depends for name in text.split(",") if name],
    }
    return {name: value for name, value in found.items() if value}


def _split(mount: str) -> tuple[str, str]:
    """Split a mount into name and path, "" for no path; Backend.AI's client 23.9.10 writes "=" between them."""
    name, _, path = mount.replace("=", ":", 1).partition(":")
    return name, path


def _text(file: str | None) -> str | None:
    """Return the text of a file. Errors: InvalidRequest if the file cannot be read."""
    if file is None:
        return None
    try:
        return Path(file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise InvalidRequest(
            f"The bootstrap script {file} cannot be read: {reason}.",
            hint="Name a shell script.",
            field="bootstrap-script",
        ) from None


def _options(texts: list[str]) -> dict[str, Any]:
    """Return the resource options; memory takes the usual units, a bare number is in MiB."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            hint = "Give a name, '=' and a value, for example shmem=64m."
            raise InvalidRequest(
                f"'{text}' after --resource-opts is no NAME=VALUE.", hint=hint, field="resource-opts"
            )
        found[name] = parse_size(value, field=name, unit="m") if name == "shmem" else value
    return found
