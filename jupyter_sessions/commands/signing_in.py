"""The verbs `login` and `logout`.

They run in this process, as the verbs about backends do. Credentials that are not saved to a file go to the user's
Jupyter servers, which keep them in memory.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.signin import Credentials, SignInMethod
from jupyter_sessions.client import Api, servers
from jupyter_sessions.commands.backends import own_service
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.service import SessionService, state_of

_OPTIONS = {"user": "password", "keypair": "keypair", "token": "token", "certificate": "certificate"}
_GIVEN = {"user": "username", "keypair": "access_key", "certificate": "certificate"}


def _login_options(verb: ArgumentParser) -> None:
    verb.add_argument("backend", help="name of the backend")
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--user", metavar="NAME", help="with this user name and a password")
    how.add_argument(
        "--keypair", nargs="?", const="", metavar="ACCESS_KEY", help="with an access key and its secret"
    )
    how.add_argument("--token", action="store_true", help="with a token")
    how.add_argument("--certificate", metavar="FILE", help="with a certificate file that includes its key")
    verb.add_argument(
        "--save", action="store_true", help="keep the credentials in a file that only you can read"
    )


def _logout_options(verb: ArgumentParser) -> None:
    verb.add_argument("backend", help="name of the backend")


async def login(api: Api, asked: Namespace, face: Face) -> Result:
    """Sign in to a backend. Errors: NotSupported if nothing could keep the credentials."""
    async with own_service(api) as service:
        backend = service.backend(asked.backend)
        method = _method(backend, asked)
        is_kept = asked.save or (face.in_notebook and isinstance(api, SessionService))
        if not is_kept and not servers.running():
            hint = "Add `--save`: a file that only you can read keeps it."
            raise NotSupported("No Jupyter server of yours runs here to hold a sign-in.", hint=hint)
        given = Credentials(method.name, await _answers(method, asked, face))
        if is_kept:
            await service.sign_in(backend.name, given, remember=asked.save)
            where = f". The credentials are saved in {backend.credential_store.path}" if asked.save else ""
        else:
            where = f" on {', '.join(await servers.sign_in(backend.name, given))}"
        state = state_of(backend)
        who = given.values.get("username") or given.values.get("access_key") or ""
        face(plain(f"You are signed in to {backend.title}{f' as {who}' if who else ''}{where}."))
        if warning := state.warning(backend.title, datetime.now(UTC)):
            face(warning)
    return Nothing()


async def _answers(method: SignInMethod, asked: Namespace, face: Face) -> dict[str, str]:
    """Return the credentials from the options, and ask a person for the others. Errors: InvalidRequest."""
    found = _values(asked)
    for field in method.fields:
        if not found.get(field.name):
            try:
                found[field.name] = await face.ask(f"{field.label}: ", secret=field.secret)
            except EOFError:
                raise InvalidRequest(
                    f"{field.label} is missing.", hint="Type it.", field=field.name
                ) from None
    return found


async def logout(api: Api, asked: Namespace, face: Face) -> Result:
    """Sign out of a backend, in this process and on the Jupyter servers of this user."""
    async with own_service(api) as service:
        backend = service.backend(asked.backend)
        if not backend.sign_in_methods():
            raise InvalidRequest(f"Nobody signs in to '{backend.name}'.", field="backend")
        await service.sign_out(backend.name)
        left = await servers.sign_out(backend.name)
        face(plain(f"You are signed out of {backend.title}."))
        if left:
            face(
                plain(
                    f"These Jupyter servers did not answer and may still keep your credentials: {', '.join(left)}."
                )
            )
    return Nothing()


def _method(backend: Backend, asked: Namespace) -> SignInMethod:
    """Return the sign-in method that the options choose, or the backend's usual one. Errors: InvalidRequest."""
    methods = {method.name: method for method in backend.sign_in_methods()}
    if not methods:
        raise InvalidRequest(f"Nobody signs in to '{backend.name}'.", field="backend")
    chosen = [name for option, name in _OPTIONS.items() if getattr(asked, option) not in (None, False)]
    if not chosen:
        return next(iter(methods.values()))
    if chosen[0] not in methods:
        hint = f"It takes: {', '.join(methods)}."
        raise InvalidRequest(f"The backend '{backend.name}' takes no {chosen[0]}.", hint=hint, field="method")
    return methods[chosen[0]]


def _values(asked: Namespace) -> dict[str, str]:
    """Return the credentials that the options hold; paths are made absolute."""
    given = {name: getattr(asked, option) for option, name in _GIVEN.items() if getattr(asked, option)}
    if "certificate" in given:
        given["certificate"] = os.path.abspath(os.path.expanduser(given["certificate"]))
    return given


VERBS = (
    Verb(
        "login",
        "sign in to a backend",
        "Sign in to a backend. Passwords, keys and tokens are asked for, never typed here.",
        _login_options,
        login,
    ),
    Verb(
        "logout",
        "sign out of a backend",
        "Forget your credentials for a backend, also those that were saved.",
        _logout_options,
        logout,
    ),
)
