"""What one may type about backends and signing in to them."""

from __future__ import annotations

from typing import Any

from jupyter_sessions.commands.adding import add_verb


def define(parsers: Any) -> None:
    """Add the verbs. `lasting` is set by faces whose process goes on after a verb."""
    for add in (_login, _logout, _backend_add, _backend_list, _backend_takeover, _backend_rm):
        add(parsers)


def _login(parsers: Any) -> None:
    about = "Sign in to a backend. Passwords, keys and tokens are asked for, never typed here."
    verb = add_verb(parsers, "login", help="sign in to a backend", description=about)
    verb.set_defaults(answers={}, lasting=False)
    verb.add_argument("backend", help="name of the backend")
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--user", metavar="NAME", help="with this user name and a password")
    how.add_argument(
        "--keypair", nargs="?", const="", metavar="ACCESS_KEY", help="with an access key and its secret"
    )
    how.add_argument("--token", action="store_true", help="with a token")
    how.add_argument("--certificate", metavar="FILE", help="with a certificate that holds its key, too")
    verb.add_argument("--save", action="store_true", help="keep it in a file that only you can read")


def _logout(parsers: Any) -> None:
    about = "Forget what you signed in to a backend with, also where it was saved."
    verb = add_verb(parsers, "logout", help="sign out of a backend", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("backend", help="name of the backend")


def _backend_add(parsers: Any) -> None:
    about = "Offer one more backend from now on, if its address answers."
    verb = add_verb(parsers, "backend add", help="add a backend", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("name", help="what to call it")
    verb.add_argument("--kind", required=True, metavar="KIND", help="type of backend")
    verb.add_argument("--url", required=True, help="its address, or several with commas between")
    verb.add_argument("--title", default="", metavar="TEXT", help="what people see")
    verb.add_argument(
        "-o", "--option", action="append", default=[], metavar="NAME=VALUE", help="another of its options"
    )


def _backend_list(parsers: Any) -> None:
    verb = add_verb(parsers, "backend list", help="list backends", description="List backends.")
    verb.set_defaults(lasting=False)
    verb.add_argument("--json", action="store_true", help="as JSON")


def _backend_takeover(parsers: Any) -> None:
    about = (
        "After an upgrade, end the session manager of the earlier version and start this version's, which goes on"
        " with its sessions."
    )
    verb = add_verb(parsers, "backend takeover", help="take over after an upgrade", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("backend", nargs="?", help="name of the backend (default: the one that can)")


def _backend_rm(parsers: Any) -> None:
    about = "Offer backends that were added no more; sessions stay."
    verb = add_verb(parsers, "backend rm", help="remove backends", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("backends", nargs="+", metavar="backend", help="name of the backend")
