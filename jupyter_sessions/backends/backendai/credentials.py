"""Where a manager is and who asks: from options, a file of variables, or the environment.

Source: `BACKEND_*` as clients 23.9.10 to 26.9.6 read them, those of user name and password being ours;
such a file is what the web console offers to download with a new keypair.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.backends import files
from jupyter_sessions.backends.backendai.access import API, SESSION, Authentication, Signed, SignedIn
from jupyter_sessions.backends.backendai.http import CONNECT_SECONDS
from jupyter_sessions.backends.signin import CredentialsLookup
from jupyter_sessions.errors import InvalidRequest, Unauthorized
from jupyter_sessions.wire.signing import Keypair

_VARIABLES = {
    "endpoint": "BACKEND_ENDPOINT",
    "endpoint_type": "BACKEND_ENDPOINT_TYPE",
    "access_key": "BACKEND_ACCESS_KEY",
    "secret_key": "BACKEND_SECRET_KEY",
    "username": "BACKEND_USERNAME",
    "password": "BACKEND_PASSWORD",
    "domain": "BACKEND_DOMAIN",
    "group": "BACKEND_GROUP",
    "vfolder_mounts": "BACKEND_VFOLDER_MOUNTS",
    "skip_sslcert_validation": "BACKEND_SKIP_SSLCERT_VALIDATION",
    "connection_timeout": "BACKEND_CONNECTION_TIMEOUT",
    "read_timeout": "BACKEND_READ_TIMEOUT",
}
_SETTING = re.compile(r"\s*(?:export\s+)?(BACKEND_[A-Z_]+)=(.*)", re.ASCII)


class BackendAILogin(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses, and a keypair, or user name and password for an `endpoint_type` of "session".

    `domain` and `group` are those of sessions that name none; "" leaves the choice to the manager. The folders
    `vfolder_mounts` are mounted in each session. Time-outs are in seconds, that of reading 0 for the usual one.
    """

    endpoint: str
    endpoint_type: str = API
    access_key: str = ""
    secret_key: str = ""
    username: str = ""
    password: str = ""
    domain: str = ""
    group: str = ""
    vfolder_mounts: tuple[str, ...] = ()
    skip_sslcert_validation: bool = False
    connection_timeout: float = CONNECT_SECONDS
    read_timeout: float = 0

    def __repr__(self) -> str:
        return f"BackendAILogin({self.endpoint!r}, {self.access_key or self.username!r})"

    @property
    def endpoints(self) -> list[str]:
        """Return the addresses, in the order to try them."""
        return addresses(self.endpoint)

    @property
    def keypair(self) -> Keypair:
        """Return the keypair, which is empty for user names."""
        return Keypair(self.access_key, self.secret_key)

    def access(self, who: str) -> Authentication:
        """Return how requests authenticate."""
        if self.endpoint_type == SESSION:
            return SignedIn(self.username, self.password, who)
        return Signed(self.keypair)


def named(given: Mapping[str, str]) -> bool:
    """Return whether a manager is named, with a keypair unless people are to sign in to it."""
    enough = given.get("endpoint_type") == SESSION or given.keys() >= {"access_key", "secret_key"}
    return bool(given.get("endpoint")) and enough


def addresses(endpoint: object) -> list[str]:
    """Return the URLs in a comma list."""
    return [one.strip().rstrip("/") for one in str(endpoint or "").split(",") if one.strip()]


def where(gathered: Mapping[str, str]) -> str:
    """Return the addresses that credentials are for."""
    return ",".join(addresses(gathered.get("endpoint")))


def find(
    options: Mapping[str, Any], name: str, signed: CredentialsLookup = lambda where: None
) -> BackendAILogin:
    """What somebody signed in with, else what is configured.

    That is the options, and what they leave out the file `credentials`, or the environment for the same manager.
    Errors: InvalidRequest that names what is wrong; Unauthorized for credentials that are missing.
    """
    given = gathered(options)
    if credentials := signed(where(given)):
        given |= credentials.values
    _check(given, name)
    return BackendAILogin(**(given | typed(given, name)))


