"""What to do with a session that has just begun to run: links to its services, and the next command to type."""

from __future__ import annotations

from jupyter_sessions.commands import html
from jupyter_sessions.commands.cells import plain
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.links import address_of
from jupyter_sessions.commands.result import Markup, Nothing, Result
from jupyter_sessions.model import USABLE, SessionInfo


def next_steps(row: SessionInfo, base_url: str, face: Face) -> Result:
    """Return the services of a session that runs, and what can be typed next; nothing of one that does not.

    A notebook has links to the services in the session's card.
    """
    if row.status not in USABLE:
        return Nothing()
    name = plain(row.name)
    step = f"`jupyter session console {name}` opens a console on it."
    if face.in_notebook:
        step = f"Begin a cell with `%%session {name}` to run it there."
    names = ", ".join(plain(service.name) for service in row.services)
    opens = (
        f"Services: {names}. `%session open {name} {plain(row.services[0].name)}` opens one." if names else ""
    )
    linked = any(address_of(service, base_url) for service in row.services)
    shown = html.note(opens) if opens and not linked else ""
    return Markup(" ".join(filter(None, (opens, step))), f"{shown}{html.note(step)}")
