"""How people sign in to a backend: what they are asked for, and what faces may know of it.

`Credentials` stay in the process that was given them, or in its file (see `ring`). All that goes to
faces is `SignIn`, which holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from jupyter_sessions.errors import InvalidRequest, SessionError

WARN_BEFORE = (timedelta(days=3), timedelta(hours=1))
_MOST = 64 * 1024
_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_HEADER = re.compile(r"[\x21-\x7e]+")


class CredentialField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a form; a `secret` one is not shown while it is typed.

    `plain`: it goes into a header of requests, which takes neither spaces nor letters beyond ASCII.
    """

    name: str
    label: str
    secret: bool = False
    plain: bool = False


class SignInMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A way to sign in."""

    name: str
    label: str
    fields: list[CredentialField]


PASSWORD = SignInMethod(
    name="password",
    label="User name and password",
    fields=[
        CredentialField(name="username", label="User name"),
        CredentialField(name="password", label="Password", secret=True),
    ],
)
KEYPAIR = SignInMethod(
    name="keypair",
    label="Keypair",
    fields=[
        CredentialField(name="access_key", label="Access key", plain=True),
        CredentialField(name="secret_key", label="Secret key", secret=True, plain=True),
    ],
)
TOKEN = SignInMethod(
    name="token",
    label="Token",
    fields=[CredentialField(name="token", label="Token", secret=True, plain=True)],
)
CERTIFICATE = SignInMethod(
    name="certificate",
    label="Certificate",
    fields=[CredentialField(name="certificate", label="Path of the certificate, with its key")],
)


class Credentials(msgspec.Struct, frozen=True):
    """The values that a person gave, by the names of the method's fields."""

    method: str
    values: dict[str, str]

    def __repr__(self) -> str:
        return f"Credentials({self.method!r})"


CredentialsLookup = Callable[[str], Credentials | None]
"""The credentials for an address."""


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """The ways to sign in to a backend, and who is signed in; without secrets.

    `who` is the user name or access key of somebody who is `signed_in` by us, rather than by the
    configuration, the environment or another program's files. `expires` is when the credentials in
    use do, if that is known; `renew` the shell command that gets new ones.
    """

    methods: list[SignInMethod] = []
    signed_in: bool = False
    remembered: bool = False
    who: str = ""
    expires: datetime | None = None
    renew: str = ""

    def expired(self, now: datetime) -> bool:
        """Return whether the credentials have expired."""
        return self.expires is not None and self.expires <= now

    def warning(self, title: str, now: datetime) -> str:
        """Return a warning about credentials that expire soon, otherwise ""."""
        if self.expires is None or not timedelta() < self.expires - now <= max(WARN_BEFORE):
            return ""
        renew = f" `{self.renew}` renews it." if self.renew else ""
        return f"Your access to {title} expires in {span(self.expires - now)}.{renew}"


def span(left: timedelta) -> str:
    """Return a time in its largest unit, rounded up: "3 days", "2 hours", "1 minute"."""
    seconds = left.total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds > size or size == 60:
            count = max(1, -int(-seconds // size))
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError  # pragma: no cover


def checked(methods: Sequence[SignInMethod], given: Credentials) -> Credentials:
    """Return the credentials without surrounding blanks. Errors: InvalidRequest with the field, never its value."""
    known = {method.name: method for method in methods}
    if given.method not in known:
        hint = f"Choose from: {', '.join(known)}." if known else "It needs no credentials."
        raise InvalidRequest("There is no such way to sign in here.", hint=hint, field="method")
    fields = known[given.method].fields
    names = [field.name for field in fields]
    if set(given.values) - set(names):
        raise InvalidRequest(
            "There are values that were not asked for.",
            hint=f"Give {' and '.join(names)}.",
            field="values",
        )
    return Credentials(given.method, {field.name: _text(field, given.values) for field in fields})


def fits(methods: Sequence[SignInMethod], given: Credentials) -> bool:
    """Return whether credentials fit one of the methods, which may have changed since they were stored."""
    return any(
        method.name == given.method and {field.name for field in method.fields} == given.values.keys()
        for method in methods
    )


def _text(field: CredentialField, values: dict[str, str]) -> str:
    text = values.get(field.name, "")
    text = text if field.name == "password" else text.strip()  # Blanks may be part of a password.
    if not text:
        raise InvalidRequest(f"{field.label} is missing.", hint="Give it.", field=field.name)
    if len(text) > _MOST or not (_HEADER if field.plain else _ONE_LINE).fullmatch(text):
        raise InvalidRequest(
            f"{field.label} cannot be this.", hint="Copy it again, on one line.", field=field.name
        )
    return text


def without_secrets(error: SessionError, given: Credentials, methods: Sequence[SignInMethod]) -> SessionError:
    """Return the error without the secrets in its text, because some servers repeat what they refuse."""
    secrets = [
        given.values[field.name]
        for method in methods
        if method.name == given.method
        for field in method.fields
        if field.secret
    ]
    for secret in secrets:
        error.message = error.message.replace(secret, "…")
        error.hint = error.hint.replace(secret, "…")
    if any(secret in str(error.data) for secret in secrets):
        error.data = None
    error.args = (error.message,)
    return error


def moment(seconds: float) -> datetime | None:
    """Return a Unix time as a datetime, or None if it is out of range."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
