"""Who is asking: the defence against other sites that use a person's cookies.

A service runs without a token and without an XSRF check of its own, and its pages know nothing of
the server's XSRF cookie. What the browser itself says about a request, `Origin` and the
`Sec-Fetch-*` headers of the W3C's Fetch Metadata, therefore decides here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """What is known about the sender of a request.

    `headers` is case-insensitive. `by_token` says that a token in the Authorization header, not a
    cookie, is what let the request in; `listed` that the server's configuration lets its origin in.
    """

    headers: Mapping[str, str]
    by_token: bool = False
    listed: bool = False

    @property
    def origin(self) -> str:
        """The Origin header, lower case; empty if there is none."""
        return self.headers.get("Origin", "").lower()

    @property
    def site(self) -> str:
        """The Sec-Fetch-Site header; empty if there is none."""
        return self.headers.get("Sec-Fetch-Site", "").lower()

    def is_here(self, url: str) -> bool:
        """Whether a URL or origin has the host and port that this request was sent to."""
        try:
            there = urlsplit(url).netloc.lower()
        except ValueError:
            return False
        return bool(there) and there == self.headers.get("Host", "").lower()

    def came_from_elsewhere(self) -> bool:
        """Whether the Referer header names another host."""
        referer = self.headers.get("Referer")
        return bool(referer) and not self.is_here(referer or "")


def why_not_act(caller: Caller) -> str | None:
    """Why a request that may change something, or a WebSocket, is refused; None lets it pass."""
    if caller.listed:
        return None
    if caller.site not in ("", "same-origin", "none"):
        return f"A page of another site sent this (Sec-Fetch-Site: {caller.site})."
    if caller.origin:
        return _why_not_origin(caller)
    if caller.came_from_elsewhere():
        return "A page of another site sent this, says its Referer."
    if caller.site or caller.by_token:
        return None
    return "It cannot be seen which page sent this: no Origin and no Sec-Fetch-Site."


def _why_not_origin(caller: Caller) -> str | None:
    # A same-origin form under "Referrer-Policy: no-referrer" sends "null"; a sandboxed frame also
    # sends "null", but for that one browsers say "cross-site".
    blank = caller.origin == "null" and caller.site == "same-origin"
    if blank or caller.is_here(caller.origin):
        return None
    return f"A page of another origin sent this ({caller.origin})."


def why_not_read(caller: Caller) -> str | None:
    """Why a safe request is refused: another site embeds the answer; None lets it pass.

    Following a link from another site is allowed, as it is for any page.
    """
    if caller.by_token or caller.listed or caller.site in ("same-origin", "none"):
        return None
    if caller.site:
        follows = caller.headers.get("Sec-Fetch-Mode") == "navigate"
        return None if follows else "A page of another site embeds or reads this."
    if caller.origin and not caller.is_here(caller.origin):
        return "A page of another origin reads this."
    if caller.came_from_elsewhere() and "text/html" not in caller.headers.get("Accept", ""):
        return "A page of another site embeds this, says its Referer."
    return None
