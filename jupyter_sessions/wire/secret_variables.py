"""Environment variables whose values are secret: those that are said to be, and those that look like it.

Everything that is shown or stored has their names only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import structs

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionInfo, SessionSpec

MARKER = "JUPYTER_SESSIONS_SECRETS"
"""A variable with names of secrets, for backends that cannot be told otherwise which ones are."""
_LOOKS_SECRET = re.compile(
    r"(.*(SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN)|(.*_)?CREDENTIALS?|.+_(PASS|PWD)"
    r"|(.*_)?(API|ACCESS|SECRET|PRIVATE|AUTH|SIGNING|ENCRYPTION|ACCOUNT)_?KEY)(_?\d+)?",
    re.IGNORECASE,
)


@lru_cache(4096)
def looks_secret(name: str) -> bool:
    """Return whether a variable of this name usually holds a secret."""
    return _LOOKS_SECRET.fullmatch(name) is not None


def split(environ: Mapping[str, str], secrets: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that may be shown, and those that may not."""
    named = {*secrets}
    hidden = {name: value for name, value in environ.items() if name in named or looks_secret(name)}
    return {name: value for name, value in environ.items() if name not in hidden}, hidden


def with_secrets(spec: SessionSpec) -> SessionSpec:
    """Return a spec that names all its secrets. Errors: InvalidRequest for one that has no value."""
    _, hidden = split(spec.environ, spec.secrets)
    if missing := [name for name in spec.secrets if name not in hidden]:
        raise InvalidRequest(
            f"The secret '{missing[0]}' has no value.",
            hint=f"`--secret {missing[0]}` takes it from the environment, or asks for it.",
            field="secrets",
        )
    return structs.replace(spec, secrets=sorted(hidden))


def without_values(row: SessionInfo) -> SessionInfo:
    """Return a row with the names of its secrets, and without their values."""
    if not row.environ:
        return row
    marked = row.environ.get(MARKER, "")
    named = {*row.secrets, *filter(None, marked.split(","))}
    shown, hidden = split(row.environ, named)
    if not hidden and not marked:
        return row
    shown.pop(MARKER, None)
    return structs.replace(row, environ=shown, secrets=sorted(named | hidden.keys()))
