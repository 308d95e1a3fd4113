"""The table of verbs and the functions that perform them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable, Callable

from jupyter_sessions.client import Api
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands import backends, history, kernels, outputs, settings, verbs
from jupyter_sessions.commands.backend_options import help_for
from jupyter_sessions.commands.result import Result
from jupyter_sessions.errors import NotSupported

Verb = Callable[[Api, Namespace, Say], Awaitable[Result]]


async def perform(api: Api, asked: Namespace, say: Say) -> Result:
    """Perform the verb that was parsed. Errors: SessionError."""
    return await VERBS[asked.verb](api, asked, say)


async def _console(api: Api, asked: Namespace, say: Say) -> Result:
    hint = f"There, type `jupyter session console {asked.session}`."
    raise NotSupported("'console' needs a terminal of its own.", hint=hint)


async def _env(api: Api, asked: Namespace, say: Say) -> Result:
    hint = 'There, type `eval "$(jupyter session env)"`: secrets do not belong into a notebook.'
    raise NotSupported("'env' is for a shell.", hint=hint)


async def _keys(api: Api, asked: Namespace, say: Say) -> Result:
    hint = f"There, type `jupyter session {asked.verb}`: secrets do not belong into a notebook."
    raise NotSupported(f"'{asked.verb}' is for a shell.", hint=hint)


VERBS: dict[str, Verb] = {
    "create": verbs.create,
    "ps": verbs.ps,
    "info": verbs.info,
    "rm": verbs.rm,
    "restart": verbs.restart,
    "renew": verbs.renew,
    "rename": verbs.rename,
    "logs": verbs.logs,
    "events": history.events,
    "output": outputs.output,
    "console": _console,
    "env": _env,
    "keys add": _keys,
    "keys list": _keys,
    "keys rm": _keys,
    "login": backends.login,
    "logout": backends.logout,
    "backend add": backends.add,
    "backend list": backends.show,
    "backend takeover": backends.take_over,
    "backend rm": backends.remove,
    "kernel add": kernels.add,
    "kernel list": kernels.show,
    "kernel rm": kernels.remove,
    "config": settings.show,
    "help": help_for,
}
