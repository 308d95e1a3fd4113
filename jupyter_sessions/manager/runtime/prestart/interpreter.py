"""One interpreter started ahead of time: what it can become, what it has imported, how it is told."""

from __future__ import annotations

import asyncio
import json
import marshal
import os
import re
import socket
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_sessions.manager.runtime.ending import expect
from jupyter_sessions.manager.runtime.helpers import HELPERS

_MARSHAL = 4
"""The version of the format: another Python may read it."""
_ENDING = ["-m", "ipykernel_launcher", "-f"]
_FLAG = re.compile(r"-([bBdEIOPqRsSuv]+|[XW].+)")
_BEFORE_START = re.compile(
    r"PYTHON.*|LD_.*|DYLD_.*|LC_.*|LANG(UAGE)?|MALLOC_.*|GLIBC_.*|TZ|HOME|USER|LOGNAME|PATH|TERM|NO_COLOR"
    r"|COLORTERM|FORCE_COLOR|TMPDIR|TEMP|TMP|XDG_.*|JUPYTER_.*|IPYTHON.*|IPYKERNEL.*|JPY_(?!SESSION_NAME$).*"
    r"|VIRTUAL_ENV|CONDA_PREFIX|PYZMQ_.*|ZMQ_.*|TORNADO_.*|TRAITLETS_.*|_PYTHON_.*|.*PYDEV.*|DEBUGPY_.*"
    r"|PYCHARM_.*|PATHS_FROM_.*|GEVENT_.*|DISPLAY|IN_SPHINX_RUN|ANDROID_DATA|OPENSSL_.*|SSL_.*"
)
"""Variables that an interpreter, or what a kernel imports, reads before it runs a cell."""
_SEND_S = 2.0


class Kind(msgspec.Struct, frozen=True):
    """What must be the same for a prestarted interpreter to become a kernel. `length` is that of the connection file's path."""

    file: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    umask: int | None
    length: int

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Kind | None:
        """That of what is to be started; None for what cannot be kept ready."""
        argv: list[str] = spec["argv"]
        env = {name: text for name, text in spec["env"].items() if _BEFORE_START.fullmatch(name)}
        paths = env.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in env else []
        plain = argv[-4:-1] == _ENDING and _only_flags(argv[1:-4])
        if not plain or "PYTHONINSPECT" in env or not all(os.path.isabs(path) for path in paths):
            return None
        length = len(os.fsencode(argv[-1]))
        return cls(spec["file"], tuple(argv[:-4]), tuple(sorted(env.items())), spec["umask"], length)

    def spec(self) -> dict[str, Any]:
        """What its shim starts: the script is its input, and the command line as long as it will be."""
        length = len(b"\0".join(os.fsencode(part) for part in _ENDING)) + self.length - 1
        argv = [*self.argv, "-", "-" * length]
        return {
            "file": self.file,
            "argv": argv,
            "env": dict(self.env),
            "umask": self.umask,
            "warm": HELPERS.program("preload.py"),
        }


def _only_flags(argv: Sequence[str]) -> bool:
    """Whether the interpreter's arguments are such that change what it runs in no way."""
    flags = iter(argv)
    return all(_FLAG.fullmatch(flag) or (flag in ("-X", "-W") and next(flags, "")) for flag in flags)


class Sources(msgspec.Struct, frozen=True):
    """What a prestarted interpreter imported, as preload.py tells: all files there were, folders, names of modules; or an error."""

    files: dict[str, int] = {}
    folders: list[str] = []
    names: set[str] = set()
    error: str = ""

    def unchanged(self) -> bool:
        """Whether the same would be imported now. What else lies in those folders may change."""
        there = {path for folder in self.folders for path in _listed(folder) if self._matters(path)}
        known = {path for path in self.files if self._matters(path)}
        return there <= known and all(_changed(path) == self.files[path] for path in known)

    def _matters(self, path: str) -> bool:
        name = os.path.basename(path)
        outside = os.path.dirname(path) not in self.folders
        return outside or name.endswith(".pth") or re.split("[.-]", name)[0] in self.names


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


class PrestartedInterpreter:
    """One interpreter and its shim. `on_end` is called when it has ended without having been used."""

    def __init__(
        self, kind: Kind, keep: Collection[int], on_end: Callable[[PrestartedInterpreter, str], None]
    ) -> None:
        self.kind = kind
        self.sources: Sources | None = None
        self._said = b""
        self._on_end = on_end
        self._socket, its = socket.socketpair()
        self._socket.settimeout(_SEND_S)
        with its:
            self.shim = subprocess.Popen(
                [HELPERS.python(kind.file), "-I", "-S", HELPERS.program("prestart_shim.py"), *map(str, keep)],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                pass_fds=keep,
                start_new_session=True,
            )
        expect(self.shim)
        self._send(kind.spec())
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    @property
    def fresh(self) -> bool:
        """Whether it is warm, and what it has imported is still what is installed."""
        return self.sources is not None and self.sources.unchanged()

    def become(self, spec: Mapping[str, Any]) -> int:
        """Make it what the spec says. A descriptor that ends when the outcome is written; ours to close."""
        wanted = {name: spec[name] for name in ("argv", "env", "cwd", "log")}
        asyncio.get_running_loop().remove_reader(self._socket)
        with suppress(OSError):  # Then it is gone, which shows.
            self._send({**spec, "become": json.dumps(wanted).encode()})
        self._socket.setblocking(False)
        return self._socket.detach()

    def end(self) -> None:
        """End it; its shim does so, as it does when this process is gone."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _send(self, spec: Mapping[str, Any]) -> None:
        data = marshal.dumps(dict(spec), _MARSHAL)
        self._socket.sendall(len(data).to_bytes(8, "big") + data)

    def _hear(self) -> None:
        try:
            part = self._socket.recv(1 << 16)
        except OSError:
            part = b""
        self._said += part
        if not part:
            self.end()
            self._on_end(self, "it ended")
        elif self._said.endswith(b"\n"):
            self.sources = msgspec.json.decode(self._said, type=Sources)
            if self.sources.error:
                self.end()
                self._on_end(self, self.sources.error)
