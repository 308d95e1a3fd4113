"""The parts of Backend.AI's API that this manager does not have: each is refused with a reason.

Source of the paths: managers 23.09 to 26.8, as far as the clients' commands use them.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions.errors import NotSupported

_TEMPLATES = "There are no session templates here: keep the request itself, or a preset of jupyter_sessions."
_FOLDERS = "Folders are configured here: `folders` in jupyter_sessions_config.py."
_SIGN_IN = "There are no passwords here: `jupyter session keys add` creates a key."
_IMAGES = "Images are this machine's Jupyter kernels: `jupyter kernelspec` and `conda` add them."
_SERVICES = "There are no model services here: start a session and use its apps."
_SETTINGS = "This manager is configured in jupyter_sessions_config.py."
_SECTIONS = "This machine is one resource group, which cannot be changed."

_COMMITS = "There are no container images here: download the files that you want to keep."
_REQUESTS = "Put everything that the session needs into the create request itself."

REASONS = {
    "/session/{ref}/commit": _COMMITS,
    "/session/{ref}/imagify": _COMMITS,
    "/session/{ref}/abusing-report": "There are no abuse reports here: the list of sessions shows their state.",
    "/session/{ref}/direct-access-info": "Services listen on private sockets here: use the proxy of apps.",
    "/session/_/create-from-template": _REQUESTS,
    "/session/_/create-cluster": _REQUESTS,
    "/session/_/logs": "Containers have no logs of their own here: request the session's logs.",
    "/events/background-task": "Nothing runs in the background of this manager.",
    "/template/{path:.*}": _TEMPLATES,
    "/folders": _FOLDERS,
    "/folders/{path:.*}": _FOLDERS,
    "/auth/{path:.*}": _SIGN_IN,
    "/image/{path:.*}": _IMAGES,
    "/services": _SERVICES,
    "/services/{path:.*}": _SERVICES,
    "/config/{path:.*}": _SETTINGS,
    "/user-config/{path:.*}": _SETTINGS,
    "/domain-config/{path:.*}": _SETTINGS,
    "/group-config/{path:.*}": _SETTINGS,
    "/manager/{path:.*}": _SETTINGS,
    "/resource/{path:.*}": "This manager keeps no statistics of past use.",
    "/scaling-groups/{path:.*}": _SECTIONS,
    "/acl": _SECTIONS,
}


def because(reason: str) -> Handler:
    """Return a handler that always refuses with NotSupported."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise NotSupported(f"This manager does not support {request.method} {request.path}.", hint=reason)

    return refuse
