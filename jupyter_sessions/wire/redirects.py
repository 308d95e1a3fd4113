"""Refuse redirects, also in WebSocket handshakes: aiohttp follows those with the headers of the request.

Those headers hold tokens and signatures, which are only for the server that was asked.
"""

from __future__ import annotations

import aiohttp


def refuse_redirects() -> aiohttp.TraceConfig:
    """Return a trace that makes each redirect an `aiohttp.TooManyRedirects`: aiohttp has no option for handshakes."""

    async def refuse(_: object, __: object, params: aiohttp.TraceRequestRedirectParams) -> None:
        raise aiohttp.TooManyRedirects(params.response.request_info, (params.response,))

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
