"""What a session runs, on how many members, and with which files: options of `create`, and what they mean.

Source: seed 003, Backend.AI's client 23.9.10.
"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from jupyter_sessions.amounts import parse_size
from jupyter_sessions.commands import options
from jupyter_sessions.commands.types import session_type
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import ServiceRequest

_PLAIN = ("type", "startup_command", "cluster_size", "cluster_mode", "starts_at")


def program_options(verb: ArgumentParser) -> argparse.Action:
    """Add the options for what a session runs, and return that of its command."""
    verb.add_argument(
        "--type",
        "--kind",
        type=session_type,
        metavar="TYPE",
        help="interactive (notebook), or batch (headless): run a startup command, then end (default: the image's usual type)",
    )
    command = verb.add_argument(
        "--startup-command", metavar="COMMAND", help="shell command to run when the session starts"
    )
    surroundings(verb)
    return command


def surroundings(verb: ArgumentParser) -> None:
    """Add the options for the start, members, folders and ports of a session."""
    verb.add_argument(
        "--starts-at", metavar="TIME", help="earliest start, for example 10m or 2030-01-31T08:00"
    )
    verb.add_argument(
        "--depends", action="append", default=[], metavar="SESSION", help="start after this session succeeds"
    )
    verb.add_argument(
        "--requirements", metavar="FILE", help="requirements file: packages to install for its environment"
    )
    verb.add_argument("--bootstrap-script", metavar="FILE", help="script to run before the session starts")
    verb.add_argument(
        "--cluster-size", type=int, metavar="N", help="number of members with these resources each"
    )
    verb.add_argument(
        "--cluster-mode",
        choices=("single-node", "multi-node"),
        metavar="MODE",
        help="where members run: single-node or multi-node",
    )
    mount = verb.add_argument(
        "-v", "--mount", action="append", default=[], metavar="NAME[:PATH]", help="folder to mount"
    )
    options.alias(verb, mount, "-m", "--volume")
    verb.add_argument(
        "--preopen", type=_ports, default=[], metavar="PORTS", help="ports that its programs will listen on"
    )
    verb.add_argument(
        "--service",
        action="append",
        default=[],
        type=ServiceRequest,
        metavar="NAME",
        help="service to start with the session, for example tensorboard",
    )
    verb.add_argument(
        "--arg",
        action=_ArgumentOfService,
        metavar="NAME=VALUE",
        help="argument of the --service before it, for example logdir=runs",
    )
    verb.add_argument(
        "--resource-opts",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="resource option, for example shmem=64m",
    )


def _ports(text: str) -> list[int]:
    try:
        return [int(port) for port in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"takes port numbers with commas between them, not '{text}'"
        ) from None


class _ArgumentOfService(argparse.Action):
    """Adds an argument to the service that was named last."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        name, equals, value = str(values).partition("=")
        if not namespace.service or not name or not equals:
            raise argparse.ArgumentError(self, "takes NAME=VALUE, after the --service that it is for")
        last = namespace.service[-1]
        namespace.service[-1] = ServiceRequest(last.name, last.arguments | {name: value})


def program_of(asked: Namespace) -> dict[str, Any]:
    """Return the fields of a `SessionSpec` that the options set. Errors: InvalidRequest."""
    mounts = [_split(mount) for mount in asked.mount]
    found = {name: getattr(asked, name) for name in _PLAIN} | {
        "bootstrap_script": _text(asked.bootstrap_script, "bootstrap script", "Name a shell script."),
        "requirements": _text(asked.requirements, "requirements file", "Name a file as pip takes it."),
        "mounts": [name for name, _ in mounts],
        "mount_map": {name: path for name, path in mounts if path},
        "preopen_ports": asked.preopen,
        "services": asked.service,
        "resource_opts": _options(asked.resource_opts),
        "dependencies": [name for text in asked.depends for name in text.split(",") if name],
    }
    return {name: value for name, value in found.items() if value}


def _split(mount: str) -> tuple[str, str]:
    """Split a mount into name and path, "" for no path; Backend.AI's client 23.9.10 writes "=" between them."""
    name, _, path = mount.replace("=", ":", 1).partition(":")
    return name, path


def _text(file: str | None, what: str, hint: str) -> str | None:
    """Return the text of a file. Errors: InvalidRequest if the file cannot be read."""
    if file is None:
        return None
    try:
        return Path(file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise InvalidRequest(
            f"The {what} {file} cannot be read: {reason}.", hint=hint, field=what.replace(" ", "-")
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
