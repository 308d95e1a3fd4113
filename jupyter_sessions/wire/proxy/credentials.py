"""What belongs to the Jupyter server and must not reach a service: names and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Fields = Sequence[tuple[str, str]]

SECRET_ARGUMENTS = frozenset({"token", "_xsrf"})
"""Query arguments with which Jupyter takes credentials."""

KEY_COOKIE = "jupyter-sessions-key"
"""The cookie that tells a person's own pages the key in the addresses of services."""

_COOKIE_PREFIXES = ("username-", "jupyterhub-", "jupyter-hub-")
# A shorter value would be found by chance in innocent places.
_SHORTEST = 6


@dataclass(frozen=True)
class ServerCredentials:
    """The server's credentials as they stand in one request.

    `login_cookie` is the name of the login cookie, `values` what must not occur anywhere.
    """

    login_cookie: str
    values: frozenset[str] = frozenset()

    def owns_cookie(self, name: str) -> bool:
        """Whether a cookie of that name, in any case, is the server's."""
        name = name.strip(' \t"').lower()
        return name in ("_xsrf", KEY_COOKIE, self.login_cookie.lower()) or name.startswith(_COOKIE_PREFIXES)

    def occur_in(self, text: str) -> bool:
        """Whether one of the values stands in a text, percent-encoded or not."""
        plain = unquote(text)
        return any(value in text or value in plain for value in self.values)


def values_of(fields: Fields, name: str) -> list[str]:
    """What all fields of that name hold; it is given in lower case."""
    return [value for key, value in fields if key.lower() == name]


def cookie_pairs(fields: Fields) -> Iterator[tuple[str, str]]:
    """Names and raw values of all cookies a request carries, also of repeated headers."""
    for line in values_of(fields, "cookie"):
        for pair in line.split(";"):
            name, _, value = pair.partition("=")
            yield name.strip(), value.strip()


def arguments(query: str) -> Iterator[tuple[str, str]]:
    """Names, decoded, and the raw text of each argument of a query."""
    for raw in query.split("&"):
        yield unquote_plus(raw.partition("=")[0]), raw


def find(fields: Fields, query: str, login_cookie: str, token: str | None) -> ServerCredentials:
    """The credentials of a server with this token in a request with these header fields and query."""
    names = ServerCredentials(login_cookie)
    candidates = [token or "", *values_of(fields, "x-xsrftoken")]
    candidates += [word for value in values_of(fields, "authorization") for word in value.split()[1:]]
    candidates += [value for name, value in cookie_pairs(fields) if names.owns_cookie(name)]
    candidates += [
        unquote_plus(raw.partition("=")[2]) for name, raw in arguments(query) if name in SECRET_ARGUMENTS
    ]
    return ServerCredentials(login_cookie, _usable(candidates))


def _usable(candidates: Iterable[str]) -> frozenset[str]:
    stripped = (candidate.strip(' "') for candidate in candidates)
    return frozenset(value for value in stripped if len(value) >= _SHORTEST)
