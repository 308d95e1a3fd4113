"""Find out who holds the other end of a TCP connection on this machine, before a byte is sent.

Any local user may bind a loopback port first, or take it over when a program ends, so a port number says
nothing about who answers. The kernel does: each socket has an inode, and the processes that hold it list it among
their descriptors. A connection has none (inode 0) until the other end calls accept(), and up to Linux 6.16 its owner
reads as root until then; so only what the kernel shows afterwards counts. A listener with TCP_DEFER_ACCEPT accepts
nothing before the first byte: its connection stays half open, and the kernel shows the listener's user for it.

Sources: proc_pid_net(5), proc_pid_fd(5), tcp(7); sock_graft, sock_i_ino, get_openreq4 in Linux 5.15 and 6.18.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil

from jupyter_sessions.wire.identity import LINUX

Address = tuple[str, int]
Pids = Callable[[], Iterable[int]]

_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
_ESTABLISHED, _HALF_OPEN, _LISTEN = "01", "03", "0A"
_PAUSE_SECONDS, _LONGEST_PAUSE = 0.001, 0.1
_LOOKS = 3


class TcpSocket(NamedTuple):
    """A TCP socket of this machine; `inode` is 0 until its connection is accepted, and after it is closed."""

    local: Address
    remote: Address
    state: str
    uid: int
    inode: int

    @property
    def listens(self) -> bool:
        """Return whether the socket waits for connections."""
        return self.state == _LISTEN

    @property
    def waits(self) -> bool:
        """Return whether the socket is a connection that nobody has accepted yet."""
        return not self.inode and self.state in (_ESTABLISHED, _HALF_OPEN)

    @property
    def deferred(self) -> bool:
        """Return whether the connection waits at a listener of this user that may want a byte first."""
        return self.state == _HALF_OPEN and self.uid == os.geteuid()


async def check_peer(connection: socket.socket, pids: Pids, seconds: float | None = None) -> None:
    """Wait until one of these processes has accepted a connection; nothing must be sent before.

    `connection` leads to an address of this machine. `pids` returns the processes that may hold the other end, and is
    called repeatedly because they fork. Waits `seconds` at most, or without limit if None.
    Errors: Stranger if somebody else accepted the connection, TimeoutError, OSError if the connection is gone.
    """
    local, remote = _address(connection.getsockname()), _address(connection.getpeername())
    await check_addresses(local, remote, pids, seconds)


async def check_addresses(local: Address, remote: Address, pids: Pids, seconds: float | None = None) -> None:
    """Do the same as `check_peer` for a connection given by its two addresses, such as one made by libzmq."""
    pause = _PAUSE_SECONDS
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(accepted_by, local, remote, pids):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def accepted_by(local: Address, remote: Address, pids: Pids) -> bool:
    """Return whether one of these processes holds the other end; False while nobody has accepted the connection.

    `local` and `remote` are addresses as seen from this end. Errors: Stranger if somebody else holds the other end,
    or nobody does any longer.
    """
    if not LINUX:
        return any(mine == remote and theirs == local for mine, theirs, _ in _connections(pids()))
    for _ in range(_LOOKS):  # A process that forked and closed its copy meanwhile is missed by one look.
        ends = (one for one in tcp_sockets() if one.local == remote and one.remote == local)
        other = next(ends, None)
        if other is None or not (other.inode or other.waits):
            raise ConnectionAbortedError("The connection has been closed by its other end.")
        if other.waits:
            return other.deferred
        if any(other.inode in _inodes([pid]) for pid in pids()):
            return True
    raise ConnectionAbortedError(f"Port {remote[1]} is served by a program that is not of this session.")


def listening_address(port: int, pids: Iterable[int]) -> str | None:
    """Return the address at which one of these processes listens on a port, or None.

    The address can be connected to: a wildcard becomes the loopback address.
    """
    if not LINUX:
        for (host, number), _, status in _connections(pids):
            if status == psutil.CONN_LISTEN and number == port:
                return _reachable(host)
        return None
    found = [one for one in tcp_sockets() if one.listens and one.local[1] == port and one.inode]
    if not found:
        return None
    held = _inodes(pids)
    return next((_reachable(one.local[0]) for one in found if one.inode in held), None)


def tcp_sockets() -> Iterator[TcpSocket]:
    """Yield all TCP sockets of this network namespace. IPv4 in IPv6 becomes IPv4."""
    for table in _TABLES:
        with suppress(OSError), open(table) as file:
            next(file, None)
            for line in file:
                field = line.split()
                yield TcpSocket(_parse(field[1]), _parse(field[2]), field[3], int(field[7]), int(field[9]))


def _inodes(pids: Iterable[int]) -> set[int]:
    """Return the inodes of all sockets that processes hold."""
    found: set[int] = set()
    for pid in pids:
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
            for one in descriptors:
                with suppress(OSError):
                    kind, _, number = os.readlink(one.path).partition(":[")
                    if kind == "socket":
                        found.add(int(number.rstrip("]")))
    return found


def _parse(text: str) -> Address:
    """Parse an address in the form of /proc/net/tcp: words of 32 bits in the machine's byte order."""
    host, _, port = text.partition(":")
    words = (int(host[start : start + 8], 16) for start in range(0, len(host), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return _plain(ipaddress.ip_address(packed)), int(port, 16)


def _plain(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    return _plain(ipaddress.ip_address(name[0].partition("%")[0])), name[1]


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _connections(pids: Iterable[int]) -> Iterator[tuple[Address, Address | None, str]]:
    for pid in pids:
        with suppress(psutil.Error):
            for one in psutil.Process(pid).net_connections(kind="tcp"):
                remote = _address((one.raddr.ip, one.raddr.port)) if one.raddr else None
                yield _address((one.laddr.ip, one.laddr.port)), remote, one.status
