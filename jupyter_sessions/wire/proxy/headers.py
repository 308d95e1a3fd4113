"""Header fields across the proxy, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from multidict import CIMultiDict

from . import cookies
from .credentials import ServerCredentials, cookie_pairs, values_of
from .target import clean_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .credentials import Fields


def _fields(names: str) -> frozenset[str]:
    return frozenset(names.split())


_HOP_BY_HOP = _fields("connection keep-alive proxy-connection te trailer trailers transfer-encoding upgrade")
_NOT_UP = _fields(
    "host cookie authorization x-xsrftoken expect forwarded via x-real-ip x-scheme x-rewrite-url "
    "x-client-ip true-client-ip remote-user x-remote-user x-script-name x-proxycontextpath"
)
_NOT_UP_PREFIXES = (
    "proxy-",
    "sec-websocket-",
    "x-forwarded-",
    "x-original-",
    "x-jupyterhub-",
    "x-auth-request-",
    "x-amzn-oidc-",
    "cf-access-",
)
# Each of these speaks for the whole origin or host, makes the browser ask for a password in the
# Jupyter server's name, or commands a web server in front of it.
_NOT_DOWN = _fields(
    "set-cookie set-cookie2 service-worker-allowed clear-site-data strict-transport-security "
    "public-key-pins expect-ct alt-svc nel report-to www-authenticate x-accel-redirect x-sendfile "
    "x-lighttpd-send-file x-reproxy-url"
)
_NOT_DOWN_PREFIXES = ("proxy-", "access-control-")


class Sender(msgspec.Struct, frozen=True):
    """Who sent a request: the host it was sent to, the address it came from, and how."""

    host: str
    address: str
    scheme: str


def upward(fields: Fields, sender: Sender, credentials: ServerCredentials) -> CIMultiDict[str]:
    """The header of a request to a service: no credentials, the sender's Host, our X-Forwarded."""
    headers = CIMultiDict(_passing_up(fields, credentials))
    cookie = cookies.upward(cookie_pairs(fields), credentials)
    if cookie:
        headers["Cookie"] = _recoded(cookie)
    headers["Host"] = sender.host
    headers["X-Forwarded-For"] = sender.address
    headers["X-Forwarded-Host"] = sender.host
    headers["X-Forwarded-Proto"] = sender.scheme
    return headers


def _passing_up(fields: Fields, credentials: ServerCredentials) -> Iterator[tuple[str, str]]:
    dropped = _HOP_BY_HOP | _NOT_UP | _named(values_of(fields, "connection"))
    for name, value in fields:
        key = name.lower()
        if key in dropped or key.startswith(_NOT_UP_PREFIXES):
            continue
        if key == "referer":
            value = clean_referer(value, credentials)
        if not credentials.occur_in(value):
            yield name, _recoded(value)


def clean_referer(value: str, credentials: ServerCredentials) -> str:
    """A Referer without credentials in its query; empty if it is no URL."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    query = clean_query(parts.query, credentials)
    return parts._replace(netloc=host, query=query, fragment="").geturl()


def downward(
    raw: Iterable[tuple[bytes, bytes]], prefix: str, credentials: ServerCredentials
) -> Iterator[tuple[str, str]]:
    """The fields of a service's answer that may reach the browser, cookies confined to `prefix`."""
    fields = [(name.decode("latin1"), value.decode("latin1")) for name, value in raw]
    dropped = _HOP_BY_HOP | _NOT_DOWN
    dropped |= _named(value for name, value in fields if name.lower() == "connection")
    for name, value in fields:
        key = name.lower()
        if key == "set-cookie":
            cookie = cookies.downward(value, prefix, credentials)
            if cookie:
                yield name, cookie
        elif key not in dropped and not key.startswith(_NOT_DOWN_PREFIXES):
            yield name, value


def located(value: str, root: str) -> str:
    """A Location as browsers see it, from a service whose own "/" they see at `root`."""
    return root + value[1:] if value.startswith("/") and not value.startswith("//") else value


def _named(lines: Iterable[str]) -> frozenset[str]:
    """The fields that a Connection header declares to be for this hop only."""
    names = (name.strip().lower() for line in lines for name in line.split(","))
    return frozenset(names) - {"content-length", "set-cookie"}


def _recoded(value: str) -> str:
    """Tornado reads bytes as Latin-1, aiohttp writes UTF-8: keep UTF-8 bytes as they were."""
    try:
        return value.encode("latin1").decode("utf-8")
    except UnicodeError:
        return value
