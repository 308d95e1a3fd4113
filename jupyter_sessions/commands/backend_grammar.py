"""The grammar of the verbs about backends and signing in."""

from __future__ import annotations

from typing import Any

from jupyter_sessions.commands.adding import add_verb


def define(parsers: Any) -> None:
    """Add the verbs to the grammar.

    A caller whose process outlives the verb sets `lasting`: credentials can then be kept in memory.
    """
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
    how.add_argument("--certificate", metavar="FILE", help="with a certificate file that includes its key")
    verb.add_argument(
        "--save", action="store_true", help="keep the credentials in a file that only you can read"
    )


def _logout(parsers: Any) -> None:
    about = "Forget your credentials for a backend, also those that were saved."
    verb = add_verb(parsers, "logout", help="sign out of a backend", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("backend", help="name of the backend")


def _backend_add(parsers: Any) -> None:
    about = "Add a backend, provided that its address answers."
    verb = add_verb(parsers, "backend add", help="add a backend", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("name", help="name of the new backend")
    verb.add_argument("--kind", required=True, metavar="KIND", help="type of backend")
    verb.add_argument("--url", required=True, help="its address, or several separated by commas")
    verb.add_argument("--title", default="", metavar="TEXT", help="title that the panel shows")
    verb.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the backend",
    )


def _backend_list(parsers: Any) -> None:
    verb = add_verb(parsers, "backend list", help="list backends", description="List backends.")
    verb.set_defaults(lasting=False)
    verb.add_argument("--json", action="store_true", help="as JSON")


def _backend_takeover(parsers: Any) -> None:
    about = (
        "After an upgrade, replace the session manager of the earlier version by this version's. Sessions go on"
        " running."
    )
    verb = add_verb(parsers, "backend takeover", help="take over after an upgrade", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("backend", nargs="?", help="name of the backend (default: the one that can)")


def _backend_rm(parsers: Any) -> None:
    about = "Remove backends that you added. Their sessions go on running."
    verb = add_verb(parsers, "backend rm", help="remove backends", description=about)
    verb.set_defaults(lasting=False)
    verb.add_argument("backends", nargs="+", metavar="backend", help="name of the backend")
