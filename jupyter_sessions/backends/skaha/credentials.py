"""How a Skaha server is reached, and who asks: from options, the environment, or the clients' own files.

Source: canfar 1.5.2 (environment and `~/.canfar/config.yaml`) and skaha 1.7.0 (`~/.ssl/cadcproxy.pem`).
"""

from __future__ import annotations

import base64
import os
import re
import ssl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.backends import files
from jupyter_sessions.backends.signin import CredentialsLookup, moment
from jupyter_sessions.errors import InvalidRequest, Unauthorized

CANFAR = "https://ws-uv.canfar.net/skaha"
CERTIFICATE = ".ssl/cadcproxy.pem"
CONFIG = ".canfar/config.yaml"
_SHOWN = frozenset({"token", "certificate"})
_RENEW_TOKEN, _RENEW_CERTIFICATE = "canfar login", "canfar login cadc"
_IN_HEADER = re.compile(r"[\x21-\x7e]*")
_PARTS_OF_JWT = 3
_VERSIONED = re.compile(r"(?P<root>.*?)(?:/(?P<version>v\d+(?:\.\d+)*))?/*")


class SkahaLogin(msgspec.Struct, frozen=True, kw_only=True):
    """The address `root` without a version, and a bearer token or a certificate file with its key.

    `expires` is when the token or certificate does, if that is known; `renew` the command of the vendor's
    client that gets a new one, if it is from there; `stamp` that of the certificate's file.
    """

    root: str
    version: str = "v1"
    token: str = ""
    certificate: str = ""
    expires: datetime | None = None
    renew: str = ""
    stamp: files.Stamp | None = None

    def __repr__(self) -> str:
        return f"SkahaLogin({self.root}/{self.version})"

    @property
    def url(self) -> str:
        """Return the address of the versioned resources."""
        return f"{self.root}/{self.version}"

    def tls(self) -> ssl.SSLContext | bool:
        """Return the TLS context, which holds the client's certificate. Errors: Unauthorized."""
        if not self.certificate:
            return True
        context = ssl.create_default_context()
        try:
            context.load_cert_chain(self.certificate, password=lambda: "")  # Else OpenSSL asks the terminal.
        except OSError as error:  # ssl.SSLError is one
            hint = "Get a new one, for example with `canfar login cadc`."
            raise Unauthorized(
                f"The certificate {self.certificate} cannot be used: {error}.", hint=hint
            ) from None
        return context


def find(
    options: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    signed: CredentialsLookup = lambda where: None,
) -> SkahaLogin:
    """What somebody signed in with, else what the options say, else what is where Skaha's own clients look for it.

    Files are read anew when they have changed, as people renew what is in them. Errors: InvalidRequest,
    Unauthorized.
    """
    found = _gathered(options, environ)
    if given := signed(_where(found)):
        found = {name: found[name] for name in ("url", "version") if name in found}
        found |= {**given.values, "renew": ""}
    return _login(found)


