"""Where the local manager keeps its files, and how clients find them.

State lives per host in the XDG state folder if that is on a local disk (homes are shared over networks, SQLite's WAL
and locks are not), otherwise in a private folder under /var/tmp. Two containers that share a home and a host name get
a folder each (`StateFolder.secondary`). Sockets need short paths, and must survive cleaners of temporary files: they
lie in the state folder, and a link in $XDG_RUNTIME_DIR or /tmp, with a random name that nobody can create first, is
their short path. The manager restores the link when it is gone.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire.files import is_full, load, mount_of, remove, write_private
from jupyter_sessions.wire.identity import Host, Identity, here
from jupyter_sessions.wire.signing import Keypair

PROTOCOL = 1
STATE_VARIABLE = "JUPYTER_SESSIONS_STATE"
_SHORT, _ON_DISK = "/tmp", "/var/tmp"  # noqa: S108 - the owner of what we create there is checked
_LONGEST_RUN_FOLDER = 48
"""The longest run folder in bytes, so that paths of sockets in it stay under 100 bytes."""
_PREFIX = "jps-"
_LINGER = Path("/var/lib/systemd/linger")
_NETWORKED = re.compile(
    r"nfs|cifs|smb|lustre|gpfs|beegfs|ceph|afs|9p|gluster|pvfs|orangefs|weka|panfs|davfs|ncp|fuse\.(?!fuse-overlayfs)"
)


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a running manager; kept in a 0600 file because it holds a secret."""

    identity: Identity
    socket: str
    url: str
    keypair: Keypair
    version: str
    protocol: int = PROTOCOL

    @property
    def audience(self) -> str:
        """Return the audience of tokens: the manager's address and process, so tokens end with the manager."""
        who = self.identity
        return f"{self.url} {who.boot_id} {who.pid_ns} {who.pid} {who.start_time}"

    def bearer(self, keypair: Keypair | None = None) -> str:
        """Return the token of a keypair for this manager; without a keypair, of this machine's own."""
        return (keypair or self.keypair).bearer(self.audience)


class StateFolder:
    """The state folder of one manager."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.folder = folder
        self.host = host

    def __repr__(self) -> str:
        return f"StateFolder({str(self.folder)!r})"

    @property
    def contact_file(self) -> Path:
        """Return the file that says how to reach the manager."""
        return self.folder / f"jupyter_sessions-{self.host.hostname}.json"

    @property
    def live_file(self) -> Path:
        """Return the file that exists while the store holds live sessions, which need a manager."""
        return self.folder / "live"

    @property
    def secondary(self) -> StateFolder:
        """Return the state folder for a second pid namespace under the same home and host name."""
        return StateFolder(self.folder.with_name(f"{self.folder.name}.{self.host.pid_ns}"), self.host)

    def contact(self) -> Contact | None:
        """Return the running manager, or None unless the process that wrote the file is alive on this host."""
        try:
            if self.contact_file.stat().st_uid != os.getuid():
                return None
            contact = load(self.contact_file, Contact)
        except OSError:
            return None
        return contact if contact.identity.alive() else None

    def running(self) -> Contact | None:
        """Return the manager of this container, from this folder or the secondary one."""
        return self.contact() or self.secondary.contact()

    def write_contact(self, contact: Contact) -> None:
        """Publish how to reach the running manager, in one step."""
        write_private(self.contact_file, msgspec.json.encode(contact))

    @property
    def key(self) -> str:
        """Return a name for this manager's objects on the machine.

        The name is unique to the user, host, boot, container and state folder.
        """
        key = f"{self.host.hostname} {self.host.boot_id} {self.host.pid_ns} {self.folder}"
        return f"{_PREFIX}{os.getuid()}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    @property
    def run_folder_file(self) -> Path:
        """Return the file that holds the path of the run folder.

        Later managers need the path, because sessions keep their sockets there.
        """
        return self.folder / f"run_folder-{self.host.hostname}.json"

    def run_folder(self) -> Path:
        """Return the short path of the private folder for sockets on this node, created if missing.

        The path stays the same for a boot and a container, unless another user has taken it.
        """
        sockets = private_folder(private_folder(self.folder) / "sockets")
        known = self._known_run_folder()
        if known is not None:
            with suppress(SessionError, OSError):
                return _enter(Path(known.path), sockets)
        made = new_run_folder(sockets)
        note = RunFolder(path=str(made), boot_id=self.host.boot_id, pid_ns=self.host.pid_ns)
        write_private(self.run_folder_file, msgspec.json.encode(note))
        return made

    def leave_run_folder(self) -> None:
        """Remove the run folder unless sessions that go on running have sockets there."""
        if known := self._known_run_folder():
            path = Path(known.path)
            with suppress(OSError):
                (self.folder / "sockets").rmdir() if path.is_symlink() else path.rmdir()
                remove(path)

    def _known_run_folder(self) -> RunFolder | None:
        try:
            known = load(self.run_folder_file, RunFolder)
        except OSError:
            return None
        if known.boot_id != self.host.boot_id:  # Nothing listens there since the reboot.
            if Path(known.path).name.startswith(_PREFIX):
                remove(Path(known.path))
            return None
        return known if known.pid_ns == self.host.pid_ns else None


class RunFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sockets of this host are, for one boot and container."""

    path: str
    boot_id: str
    pid_ns: int