def gathered(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the values that are configured, which may not be enough. Errors: InvalidRequest for an unreadable file."""
    given = {key: _as_text(options[key]) for key in _VARIABLES if options.get(key) not in (None, "")}
    sources = [_of_file(str(options["credentials"]))] if options.get("credentials") else []
    for source in (*sources, of_environment(os.environ)):
        same = set(addresses(source.get("endpoint"))) & set(addresses(given.get("endpoint")))
        if same or not given.get("endpoint") or (sources and source is sources[0]):
            given = source | given
    return given


def check_type(kind: str, name: str) -> None:
    """Errors: InvalidRequest for an `endpoint_type` that there is not."""
    if kind not in (API, SESSION):
        raise InvalidRequest(
            f"'{kind}' cannot be the endpoint_type of the backend '{name}'.",
            hint=f"Use {API} or {SESSION}.",
            field="endpoint_type",
        )


def _check(given: Mapping[str, str], name: str) -> None:
    check_type(given.get("endpoint_type", API), name)
    for address in addresses(given.get("endpoint")):
        if not address.startswith(("http://", "https://")):
            raise InvalidRequest(
                f"The endpoint '{address}' of the backend '{name}' is no address.",
                hint="Give one such as https://HOST.",
                field="endpoint",
            )
    who = ("username", "password") if given.get("endpoint_type") == SESSION else ("access_key", "secret_key")
    if missing := [key for key in ("endpoint", *who) if not given.get(key)]:
        said = f"The backend '{name}' lacks {', '.join(missing)}."
        hint = "Add them to its configuration, to the file it names as 'credentials', or to the environment."
        if "endpoint" in missing:
            raise InvalidRequest(said, hint=hint)
        raise Unauthorized(said, hint="Sign in.")


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def typed(given: Mapping[str, str], name: str) -> dict[str, Any]:
    """The values of what is no text. Errors: InvalidRequest that names what is wrong."""
    found: dict[str, Any] = {}
    for key, (read, hint) in _READ.items():
        if key in given:
            try:
                found[key] = read(given[key])
            except ValueError:
                said = f"'{given[key]}' cannot be the {key} of the backend '{name}'."
                raise InvalidRequest(said, hint=hint, field=key) from None
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _yes(text: str) -> bool:
    """Source: `bool_env` of client 25.5.2."""
    if text.lower() in ("y", "yes", "t", "true", "1"):
        return True
    if text.lower() in ("n", "no", "f", "false", "0"):
        return False
    raise ValueError


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < inf:
        raise ValueError
    return seconds


_READ: dict[str, tuple[Callable[[str], object], str]] = {
    "vfolder_mounts": (_names, ""),
    "skip_sslcert_validation": (_yes, "Use yes or no."),
    "connection_timeout": (_seconds, "Give a number of seconds."),
    "read_timeout": (_seconds, "Give a number of seconds, 0 for the usual one."),
}


def of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Options that the environment gives."""
    return {key: environ[variable] for key, variable in _VARIABLES.items() if environ.get(variable)}


def _of_file(path: str) -> dict[str, str]:
    """Options that a file gives with lines such as `export BACKEND_ACCESS_KEY=…`."""
    try:
        found = files.read(Path(path).expanduser(), _settings)
        if found is None:
            raise FileNotFoundError("there is no such file")
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"The credentials in {path} cannot be read: {error}.", hint="Correct it.", field="credentials"
        ) from None
    return of_environment(found)


def _settings(data: bytes) -> dict[str, str]:
    """Return the variables that lines of a shell script set."""
    matches = [match for match in map(_SETTING.match, data.decode().splitlines()) if match]
    return {match[1]: "".join(shlex.split(match[2], comments=True)) for match in matches}
