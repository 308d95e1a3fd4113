"""The shim of a prestarted interpreter: keeps an interpreter warm until the manager says what it is to become.

Descriptor 0 is a socket to the manager, on which come two specs, marshalled, each after its length:

    file, argv, env, umask, warm    the interpreter, and the script that it reads from its input
    as for the shim                 and `become`, which is passed on to the interpreter

What the interpreter says meanwhile is passed on to the manager. If the manager ends, so do both.
"""

import marshal
import os
import select
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import shim  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_MANAGER, _CHANNEL = 0, 3


def main(keep: "list[int]") -> int:
    """Warm an interpreter up, wait, and stay with what it became."""
    shim.become_parent(_MANAGER, *keep)
    wanted = _receive(_MANAGER)
    if wanted is None:
        return 0
    child, channel = _warm(wanted)
    spec = _wait(channel)
    if spec is None:
        _end(child)
        return 0
    _log_to(spec["log"])
    error = shim.fence(spec, child) or _hand_on(spec, channel)
    if error:
        _end(child)
    return int(shim.tell(spec | {"ready": _MANAGER}, child, error) or shim.stay(spec, child))


def _receive(fd: int) -> "Any":
    """A spec; None if its sender is gone."""
    size = int.from_bytes(_read(fd, 8), "big")
    data = _read(fd, size)
    return marshal.loads(data) if size and len(data) == size else None  # noqa: S302


def _read(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(fd, size - len(data))
        if not part:
            break
        data += part
    return data


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _warm(wanted: "dict[str, Any]") -> "tuple[int, int]":
    """Start the interpreter; its pid and the channel to it."""
    import _socket

    ours, its = (one.detach() for one in _socket.socketpair())
    child = os.fork()
    if not child:
        _become(wanted, its)
    os.close(its)
    return child, ours


def _become(wanted: "dict[str, Any]", channel: int) -> "NoReturn":
    try:
        os.setsid()
        shim.default_signals()
        os.dup2(os.open(wanted["warm"], os.O_RDONLY), 0)
        if channel == _CHANNEL:
            os.set_inheritable(channel, True)
        else:
            os.dup2(channel, _CHANNEL)
        if wanted["umask"] is not None:
            os.umask(wanted["umask"])
        os.execve(wanted["file"], wanted["argv"], wanted["env"])  # noqa: S606
    finally:
        os._exit(127)


def _wait(channel: int) -> "dict[str, Any] | None":
    """What it is to become; None if it has ended, or the manager has."""
    poll = select.poll()
    for fd in (_MANAGER, channel):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == _MANAGER:
                found: dict[str, Any] | None = _receive(fd)
                return found
            said = os.read(fd, 1 << 16)
            if not said:
                return None
            _write(_MANAGER, said)


def _hand_on(spec: "dict[str, Any]", channel: int) -> str:
    """Pass `become` on; what was in the way of it, as `step, errno, path`."""
    message = len(spec["become"]).to_bytes(8, "big") + spec["become"]
    try:
        _write(channel, message)
        return _read(channel, 1 << 16).decode(errors="surrogateescape")
    except OSError as error:
        return f"start\n{error.errno or 22}\n{spec['file']}"
    finally:
        os.close(channel)


def _end(child: int) -> None:
    os.kill(child, shim.signal.SIGKILL)
    os.waitpid(child, 0)
    shim.bury()


def _log_to(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


if __name__ == "__main__":
    sys.exit(main([int(fd) for fd in sys.argv[1:]]))
