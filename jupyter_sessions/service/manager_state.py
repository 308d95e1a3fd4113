"""What people should know of the session manager that runs on this machine."""

from __future__ import annotations

import sys

from jupyter_sessions.backends.local import Local
from jupyter_sessions.backends.local_manager import outdated
from jupyter_sessions.errors import SessionError


async def manager_text() -> str:
    """Say how the manager differs from what is configured, and what it lost; "" if there is nothing to say."""
    if sys.platform == "win32":
        return ""
    local = Local("local")
    try:
        state = await local.manager_state()
    except SessionError as error:
        return str(local.notice() or f"The session manager of this machine does not answer: {error}")
    finally:
        await local.close()
    told = (local.notice() or outdated(state), state.notice if state else "")
    return " ".join(str(one) for one in told if one)
