"""A service of one server that no configuration names."""

from __future__ import annotations

from typing import Any

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service.registry import find_types
from jupyter_sessions.service.service import SessionService

_DIRECT = "server"


def service_at(**options: Any) -> SessionService:
    """Return a service of one server, that of the backend type to which `Session(server=…)` leads.

    Options that are None are left to the backend, which looks where it does without any configuration.
    """
    kind = next(name for name, kind in find_types().items() if kind.direct)
    given = {name: value for name, value in options.items() if value is not None}
    return SessionService(
        JupyterSessions(
            backends={_DIRECT: {"type": kind, **given}}, enabled_backends=[_DIRECT], default_backend=_DIRECT
        )
    )
