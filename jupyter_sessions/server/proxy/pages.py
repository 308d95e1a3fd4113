"""The pages of the proxy itself: plain HTML without scripts."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jupyter_sessions.model import Service

    from .refusal import Refusal

RELOAD = 2
"""Seconds after which the waiting page reloads itself."""
LONG_SECONDS = 60
"""Seconds after which the waiting page offers to start the service again."""

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 48rem; margin: 12vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; font-weight: 600; }
h2 { font-size: .9rem; font-weight: 600; margin: 1.5rem 0 .5rem; }
pre { max-height: 40vh; overflow: auto; padding: 1rem; border-radius: 6px;
  background: rgba(128, 128, 128, .15); font: .8rem/1.4 ui-monospace, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
progress { width: 100%; }
button { font: inherit; padding: .4rem 1rem; cursor: pointer; }
[role=timer] { font-variant-numeric: tabular-nums; opacity: .75; }
.hint { opacity: .75; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def policy(*, framed: bool) -> str:
    """Return the Content-Security-Policy of these pages; `framed` lets pages of the same origin embed them."""
    ancestors = "'self'" if framed else "'none'"
    return (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; "
        f"frame-ancestors {ancestors}; base-uri 'none'; form-action 'self'"
    )


class Form(NamedTuple):
    """A button that posts to an `action` of the server, with the XSRF token."""

    action: str
    token: str
    label: str

    def html(self) -> str:
        """Return the form."""
        return (
            f'<form method="post" action="{escape(self.action)}">'
            f'<input type="hidden" name="_xsrf" value="{escape(self.token)}">'
            f"<button>{escape(self.label)}</button></form>"
        )


def draw(refusal: Refusal, session: str = "", log: str = "", form: Form | None = None) -> str:
    """Return the page for a refusal: what is wrong and what to do, with the end of the service's log."""
    hint = f"<p class=hint>{escape(refusal.hint)}</p>" if refusal.hint else ""
    again = form.html() if form else '<p><a href="">Try again</a></p>'
    return page(refusal.message, _about(session) + hint + again + _shown(log))


def waiting(title: str, session: str, service: Service | None, log: str, form: Form | None) -> str:
    """Return the page shown until a service listens: it reloads itself, and shows the time and the end of the log."""
    since = service.since if service else None
    seconds = (datetime.now(UTC) - since).total_seconds() if since else 0.0
    elapsed = f"<p role=timer>{_duration(seconds)}</p>" if since else ""
    said, more = "This page opens it as soon as it is ready.", ""
    if form and seconds > LONG_SECONDS:
        said = "It takes longer than usual. Its log may say why; if it does not go on, start it again."
        more = form.html()
    body = (
        f"{_about(session)}<p role=status>{said}</p>{elapsed}"
        f"<progress aria-label='Starting'></progress>{more}{_shown(log)}"
    )
    return page(title, body, f'<meta http-equiv="refresh" content="{RELOAD}">')


def _about(session: str) -> str:
    return f"<p>Session {escape(session)}</p>" if session else ""


def _shown(log: str) -> str:
    return f"<h2>Log</h2><pre tabindex=0>{escape(log)}</pre>" if log.strip() else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def page(title: str, body: str, head: str = "") -> str:
    """Return a page with this title as its heading."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{head}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )
