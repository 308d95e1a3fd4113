"""The verbs `use` and `attach`, for notebooks."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import html, options
from jupyter_sessions.commands.cells import plain
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Markup, Nothing, Result
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import NotRunning, NotSupported
from jupyter_sessions.model import USABLE, SessionInfo, standing

_ATTACH = "jupyter-sessions:use-for-notebook"
"""JupyterLab's command that lets the notebook in front run in a session."""


def _use_options(verb: ArgumentParser) -> None:
    verb.add_argument("session", nargs="?", help=f"{options.REFERENCE} (default: none any more)")


async def use(api: Api, asked: Namespace, face: Face) -> Result:
    """Let `%%session` without a name mean a session. Errors: NotSupported in a shell."""
    if not face.in_notebook:
        hint = "In a shell, name the session with each command."
        raise NotSupported("'use' is for notebooks.", hint=hint)
    if asked.session is None:
        face.use("")
        face("Cells that begin with `%%session` need the name of a session again.")
        return Nothing()
    row = await api.find(asked.session)
    face.use(row.ref)
    face(f"Cells that begin with `%%session` run in {plain(row.name)} from now on.")
    return Nothing()


async def attach(api: Api, asked: Namespace, face: Face) -> Result:
    """Offer to let this notebook run in a session. Errors: NotSupported in a shell, NotRunning."""
    if not face.in_notebook:
        hint = f"`%session console {asked.session}` opens a console on the session."
        raise NotSupported("'attach' is for notebooks.", hint=hint)
    row = await api.find(asked.session)
    if row.status not in USABLE:
        raise NotRunning(standing(row.name, row.status, row.status_info), hint="Attach to it while it runs.")
    return attach_offer(row)


def attach_offer(row: SessionInfo, why: str = "") -> Markup:
    """Return the button that lets this notebook run in a session, with what comes of it, and `why` that is wanted."""
    name = plain(row.name)
    button = html.lab_button(f"Attach to {name}", _ATTACH, {"backend": row.backend, "id": row.id})
    about = (
        f"From then on this notebook runs in {name}; the variables of its present kernel are gone. Elsewhere than in"
        f" JupyterLab, `%session kernel add {name} --session {name}` makes a kernel to choose for the notebook."
    )
    reason = html.note(why) if why else ""
    return Markup(" ".join(filter(None, (why, about))), f"{reason}<p>{button}</p>{html.note(about)}")


VERBS = (
    Verb(
        "use",
        "run %%session cells in it (in a notebook)",
        "Let cells that begin with `%%session` run in a session, unless they name another one.",
        _use_options,
        use,
    ),
    Verb(
        "attach",
        "run this notebook in it (in a notebook)",
        "Let this notebook run in a session, whose variables its cells then share.",
        options.session,
        attach,
    ),
)
