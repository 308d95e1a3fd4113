"""The shim of a prestarted interpreter: start it, and keep it until the manager says which kernel it becomes.

Descriptor 0 is a socket to the manager, which sends two marshalled specs, each after its length:

    file, argv, env, umask, warm    the interpreter, and the script that it reads from its input
    the fields of shim.py           and `become`, which is forwarded to the interpreter

Messages of the interpreter are forwarded to the manager. If the manager ends, both end.
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
    """Start an interpreter, wait for the manager, and stay as the parent of the kernel."""
    shim.become_parent(_MANAGER, *keep)
    wanted = _receive(_MANAGER)
    if wanted is None:
        return 0
    child, channel = _start_interpreter(wanted)
    spec = _wait(channel)
    if spec is None:
        _kill(child)
        return 0
    _redirect_output(spec["log"])
    error = shim.apply_limits(spec, child) or _send_request(spec, channel)
    if error:
        _kill(child)
    return int(shim.report(spec | {"ready": _MANAGER}, child, error) or shim.stay(spec, child))


def _receive(fd: int) -> "Any":
    """Read a spec, or return None if the sender is gone."""
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


def _start_interpreter(wanted: "dict[str, Any]") -> "tuple[int, int]":
    """Start the interpreter. Return its pid and the channel to it."""
    import _socket

    ours, its = (one.detach() for one in _socket.socketpair())
    child = os.fork()
    if not child:
        _exec(wanted, its)
    os.close(its)
    return child, ours


def _exec(wanted: "dict[str, Any]", channel: int) -> "NoReturn":
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
    """Wait for the second spec. Return None if the interpreter or the manager has ended."""
    poll = select.poll()
    for fd in (_MANAGER, channel):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == _MANAGER:
                found: dict[str, Any] | None = _receive(fd)
                return found
            output = os.read(fd, 1 << 16)
            if not output:
                return None
            _write(_MANAGER, output)


def _send_request(spec: "dict[str, Any]", channel: int) -> str:
    """Send `become` to the interpreter. Return its failure as `step, errno, path`, or ""."""
    message = len(spec["become"]).to_bytes(8, "big") + spec["become"]
    try:
        _write(channel, message)
        return _read(channel, 1 << 16).decode(errors="surrogateescape")
    except OSError as error:
        return f"start\n{error.errno or 22}\n{spec['file']}"
    finally:
        os.close(channel)


def _kill(child: int) -> None:
    os.kill(child, shim.signal.SIGKILL)
    os.waitpid(child, 0)
    shim.kill_descendants()


def _redirect_output(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


if __name__ == "__main__":
    sys.exit(main([int(fd) for fd in sys.argv[1:]]))
