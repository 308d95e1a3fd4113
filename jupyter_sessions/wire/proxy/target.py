"""The request target that goes to a service: path untouched, query without credentials."""

from __future__ import annotations

import re
from urllib.parse import unquote

from .credentials import SECRET_ARGUMENTS, ServerCredentials, arguments

# Decoding more often than any chain of servers would.
_DECODINGS = 4
# yarl would cut at "#"; clients that send raw UTF-8 mean its percent-encoding.
_UNSENDABLE = re.compile(r"[^\x21-\x7e]|#")


def climbs(path: str) -> bool:
    """Whether a path relative to the service, however decoded, leaves the service's prefix."""
    depth = 0
    for segment in re.split(r"[/\\]", _decoded(path)):
        name = segment.partition(";")[0]
        if name == "..":
            depth -= 1
        elif name not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def _decoded(path: str) -> str:
    for _ in range(_DECODINGS):
        path = unquote(path, "latin1")
    return path


def clean_query(query: str, credentials: ServerCredentials) -> str:
    """The query without arguments that carry the server's credentials; the rest byte for byte."""
    return "&".join(
        raw
        for name, raw in arguments(query)
        if name not in SECRET_ARGUMENTS and not credentials.occur_in(raw)
    )


def target(path: str, query: str, credentials: ServerCredentials) -> str:
    """The raw path and cleaned query in the form in which they are sent on."""
    query = clean_query(query, credentials)
    whole = f"{path}?{query}" if query else path
    return _UNSENDABLE.sub(lambda found: f"%{ord(found[0]):02X}", whole)
