"""The kernel API, the predecessor of the session API. Source: seed 001.

Only creating differs: the rest is the session API with the status codes of v5 (see `versions.is_kernel`).
"""

from __future__ import annotations

import secrets

from aiohttp import web

from jupyter_sessions.manager.api.request import NAMES
from jupyter_sessions.manager.api.session import answer, make, spec_of
from jupyter_sessions.manager.api.versions import REUSED


async def create(request: web.Request) -> web.Response:
    """Answer POST /kernel, like POST /session; `kernelId` is the name, generated if the request has none."""
    body = await spec_of(request)
    if not any(body.get(name) for name in NAMES):
        body["clientSessionToken"] = f"kernel-{secrets.token_hex(8)}"
    made = await make(request, body)
    return answer({"kernelId": made.record.name} | made.body(), 201 if made.created else REUSED.of(request))
