"""The API version of a request, which decides codes and bodies; names are the same in all.

Source: seeds 000 and 001 for what was up to v5; managers 23.09 to 26.8 for what is from v6 on. Where documents and
servers differ, and what is done here, is in docs/differences.md.
"""

from __future__ import annotations

import re

import msgspec
from aiohttp import web

from jupyter_sessions.wire.signing import VERSION_HEADERS, first_header

DEFAULT = "v5.20191215"
ADVERTISED = "v7.20230615"
"""What is told at `GET /`: the vendor's clients 23.9 to 26.9 all speak it, and warn of any other.

It is no setting: an older client speaks its own version, whatever is told, and is understood.
"""
_LAST_LEGACY = 5


def is_legacy(request: web.Request) -> bool:
    """Whether it speaks a version up to v5, as every request under ``/kernel`` does (seed 001)."""
    return is_kernel(request) or _major(request) <= _LAST_LEGACY


def is_kernel(request: web.Request) -> bool:
    """Whether it asks for ``/kernel…``, with or without a version before that."""
    return re.match(r"(/v[0-9]+)?/kernel(/|$)", request.path, re.ASCII) is not None


def _major(request: web.Request) -> int:
    """From the header, else from the path, else the default's. Any version is taken."""
    _, header = first_header(request.headers, VERSION_HEADERS)
    for text in (header, request.match_info.get("version", ""), DEFAULT):
        if found := re.match(r"v([0-9]{1,9})(?![0-9])", text, re.ASCII):
            return int(found[1])
    return _LAST_LEGACY


class Code(msgspec.Struct, frozen=True):
    """An HTTP status up to v5, and from v6 on."""

    legacy: int
    today: int

    def of(self, request: web.Request) -> int:
        """The one for a request."""
        return self.legacy if is_legacy(request) else self.today


REUSED = Code(200, 201)
DESTROYED = Code(204, 200)
TOO_MUCH = Code(406, 412)
ENDED = Code(200, 404)
