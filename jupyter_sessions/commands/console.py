"""The verb `console`: Jupyter's console on a session's kernel."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import NotSupported
from jupyter_sessions.wire.files import write_private


async def console(api: Api, asked: Namespace, face: Face) -> Result:
    """Run Jupyter's console on a session. Errors: NotSupported outside of shells, or if it is not installed."""
    if not face.in_shell:
        hint = f"There, type `jupyter session console {asked.session}`."
        raise NotSupported("'console' needs a terminal of its own.", hint=hint)
    if importlib.util.find_spec("jupyter_console") is None:
        raise NotSupported("The console is not installed.", hint="`pip install jupyter-console` does that.")
    row = await api.find(asked.session)
    connection = await api.connection(row.backend, row.id)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{row.name}.json"
        write_private(file, msgspec.json.encode(connection))

        async def interrupt() -> None:
            await api.interrupt(row.backend, row.id)

        # The console itself can only say that it does not interrupt a kernel that it has not started.
        with face.interrupting(interrupt, again=True):
            command = [sys.executable, "-m", "jupyter_console", "--existing", str(file)]
            process = await asyncio.create_subprocess_exec(*command, env=dict(os.environ))
            return Nothing(exit_code=await process.wait())


VERBS = (
    Verb(
        "console",
        "open a console (in a shell)",
        "Open a console in a session, from a terminal. The session goes on when you leave.",
        options.session,
        console,
    ),
)
