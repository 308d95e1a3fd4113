"""The parameters of a request, from its query, a form, or both.

Source: servers up to 1.4.0 (names in any case, the first value wins); clients skaha 1.2.0 to 1.7.0 and canfar 1.0.4
to 1.5.2, which put all parameters into the query and always send the content type of a form.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from aiohttp import web

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.wire.spec_limits import SPEC_BYTES, check_size

_FORM = "application/x-www-form-urlencoded"
_PARTS = "multipart/form-data"
_MOST = 2_000
_OTHER_NAMES = {"kind": "type"}


class Params:
    """Parameters by name; an empty value counts as absent."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs if value]

    def get(self, name: str) -> str:
        """Return the first value, or "". Of two spellings, that of current clients wins."""
        names = [name, *(other for other, meant in _OTHER_NAMES.items() if meant == name)]
        return next((value for one in names for key, value in self._pairs if key == one), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return [value for key, value in self._pairs if key == name]


def of_query(request: web.Request) -> Params:
    """Return the parameters of a request without a form."""
    return Params(request.query.items())


async def of(request: web.Request) -> Params:
    """Return the parameters of a request. Errors: InvalidRequest for a form that cannot be parsed."""
    try:
        form = await _form(request)
    except (ValueError, LookupError, AssertionError, RuntimeError):
        raise InvalidRequest("The form cannot be read.", hint="Put the parameters into the query.") from None
    return Params([*request.query.items(), *form])


async def _form(request: web.Request) -> list[tuple[str, str]]:
    if request.content_type == _FORM:
        body = await request.read()
        check_size(body)
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST)
    if request.content_type == _PARTS:
        found = await request.clone(client_max_size=SPEC_BYTES).post()
        return [(name, value) for name, value in found.items() if isinstance(value, str)]
    return []
