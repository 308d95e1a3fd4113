"""Where a backend keeps the credentials that it was given by signing in.

In this process's memory; on request in a 0600 file instead, which other processes of the user see as soon
as it is written. Both are good for one address only: whoever takes over a backend's name does not get
them. Without a file the memory is all there is, and is gone with the process.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import msgspec
from jupyter_core.paths import jupyter_data_dir

from jupyter_sessions.backends import files
from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.errors import InvalidRequest, Unauthorized
from jupyter_sessions.wire.files import write_private
from jupyter_sessions.wire.places import private_folder


class Kept(msgspec.Struct, frozen=True):
    """The contents of a file: credentials, and the address they are for."""

    where: str
    credentials: Credentials


class CredentialStore:
    """The credentials of one backend, by its name."""

    def __init__(self, name: str, held: Kept | None = None) -> None:
        """With `held` it holds that, and looks at no file."""
        self._name = name
        self._held = held
        self._loose = held is not None
        self._stamp: files.Stamp | None = None

    @property
    def path(self) -> Path:
        """Return the path of the file, which usually does not exist."""
        folder = Path(jupyter_data_dir()) / "jupyter_sessions" / "signed_in"
        return folder / f"{quote(self._name, safe='')}.json"

    def get(self, where: str) -> Credentials | None:
        """Return the credentials for an address, the latest of memory and file, or None.

        Errors: Unauthorized for a file that others may read, or that cannot be read.
        """
        kept = self._held
        if not self._loose and (kept is None or files.stamp(self.path) != self._stamp):
            self._held = None
            kept = self._read()
        return kept.credentials if kept is not None and kept.where == where else None

    def stamp(self) -> files.Stamp | None:
        """Return the stamp of the file, or None."""
        try:
            return files.stamp(self.path)
        except OSError:
            return None

    def remembered(self) -> bool:
        """Return whether the credentials are in the file."""
        return self._held is None and files.stamp(self.path) is not None

    def keep(self, credentials: Credentials, where: str, *, remember: bool) -> None:
        """Keep credentials in place of older ones: in the file if they are to be remembered, else in memory alone."""
        kept = Kept(where, credentials)
        if remember:
            private_folder(self.path.parent)
            write_private(self.path, msgspec.json.encode(kept))
            self._held = None
        else:
            self.path.unlink(missing_ok=True)
            self._held, self._stamp = kept, None

    def forget(self) -> None:
        """Let go of them, here and in the file. Errors: InvalidRequest for a file that cannot be removed."""
        self._held = None
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise InvalidRequest(
                f"{self.path} cannot be removed: {error.strerror}.", hint="Remove it: it holds credentials."
            ) from None

    def _read(self) -> Kept | None:
        try:
            if files.stamp(self.path) is not None and not files.is_private(self.path):
                raise Unauthorized(
                    f"The file {self.path} is not this user's alone.",
                    hint=f"`chmod 600 {self.path}`, or sign in anew.",
                )
            return files.read(self.path, _kept)
        except (OSError, ValueError):
            raise Unauthorized(f"The file {self.path} cannot be read.", hint="Sign in anew.") from None


def _kept(data: bytes) -> Kept:
    return msgspec.json.decode(data, type=Kept)
