"""The API version of a request, which decides status codes and bodies; field names are the same in all versions.

Source: seeds 000 and 001 for versions up to v5; managers 23.09 to 26.8 from v6 on. docs/differences.md says where
documents and servers differ, and what this manager does.
"""

from __future__ import annotations

import re

import msgspec
from aiohttp import web

from jupyter_sessions.wire.signing import VERSION_HEADERS, first_header

DEFAULT = "v5.20191215"
ADVERTISED = "v7.20230615"
"""The version in the answer to `GET /`: the vendor's clients 23.9 to 26.9 all support it, and warn of any other.

This is not a setting: an older client uses its own version in any case, and is understood.
"""
_LAST_LEGACY = 5


def is_legacy(request: web.Request) -> bool:
    """Return whether a request uses a version up to v5, as all requests under ``/kernel`` do (seed 001)."""
    return is_kernel(request) or _major(request) <= _LAST_LEGACY


def is_kernel(request: web.Request) -> bool:
    """Return whether a request is for ``/kernel…``, with or without a version before that."""
    return re.match(r"(/v[0-9]+)?/kernel(/|$)", request.path, re.ASCII) is not None


def _major(request: web.Request) -> int:
    """Return the major version from the header, the path or the default. Any version is accepted."""
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
        """Return the status for the version of a request."""
        return self.legacy if is_legacy(request) else self.today


REUSED = Code(200, 201)
DESTROYED = Code(204, 200)
TOO_MUCH = Code(406, 412)
ENDED = Code(200, 404)
