"""The page that opens a service in browsers that do not mark navigations.

Over plain HTTP, to a host that is not this machine, browsers send no `Sec-Fetch-*` headers: a `fetch()` of another
person's page looks like a navigation, and could read the key from the address of a redirect. This page does not
hold the key. The key is in a cookie that scripts can read on pages below the service's own path only, and a script
goes to the address with the key. JupyterHub hands out its XSRF tokens in the same way.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from jupyter_sessions.wire.proxy.credentials import KEY_COOKIE

from . import pages

COOKIE_SECONDS = 60
"""The lifetime of the cookie, which the script reads at once."""

_SCRIPT = f"""
const {{ before, after }} = document.currentScript.dataset;
const found = document.cookie.match(/(?:^|; ){KEY_COOKIE}=([A-Za-z0-9_-]{{22}})(?:;|$)/);
if (found) {{
  location.replace(`${{before}}~${{found[1]}}/${{after}}${{location.hash}}`);
}} else {{
  document.getElementById('needs').hidden = false;
}}
"""
_NEEDS = "This page needs JavaScript and cookies. Allow both for this site, then load the page again."
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

POLICY = f"{pages.policy(framed=False)}; script-src 'sha256-{_HASH}'"
"""The Content-Security-Policy of the page."""


def draw(before: str, after: str) -> str:
    """Return the page that opens `before`, the key and `after`: parts of a URL path, `after` with a query."""
    needs = escape(_NEEDS)
    script = f'<script data-before="{escape(before)}" data-after="{escape(after)}">{_SCRIPT}</script>'
    hidden = f"<p id=needs role=alert hidden>{needs}</p>"
    return pages.page("Opening the service", f"<noscript><p>{needs}</p></noscript>{hidden}{script}")
