"""From what was typed to what does it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable, Callable

from jupyter_sessions.client import Api
from jupyter_sessions.commands import kernels, verbs
from jupyter_sessions.commands.result import Result
from jupyter_sessions.commands.verbs import Say
from jupyter_sessions.errors import NotSupported

Verb = Callable[[Api, Namespace, Say], Awaitable[Result]]


async def perform(api: Api, asked: Namespace, say: Say) -> Result:
    """Do what was asked. Errors: SessionError."""
    return await VERBS[asked.verb](api, asked, say)


async def _console(api: Api, asked: Namespace, say: Say) -> Result:
    hint = f"There, type `jupyter session console {asked.session}`."
    raise NotSupported("console: this needs a terminal of its own.", hint=hint)


VERBS: dict[str, Verb] = {
    "create": verbs.create,
    "ps": verbs.ps,
    "info": verbs.info,
    "rm": verbs.rm,
    "restart": verbs.restart,
    "rename": verbs.rename,
    "logs": verbs.logs,
    "console": _console,
    "kernel add": kernels.add,
    "kernel list": kernels.show,
    "kernel rm": kernels.remove,
}
