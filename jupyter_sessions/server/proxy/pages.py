"""The pages of the proxy itself: plain HTML without scripts."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from .refusal import NotListening, Refusal

RELOAD = 2
"""Seconds after which the waiting page reloads itself."""

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 48rem; margin: 12vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; font-weight: 600; }
pre { max-height: 40vh; overflow: auto; padding: 1rem; border-radius: 6px;
  background: rgba(128, 128, 128, .15); font: .8rem/1.4 ui-monospace, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
progress { width: 100%; }
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


def draw(refusal: Refusal) -> str:
    """Return the page for a refusal; while a service starts, the page reloads itself."""
    if isinstance(refusal, NotListening):
        title = refusal.message if refusal.service.isdigit() else f"Starting {refusal.service}"
        return waiting(title, refusal.session, refusal.log)
    hint = f"<p class=hint>{escape(refusal.hint)}</p>" if refusal.hint else ""
    return page(refusal.message, f'{hint}<p><a href="">Try again</a></p>')


def offer(refusal: Refusal, action: str, token: str) -> str:
    """Return the page that asks whether to start a service anyway, with a form for `action` and the XSRF token."""
    form = (
        f'<p class=hint>{escape(refusal.hint)}</p><form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="_xsrf" value="{escape(token)}">'
        "<button>Start anyway</button></form>"
    )
    return page(refusal.message, form)


def waiting(title: str, session: str, log: str) -> str:
    """Return the page shown until a service listens, with the end of its log."""
    shown = f"<pre>{escape(log)}</pre>" if log.strip() else ""
    body = (
        f"<p role=status>Session {escape(session)}. This page opens it as soon as it is ready.</p>"
        f"<progress aria-label='Starting'></progress>{shown}"
    )
    return page(title, body, f'<meta http-equiv="refresh" content="{RELOAD}">')


def page(title: str, body: str, head: str = "") -> str:
    """Return a page with this title as its heading."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{head}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )
