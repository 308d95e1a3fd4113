"""The option `--secret`: variables whose values come from the environment, a file or a prompt, and are shown nowhere."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from jupyter_sessions.commands.face import Face
from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.model import SessionSpec

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def secret_option(verb: ArgumentParser) -> None:
    """Add the option for secrets."""
    verb.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME[=@FILE]",
        help="variable with a secret, from the environment, a file or a prompt",
    )


async def add_secrets(spec: SessionSpec, asked: Namespace, preset_secrets: Sequence[str], face: Face) -> None:
    """Add the secrets that the options and the preset name to a spec. Errors: InvalidRequest."""
    named = dict(map(_parsed, [*preset_secrets, *asked.secret]))
    for name, file in named.items():
        if name not in spec.environ:
            spec.environ[name] = _text(name, file) if file else await _value(name, face)
    spec.secrets = [*named]


def _parsed(given: str) -> tuple[str, str]:
    """Return the name and the file of a secret, "" for none. Errors: InvalidRequest."""
    name, equals, file = given.partition("=")
    if equals and not file.startswith("@"):
        raise InvalidRequest(
            "The value of a secret cannot be typed on the command line, which is kept in histories.",
            hint=f"`--secret {name or 'NAME'}` takes it from the environment or asks for it, `{name}=@FILE` from a file.",
            field="secret",
        )
    if not _NAME.fullmatch(name):
        hint = "Use letters, digits and '_', for example HF_TOKEN."
        raise InvalidRequest(f"'{name}' cannot be the name of a secret.", hint=hint, field="secret")
    return name, file.removeprefix("@")


def _text(name: str, file: str) -> str:
    try:
        return Path(file).expanduser().read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise InvalidRequest(
            f"The secret {name} cannot be read from {file}: {reason}.",
            hint="Name a file with nothing but the secret.",
            field="secret",
        ) from None


async def _value(name: str, face: Face) -> str:
    """Return the value of a variable of this process, or what a person types."""
    if value := os.environ.get(name):
        return value
    try:
        return await face.ask(f"{name}: ", secret=True)
    except (EOFError, NotSupported):
        raise InvalidRequest(
            f"The secret {name} has no value: there is no such environment variable.",
            hint=f"Set it, or take it from a file: `--secret {name}=@FILE`.",
            field="secret",
        ) from None