def _enter(path: Path, sockets: Path) -> Path:
    """Return a known run folder, created again if it is gone. Errors: SessionError, OSError."""
    try:
        linked = (
            path.is_symlink() and path.lstat().st_uid == os.getuid() and os.readlink(path) == str(sockets)
        )
    except FileNotFoundError:
        linked = False
    if linked:
        return path
    if not os.path.lexists(path):
        _link(path, sockets)
        return path
    return private_folder(path)


def _link(path: Path, sockets: Path) -> None:
    """Create a short path to the folder of sockets, or a folder if the state's file system cannot hold sockets.

    Errors: FileExistsError.
    """
    path.symlink_to(sockets)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(path / f"probe-{os.getpid()}"))
    except OSError:
        path.unlink()
        path.mkdir(mode=0o700)
    else:
        remove(path / f"probe-{os.getpid()}")


def new_run_folder(sockets: Path) -> Path:
    """Create a short path to the folder of sockets.

    The path lies in the user's runtime folder if that is suitable, otherwise under /tmp.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    if holds_sockets(runtime):
        base = runtime
    else:
        base = Path(_SHORT) if os.access(_SHORT, os.W_OK) else Path(tempfile.gettempdir())
    while True:
        path = base / f"{_PREFIX}{secrets.token_hex(4)}"
        try:
            _link(path, sockets)
        except FileExistsError:
            continue
        return path


def holds_sockets(runtime: Path) -> bool:
    """Return whether a runtime folder is private, local and short, and stays as long as sessions do."""
    try:
        status = runtime.lstat()
    except OSError:
        return False
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
    if not private or status.st_uid != os.getuid() or not os.access(runtime, os.W_OK):
        return False
    short = len(os.fsencode(runtime / f"{_PREFIX}01234567")) <= _LONGEST_RUN_FOLDER
    return short and is_local(runtime) and not _goes_at_logout(runtime)


def _goes_at_logout(runtime: Path) -> bool:
    """Return whether systemd removes the folder at the last logout, which sessions may outlive."""
    if runtime != Path(f"/run/user/{os.getuid()}"):
        return False
    with suppress(OSError):
        if f"user@{os.getuid()}.service" in Path("/proc/self/cgroup").read_text():
            return False  # This process and its children end at the logout as well.
    try:
        return not (_LINGER / getpass.getuser()).exists()
    except (OSError, KeyError):
        return True


def place() -> StateFolder:
    """Return the state folder of this user on this host, created if missing."""
    host = here()
    if given := os.environ.get(STATE_VARIABLE):
        return StateFolder(private_folder(Path(given)), host)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "jupyter_sessions"
    base = state if is_local(state) else _on_disk(state, host)
    return StateFolder(private_folder(private_folder(base) / host.hostname), host)


def _on_disk(state: Path, host: Host) -> Path:
    """Return a folder on this node's disk, for a home that is shared over a network.

    If another user took the usual name, the folder has a random one, which a file in the home keeps.
    """
    note = state / f"{host.hostname}.path"
    try:
        return private_folder(Path(note.read_text()))
    except (OSError, ValueError, SessionError):
        pass
    try:
        return private_folder(Path(_ON_DISK) / f"jupyter_sessions-{os.getuid()}")
    except SessionError:
        private_folder(state)
        made = Path(tempfile.mkdtemp(prefix="jupyter_sessions-", dir=_ON_DISK))
        write_private(note, os.fsencode(made))
        return made


def private_folder(path: Path) -> Path:
    """Return a folder that only this user may enter, created if missing.

    Errors: SessionError if the folder cannot be created, belongs to somebody else, or is a link, which could be a
    trap.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = f"Make room on the file system at {mount_of(path)}." if is_full(path.parent) else ""
        raise SessionError(f"The folder {path} cannot be made: {error.strerror}.", hint=hint) from error
    if sys.platform == "win32":  # There a profile's folders are the user's alone.
        return path
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        hint = "Remove it, or ask an administrator to."
        raise SessionError(f"The folder {path} is not this user's own.", hint=hint)
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def is_local(path: Path, mountinfo: str | None = None) -> bool:
    """Return False if the path lies on a network file system, as far as /proc/self/mountinfo tells."""
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text()
        except OSError:
            return True
    best, kind = "", ""
    target = str(path.resolve())
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split()[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return not _NETWORKED.search(kind)
