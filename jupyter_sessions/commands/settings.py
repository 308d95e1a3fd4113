"""The verb `config`, about the configuration."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import Any

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Json, Result, Table
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.config import JupyterSessions, sources
from jupyter_sessions.service import SessionService, configuration

_SECRET = re.compile(
    r"(?:^|.*[_-])(?:secret|password|passwd|passphrase|token|credential|(?:api|private)_?key|environ)s?(?:$|[_-].*)",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+@")
_SET = "(set)"
_NO_FILE = "default"
_TARGETS = ("notifications", "notify")
"""Options with addresses that are secrets as a whole, such as those of webhooks."""


async def show(api: Api, asked: Namespace, face: Face) -> Result:
    """Show each option of the configuration files on Jupyter's path, and the defaults of all others.

    A Jupyter server may override them by options of its own. Secrets are shown as "(set)".
    """
    settings, files = configuration(), sources()
    names = sorted(JupyterSessions.class_trait_names(config=True))
    found = [
        {
            "name": name,
            "value": _shown(getattr(settings, name), hidden=name in _TARGETS),
            "from": files.get(name, _NO_FILE),
        }
        for name in names
    ]
    service = SessionService(settings)
    if remarks := await service.remarks():
        face(" ".join(remarks))
    await service.close()
    if asked.json:
        return Json(found)
    rows = [[one["name"], msgspec.json.encode(one["value"]).decode(), one["from"]] for one in found]
    return Table(["Option", "Value", "From"], rows, fold=True)


def _shown(value: Any, *, hidden: bool = False) -> Any:
    """Return a value without the secrets in it; if it is `hidden`, only the names in it."""
    match value:
        case dict() if hidden:
            return dict.fromkeys(value, _SET)
        case list() if hidden:
            return [_SET if ":" in str(part) else part for part in value]
        case dict():
            return {
                key: _SET if part and _SECRET.match(str(key)) else _shown(part) for key, part in value.items()
            }
        case list() | tuple():
            return [_shown(part) for part in value]
        case str():
            return _IN_ADDRESS.sub("…@", value)
    return value


VERBS = (
    Verb(
        "config",
        "show the configuration",
        "Show the configuration: each option, its value, and the file that sets it.",
        options.json,
        show,
    ),
)
