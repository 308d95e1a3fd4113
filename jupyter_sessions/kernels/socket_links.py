"""A client's own paths to the sockets of a session.

jupyter_client deletes the ipc files it was given when it shuts a kernel down or restarts it
(`ConnectionFileMixin.cleanup_ipc_files`), so each client gets links in a folder of its own.
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
    """Links to the sockets of one connection, made on first use and again whenever they are gone."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._target = ""

    def to(self, connection: KernelConnection) -> KernelConnection:
        """The same connection through links; one that is not by ipc is given as it is."""
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
        """Let the owner's control lead to that of visitors, until there are links anew."""
        if self._folder is not None:
            link = self._folder / f"k-{OWNER_CONTROL}"
            link.unlink(missing_ok=True)
            link.symlink_to(f"{self._target}-{CHANNELS['control']}")

    def close(self) -> None:
        """Remove them."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
