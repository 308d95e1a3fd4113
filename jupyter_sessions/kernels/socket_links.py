"""Links to the sockets of a session for each client.

jupyter_client deletes the ipc files of a kernel when it shuts the kernel down or restarts it
(`ConnectionFileMixin.cleanup_ipc_files`). So each client gets links in a folder of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from jupyter_sessions.channels.relay_addresses import CHANNELS, OWNER_CONTROL
from jupyter_sessions.model import KernelConnection


class SocketLinks:
    """Links to the sockets of one connection, created on first use and again after they were deleted."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._target = ""

    def to(self, connection: KernelConnection) -> KernelConnection:
        """Return the connection through links, or an unchanged connection that does not use ipc."""
        if connection.transport != "ipc":
            return connection
        self._target = connection.ip
        target = Path(connection.ip)
        if self._folder is None or self._folder.parent != target.parent:
            self._folder = Path(tempfile.mkdtemp(prefix="c", dir=target.parent))
        for name in connection.__struct_fields__:
            if name.endswith("_port"):
                port = getattr(connection, name)
                with suppress(FileExistsError):
                    (self._folder / f"k-{port}").symlink_to(f"{target}-{port}")
        return structs.replace(connection, ip=str(self._folder / "k"))

    def be_visitors(self) -> None:
        """Point the owner's control link to the visitors' control socket, until the links are created again."""
        if self._folder is not None:
            link = self._folder / f"k-{OWNER_CONTROL}"
            link.unlink(missing_ok=True)
            link.symlink_to(f"{self._target}-{CHANNELS['control']}")

    def close(self) -> None:
        """Remove the links."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
