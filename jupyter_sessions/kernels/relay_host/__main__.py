"""``python -m jupyter_sessions.kernels.relay_host``: relay notebooks until there is nothing to do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import msgspec

from jupyter_sessions.backends.relay_client import RelayContact, contact_file, relay_folder
from jupyter_sessions.kernels.relay_host.host import RelayHost
from jupyter_sessions.service import configuration
from jupyter_sessions.wire.files import remove, write_private
from jupyter_sessions.wire.identity import here, own_identity
from jupyter_sessions.wire.places import StateFolder


async def main() -> None:
    """Serve at a socket that the contact file names. Errors: OSError, SessionError."""
    folder = relay_folder()
    sockets = StateFolder(folder, here())
    run = sockets.run_folder()
    path = run / f"h{os.getpid()}"
    host = RelayHost(folder, run, configuration().owner_grace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stop.set)
    serving = asyncio.create_task(host.serve(path))
    while not path.exists() and not serving.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    contact = RelayContact(identity=own_identity(), socket=str(path))
    write_private(contact_file(folder), msgspec.json.encode(contact))
    try:
        await serving
    finally:
        remove(contact_file(folder))
        remove(path)
        await host.close()
        sockets.leave_run_folder()


if __name__ == "__main__":
    os.umask(0o077)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(asyncio.run(main()))