def where(options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> str:
    """Return the address of the server, without a version. Errors: InvalidRequest."""
    return _where(_gathered(options, environ))


def _where(gathered: Mapping[str, str]) -> str:
    return _root(gathered.get("url", CANFAR))[0]


def _gathered(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    given = {
        name: str(options[name]) for name in ("url", "version", "token", "certificate") if options.get(name)
    }
    if not given.keys() & _SHOWN:
        if "url" not in given or given["url"] == environ.get("CANFAR_URL"):
            given = _of_environment(environ) | given
        if not given.keys() & _SHOWN:
            given = _of_config(given.get("url", "")) | given
    if not given.keys() & _SHOWN and (Path.home() / CERTIFICATE).exists():
        given |= {"certificate": str(Path.home() / CERTIFICATE), "renew": _RENEW_CERTIFICATE}
    return given


def named(environ: Mapping[str, str] = os.environ) -> str | None:
    """The server that one is signed in to: that of the environment, else the active one of canfar's file.

    "" if that file cannot be read, which `find` says why; None if there is no server, or nothing to show it.
    """
    given = {"url": environ["CANFAR_URL"]} if environ.get("CANFAR_URL") else {}
    try:
        given |= _of_config("") if not given else {}
        login = find(given, environ) if given else None
    except Unauthorized:
        return None
    except InvalidRequest:
        return given.get("url", "")
    if login is None or not (login.token or Path(login.certificate).exists()):
        return None
    return given["url"]


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether options name the same server in any version; options without a URL name the `named` one."""
    return len({_root(str(options.get("url") or named() or ""))[0] for options in (one, other)}) == 1


def _of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = {"url": "CANFAR_URL", "token": "CANFAR_TOKEN", "certificate": "CANFAR_CERTIFICATE"}
    return {name: environ[variable] for name, variable in names.items() if environ.get(variable)}


def _of_config(url: str) -> dict[str, str]:
    """Return the active server of canfar's configuration file, or the one with this URL."""
    path = Path.home() / CONFIG
    try:
        config = files.read(path, _parsed)
        return {} if config is None else _configured(config, url)
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidRequest(
            f"{path} cannot be read: {type(error).__name__}: {error}.",
            hint="Correct it, or sign in anew with `canfar login`.",
        ) from None


def _parsed(data: bytes) -> Any:
    import yaml  # Costs more than all else here, and most processes need none.

    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _configured(config: Any, url: str) -> dict[str, str]:
    servers, active = config["servers"], config["active"]["server"]
    server = next((one for one in servers.values() if _same(one, url)), None) if url else servers[active]
    if server is None:
        return {}
    identity = config["authentication"][server["idp"]]
    found = {"url": str(server["url"]), "version": str(server.get("version") or "v1")}
    token, expiry = identity.get("token") or {}, identity.get("expiry")
    if isinstance(token, dict) and token.get("access"):
        found |= {"token": str(token["access"]), "renew": _RENEW_TOKEN}
        if isinstance(expiry, dict) and expiry.get("access"):
            found["expires"] = str(float(expiry["access"]))
    elif identity.get("path"):
        found |= {"certificate": str(identity["path"]), "renew": _RENEW_CERTIFICATE}
    return found


def _same(server: Mapping[str, Any], url: str) -> bool:
    return _root(str(server.get("url", "")))[0] == _root(url)[0]


def _root(url: str) -> tuple[str, str | None]:
    match = _VERSIONED.fullmatch(url.strip())
    assert match is not None  # noqa: S101 - the pattern takes any text
    return match["root"].rstrip("/"), match["version"]


def _login(given: dict[str, str]) -> SkahaLogin:
    root, version = _root(given.get("url", CANFAR))
    if not root.startswith(("http://", "https://")):
        raise InvalidRequest(
            f"'{root}' is no address.", hint="Give one such as https://HOST/skaha.", field="url"
        )
    certificate = os.path.expanduser(given.get("certificate", ""))
    if not certificate and not given.get("token"):
        hint = "Set a token or certificate, or sign in with `canfar login`."
        raise Unauthorized(f"Nobody is signed in to {root}.", hint=hint)
    token = given.get("token", "")
    if not _IN_HEADER.fullmatch(token):
        raise Unauthorized(f"What is given as the token for {root} can be none.", hint="Copy it again.")
    return SkahaLogin(
        root=root,
        version=version or given.get("version", "v1"),
        token=token,
        certificate="" if token else certificate,
        stamp=None if token else _stamp(certificate),
        expires=_told(given.get("expires")) or token_end(token) if token else certificate_end(certificate),
        renew=given.get("renew", ""),
    )


def _stamp(path: str) -> files.Stamp | None:
    try:
        return files.stamp(Path(path))
    except OSError:
        return None


def _told(seconds: str | None) -> datetime | None:
    return moment(float(seconds)) if seconds else None


def token_end(token: str) -> datetime | None:
    """Return when a token expires, for tokens of OpenID Connect (RFC 7519); None for others."""
    parts = token.split(".")
    if len(parts) != _PARTS_OF_JWT:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=="))
        return moment(float(claims["exp"]))
    except (ValueError, TypeError, KeyError, msgspec.DecodeError):
        return None


def certificate_end(path: str) -> datetime | None:
    """Return when a certificate expires; None if it cannot be read."""
    try:
        return files.read(Path(path), _end_of)
    except (OSError, ValueError):
        return None


def _end_of(data: bytes) -> datetime:
    from cryptography import x509  # Costs a tenth of a second, and few have certificates.

    return x509.load_pem_x509_certificate(data).not_valid_after_utc
