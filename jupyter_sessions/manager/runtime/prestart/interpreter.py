"""An interpreter started ahead of time: the kernels it can become, its imports, and its control socket."""

from __future__ import annotations

import asyncio
import json
import marshal
import os
import re
import socket
import subprocess
from collections.abc import Callable, Collection, Mapping
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
"""Variables that an interpreter, or a module imported by the kernel, reads before the first cell."""
_SEND_S = 2.0


class Kind(msgspec.Struct, frozen=True):
    """What a prestarted interpreter and a kernel must have in common. `length` is the length of the connection file's path."""

    file: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    umask: int | None
    length: int

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Kind | None:
        """Return the kind of a kernel to start, or None if it cannot be prestarted."""
        argv: list[str] = spec["argv"]
        env = {name: text for name, text in spec["env"].items() if _BEFORE_START.fullmatch(name)}
        paths = env.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in env else []
        flags = iter(argv[1:-4])
        only_flags = all(
            _FLAG.fullmatch(flag) or (flag in ("-X", "-W") and next(flags, "")) for flag in flags
        )
        plain = argv[-4:-1] == _ENDING and only_flags
        if not plain or "PYTHONINSPECT" in env or not all(os.path.isabs(path) for path in paths):
            return None
        length = len(os.fsencode(argv[-1]))
        return cls(spec["file"], tuple(argv[:-4]), tuple(sorted(env.items())), spec["umask"], length)

    def spec(self) -> dict[str, Any]:
        """Return the spec for its shim; the script is its input, and the command line has its final length."""
        length = len(b"\0".join(os.fsencode(part) for part in _ENDING)) + self.length - 1
        argv = [*self.argv, "-", "-" * length]
        return {
            "file": self.file,
            "argv": argv,
            "env": dict(self.env),
            "umask": self.umask,
            "warm": HELPERS.program("preload.py"),
        }


class Sources(msgspec.Struct, frozen=True):
    """What a prestarted interpreter imported, as preload.py reports it: files, folders and names of modules, or an error."""

    files: dict[str, int] = {}
    folders: list[str] = []
    names: set[str] = set()
    error: str = ""

    def unchanged(self) -> bool:
        """Return whether an import now would have the same result. Other files in the folders may change."""
        there = {path for folder in self.folders for path in _listed(folder) if self._matters(path)}
        known = {path for path in self.files if self._matters(path)}
        return there <= known and all(_mtime(path) == self.files[path] for path in known)

    def _matters(self, path: str) -> bool:
        name = os.path.basename(path)
        outside = os.path.dirname(path) not in self.folders
        return outside or name.endswith(".pth") or re.split("[.-]", name)[0] in self.names


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


class PrestartedInterpreter:
    """One interpreter and its shim. `on_end` is called if it ends before it is used."""

    def __init__(
        self, kind: Kind, keep: Collection[int], on_end: Callable[[PrestartedInterpreter, str], None]
    ) -> None:
        self.kind = kind
        self.sources: Sources | None = None
        self._report = b""
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
        asyncio.get_running_loop().add_reader(self._socket, self._read_report)

    @property
    def fresh(self) -> bool:
        """Whether its imports are complete and still match the installed packages."""
        return self.sources is not None and self.sources.unchanged()

    def become(self, spec: Mapping[str, Any]) -> int:
        """Turn the interpreter into the kernel of a spec. Return a descriptor that ends once the outcome is written."""
        wanted = {name: spec[name] for name in ("argv", "env", "cwd", "log")}
        asyncio.get_running_loop().remove_reader(self._socket)
        with suppress(OSError):  # An ended interpreter shows at the descriptor.
            self._send({**spec, "become": json.dumps(wanted).encode()})
        self._socket.setblocking(False)
        return self._socket.detach()

    def end(self) -> None:
        """End the interpreter; its shim does so, as it does when this process ends."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _send(self, spec: Mapping[str, Any]) -> None:
        data = marshal.dumps(dict(spec), _MARSHAL)
        self._socket.sendall(len(data).to_bytes(8, "big") + data)

    def _read_report(self) -> None:
        try:
            part = self._socket.recv(1 << 16)
        except OSError:
            part = b""
        self._report += part
        if not part:
            self.end()
            self._on_end(self, "it ended")
        elif self._report.endswith(b"\n"):
            self.sources = msgspec.json.decode(self._report, type=Sources)
            if self.sources.error:
                self.end()
                self._on_end(self, self.sources.error)
