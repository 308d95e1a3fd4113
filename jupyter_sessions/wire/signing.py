"""How Backend.AI requests are signed, for clients and servers.

Source: Backend.AI client 23.9.10 and managers 23.09 to 26.8; checked against the client's own test vectors. The body
is never part of the signature.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

SCHEMES = ("BackendAI", "Sorna")
VERSION_HEADERS = ("X-BackendAI-Version", "X-Sorna-Version")
DATE_HEADERS = ("Date", "X-BackendAI-Date", "X-Sorna-Date")
DEFAULT_CONTENT_TYPE = "application/octet-stream"


class Keypair(msgspec.Struct, frozen=True):
    """An access key, which may be shown, and its secret key, which may not."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Keypair({self.access_key!r})"

    def bearer(self, audience: str) -> str:
        """Return the bearer token of this keypair, for clients such as Skaha's.

        The token is as secret as the key, and valid for one audience: the address and life of a manager.
        """
        digest = hmac.digest(self.secret_key.encode(), f"bearer for {audience}".encode(), "sha256")
        return f"{self.access_key}.{digest.hex()}"


class Signable(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a request that a signature covers.

    `target` is path and query exactly as on the request line, `date` the text of the header, and `day` the YYYYMMDD
    of that date in its own time zone.
    """

    method: str
    target: str
    host: str
    date: str
    day: str
    content_type: str = DEFAULT_CONTENT_TYPE
    version: str = ""
    version_header: str = VERSION_HEADERS[0]

    def signature(self, secret_key: str, algorithm: str = "sha256") -> str:
        """Return the signature in lower-case hex. Errors: ValueError for an unknown hash."""
        media_type = self.content_type.split(";", 1)[0].strip().lower()
        lines = (
            self.method.upper(),
            self.target,
            self.date,
            f"host:{self.host}",
            f"content-type:{media_type}",
            f"{self.version_header.lower()}:{self.version}",
            hashlib.new(algorithm).hexdigest(),
        )
        key = secret_key.encode()
        for part in (self.day, self.host):
            key = hmac.digest(key, part.encode(), algorithm)
        return hmac.new(key, "\n".join(lines).encode(), algorithm).hexdigest()


def headers_for(
    keypair: Keypair, *, method: str, target: str, host: str, content_type: str, version: str
) -> dict[str, str]:
    """Return the headers that sign a request now; it must be sent with exactly these values."""
    now = datetime.now(UTC)
    signable = Signable(
        method=method,
        target=target,
        host=host,
        date=now.isoformat(),
        day=now.strftime("%Y%m%d"),
        content_type=content_type,
        version=version,
    )
    credential = f"{keypair.access_key}:{signable.signature(keypair.secret_key)}"
    return {
        "Date": signable.date,
        VERSION_HEADERS[0]: version,
        "Authorization": f"BackendAI signMethod=HMAC-SHA256, credential={credential}",
    }


class Authorization(msgspec.Struct, frozen=True):
    """The claims of an Authorization header."""

    algorithm: str
    access_key: str
    signature: str


def parse_authorization(value: str) -> Authorization:
    """Parse an Authorization header. Errors: ValueError if it is malformed."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme not in SCHEMES:
        raise ValueError(f"Unknown authorization scheme '{scheme}'.")
    parts = (part.partition("=") for part in rest.split(","))
    params = {name.strip(): value.strip() for name, _, value in parts}
    mac, _, algorithm = params.get("signMethod", "").partition("-")
    access_key, colon, signature = params.get("credential", "").partition(":")
    if mac.upper() != "HMAC" or not colon or not algorithm:
        raise ValueError("The Authorization header needs signMethod=HMAC-… and credential=key:signature.")
    if algorithm.lower() not in hashlib.algorithms_guaranteed or algorithm.lower().startswith("shake"):
        raise ValueError(f"Unknown hash '{algorithm}'.")
    return Authorization(algorithm.lower(), access_key, signature)


def first_header(headers: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the name and value of the first header that is present, or the first name and ""."""
    for name in names:
        if name in headers:
            return name, headers[name]
    return names[0], ""
