"""Run by a kernel's interpreter from standard input: import what a kernel needs, wait, and become a kernel.

It runs in the kernel's environment, so it must not import this package, nor leave anything that user code can see.
Descriptor 3 is the channel to the parent (prestart_shim.py). The interpreter writes, as JSON, what its imports depend
on, or `{"error": why}`, and then reads, after its length, what to become:

    files, folders, names   {path: mtime in ns}, folders of modules, first names of imported modules

    argv, env, cwd, log     as for a normal start; argv begins like this process's own
"""

import contextlib
import json
import os
import runpy
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_CHANNEL = 3
_FIRST = ("ipykernel.kernelapp", "ipykernel.ipkernel")
_LATER = (  # What ipykernel 7 and IPython 9 import when a kernel starts.
    "faulthandler",
    "resource",
    "sqlite3",
    "encodings.idna",
    "tornado.platform.asyncio",
    "tornado.queues",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "ipykernel.debugger",
)


def main() -> None:
    """Import, wait for the request, and become a kernel; otherwise exit."""
    if sys.path[:1] == [""]:
        del sys.path[0]  # As ipykernel_launcher does.
    before = dict(os.environ)
    _send(_import_all())
    added = {name: text for name, text in os.environ.items() if before.get(name) != text}
    wanted = _receive()
    wanted["env"].update(added)  # Imported modules may set variables, too.
    try:
        _become(**wanted)
    except BaseException as error:
        path = getattr(error, "filename", None) or ""
        step = "cwd" if path == wanted["cwd"] else "start"
        text = f"{step}\n{getattr(error, 'errno', None) or 22}\n{path}"
        os.write(_CHANNEL, text.encode(errors="surrogateescape"))
        os._exit(127)
    os.close(_CHANNEL)


def _import_all() -> "dict[str, Any]":
    files = dict(_files())
    failed: list[str] = []
    # Only a thread can have a low priority for a while, and nobody waits for this.
    worker = threading.Thread(target=_import, args=(failed,), name="warm")
    worker.start()
    worker.join()
    if failed or _own_argv() is None:
        return {"error": failed[0] if failed else "the command line cannot be set"}
    return {
        "files": files,
        "folders": sys.path,
        "names": sorted({name.partition(".")[0] for name in sys.modules}),
    }


def _import(failed: "list[str]") -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        for name in _FIRST:
            __import__(name)
    except Exception as error:
        failed.append(f"{type(error).__name__}: {error}")
    for name in _LATER:
        with contextlib.suppress(Exception):  # Another version may have no such thing.
            __import__(name)


def _files() -> "Iterator[tuple[str, int]]":
    """Yield the interpreter and all files in the folders that it imports from, with their times of change."""
    for path in (sys.executable, os.path.join(sys.prefix, "pyvenv.cfg"), *sys.path):
        try:
            if os.path.isdir(path):
                yield from ((entry.path, entry.stat().st_mtime_ns) for entry in os.scandir(path))
            else:
                yield path, os.stat(path).st_mtime_ns
        except OSError:
            continue


def _send(report: "dict[str, Any]") -> None:
    data = json.dumps(report).encode() + b"\n"
    while data:
        data = data[os.write(_CHANNEL, data) :]


def _receive() -> "Any":
    """Read what to become, and exit if the parent is gone."""
    data = b""
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        part = os.read(_CHANNEL, 1 << 16)
        if not part:
            os._exit(0)
        data += part
    return json.loads(data[8:])


def _become(argv: "list[str]", env: "dict[str, str]", cwd: str, log: str) -> None:
    os.chdir(cwd)
    for path, flags, targets in ((os.devnull, os.O_RDWR, (0,)), (log, os.O_WRONLY | os.O_APPEND, (1, 2))):
        fd = os.open(path, flags)
        for target in targets:
            os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(env)
    _set_argv(argv)
    sys.orig_argv = argv
    sys.argv = ["-m", *argv[argv.index("-m") + 2 :]]


def _own_argv() -> "tuple[int, bytes] | None":
    """Return the address and the bytes of this process's command line, or None if they cannot be found."""
    try:
        with open("/proc/self/stat", "rb") as file:
            start = int(file.read().rpartition(b")")[2].split()[45])
        with open("/proc/self/cmdline", "rb") as file:
            shown = file.read()
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(start)
            return (start, shown) if memory.read(len(shown)) == shown else None
    except (OSError, ValueError, IndexError):
        return None


def _set_argv(argv: "list[str]") -> None:
    """Replace the command line that other programs see by one of the same length."""
    start, shown = _own_argv() or (0, b"")
    wanted = b"".join(os.fsencode(part) + b"\0" for part in argv)
    if len(wanted) != len(shown):
        raise ValueError("a command line of another length")
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(wanted)


main()
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
