"""Start processes that outlive the manager, and hand on the functions for what follows."""

from __future__ import annotations

import asyncio
import errno
import marshal
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.manager.runtime import proc
from jupyter_sessions.manager.runtime.ending import (
    descendants,
    exit_status,
    expect,
    final_cpu_ms,
    kill,
    send,
    signal_group,
    stop,
    wait,
)
from jupyter_sessions.manager.runtime.helpers import HELPERS
from jupyter_sessions.manager.runtime.prestart.pool import PrestartPool
from jupyter_sessions.manager.runtime.process import Process, here, identify, readable
from jupyter_sessions.wire.files import load, read, remove, write_private

__all__ = [
    "LaunchError",
    "Process",
    "ProcessLimits",
    "check",
    "check_module",
    "descendants",
    "exit_status",
    "final_cpu_ms",
    "kill",
    "launch",
    "recover",
    "signal_group",
    "stop",
    "wait",
]

_MARSHAL = 4
"""The version of the format: another Python may read it."""
_REPORTS = ("spec.json", "process.json", "exit.json", "error")
_START_S = 60.0
_FIND_S = 10.0
_NOT_FOUND = 3
_FIND = f"import importlib.util as u, sys; sys.exit(0 if u.find_spec(sys.argv[1]) else {_NOT_FOUND})"


class LaunchError(LaunchFailed):
    """A process that could not be started; the message is a sentence with the file and the reason."""


class _GoneError(LaunchError):
    """A shim that ended before it started anything."""


class ProcessLimits(Protocol):
    """The parts of a limits group that the start of a process needs."""

    @property
    def attach(self) -> list[str]:
        """Return the files into which the process writes its pid."""

    @property
    def affinity(self) -> list[int] | None:
        """Return the CPUs that the process may run on; None for all."""

    @property
    def memory(self) -> int:
        """Return the bytes that all processes of the group may use together; 0 if unknown."""

    @property
    def oom_score_adj(self) -> int:
        """Return how strongly the kernel prefers to kill the process when memory runs out; see proc(5)."""

    def adopt(self, process: Process) -> None:
        """Register a process that runs in the group."""


async def launch(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str],
    log: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    limits_group: ProcessLimits | None = None,
    keep_fds: Sequence[int] = (),
    rlimits: Mapping[int, tuple[int, int]] | None = None,
    umask: int | None = None,
    pool: PrestartPool | None = None,
) -> Process:
    """Start a process in a limits group, and return once it runs its program.

    `env` is its whole environment, `log` the file to which its output is appended, and `folder` (created if
    missing, one per process, used again for a restart) where its shim reports. `keep_fds` stay open in the shim
    only. `rlimits` maps `resource.RLIMIT_*` to (soft, hard); `umask` is inherited if None. A kernel may come from
    the `pool`. Errors: LaunchError.
    """
    spec: dict[str, Any] = {
        "file": _program(argv[0], env),
        "argv": list(argv),
        "env": dict(env),
        "cwd": str(cwd),
        "log": str(log),
        "folder": str(folder),
        "record": _process_template(str(folder)),
        "procs": limits_group.attach if limits_group else [],
        "cpus": (limits_group.affinity or []) if limits_group else [],
        "rlimits": dict(rlimits or {}),
        "memory": limits_group.memory if limits_group else 0,
        "oom_score_adj": limits_group.oom_score_adj if limits_group else 0,
        "umask": umask,
        "keep": list(keep_fds),
    }
    try:
        _prepare_folder(Path(folder), spec["log"])
        process = await _take_prestarted(spec, pool) or await _start_shim(spec)
    except OSError as error:
        raise LaunchError(_describe_failure("start", error.errno, error.filename or str(log))) from error
    if limits_group:
        limits_group.adopt(process)
    return process


async def _take_prestarted(spec: dict[str, Any], pool: PrestartPool | None) -> Process | None:
    """Turn a prestarted interpreter into the process. Return None if there is none, or it has ended."""
    interpreter = pool.take(spec) if pool else None
    if interpreter is None:
        return None
    reader = interpreter.become(spec)
    try:
        return await _started(interpreter.shim, reader, spec["folder"])
    except _GoneError:
        return None


async def _start_shim(spec: dict[str, Any]) -> Process:
    reader, writer = os.pipe()
    try:
        shim = _spawn(spec | {"ready": writer})
    except (OSError, LaunchError):
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return await _started(shim, reader, spec["folder"])


def _program(name: str, env: Mapping[str, str]) -> str:
    if "/" in name:
        return name
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    if found is None:
        raise LaunchError(f"{name} cannot be started: no program of that name is on the PATH.")
    return found


def check(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
    """Check whether a process could be started. Errors: LaunchError."""
    program = _program(argv[0], env)
    if not os.path.exists(program):
        raise LaunchError(f"{program} no longer exists.")
    if not os.access(program, os.X_OK):
        raise LaunchError(f"{program} may not be executed.")
    if len(argv) > 1 and os.path.isabs(argv[1]) and not os.path.exists(argv[1]):
        raise LaunchError(f"{argv[1]} no longer exists.")
    if not os.path.isdir(cwd):
        raise LaunchError(f"Its working folder {cwd} no longer exists.")
    _runner(program)


def _runner(program: str) -> str:
    """Return the Python that starts a program. Errors: LaunchError if none is left."""
    try:
        return HELPERS.python(_python(program))
    except OSError as error:
        raise LaunchError(
            f"The session manager's Python {error.filename} has been removed, and no other one is left to start"
            " processes with."
        ) from error


async def check_module(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Check whether the module that a Python is to run is installed. Errors: LaunchError if it is missing."""
    if len(argv) < 3 or argv[1] != "-m" or not _python(argv[0]):
        return
    process = await asyncio.create_subprocess_exec(
        argv[0],
        "-c",
        _FIND,
        argv[2],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        status = await asyncio.wait_for(process.wait(), _FIND_S)
    except TimeoutError:
        process.kill()
        return
    if status == _NOT_FOUND:
        raise LaunchError(f"{argv[0]} has no module {argv[2]} any more.")


def _python(program: str) -> str:
    """Return a program that can run the shim as well, or ""."""
    return program if os.path.basename(program).startswith("python") else ""


def _process_template(folder: str) -> str:
    """Return the JSON of a Process as a template, which the shim fills in and writes."""
    host = here()
    tail = b'"boot_id":%s,"pid_ns":%d' % (msgspec.json.encode(host.boot_id), host.pid_ns)
    one = '{"pid":%d,"start_time":%d,' + tail.decode().replace("%", "%%") + "}"
    path = msgspec.json.encode(folder).decode().replace("%", "%%")
    return f'{{"shim":{one},"child":{one},"folder":{path}}}'


def _prepare_folder(folder: Path, log: str) -> None:
    """Create the folder for reports, and remove the reports of an earlier process."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _REPORTS:
        remove(folder / name)
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))


def _spawn(spec: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the shim, which leaves our POSIX session and inherits only the named descriptors.

    The shim reads its spec from standard input, because every user of the machine may read its command line.
    """
    command = [_runner(spec["file"]), "-I", "-S", HELPERS.program("shim.py")]
    path = Path(spec["folder"]) / "spec.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        marshal.dump(spec, file, _MARSHAL)
    with open(spec["log"], "ab") as output, open(path, "rb") as file:
        shim = subprocess.Popen(
            command,
            stdin=file,
            stdout=output,
            stderr=output,
            cwd=spec["folder"],
            pass_fds=(spec["ready"], *spec["keep"]),
            start_new_session=True,
        )
    expect(shim)
    return shim


async def _started(shim: subprocess.Popen[bytes], reader: int, folder: str) -> Process:
    """Wait for the shim's report. If the wait is cancelled, the process must not go on."""
    try:
        await asyncio.wait_for(readable(reader), _START_S)
        process = recover(folder)
        if process is None:
            raise _GoneError("The parent of the process ended early; its log may say why.")
        return process
    except BaseException as error:
        if shim.poll() is None:
            for pid in (*proc.descendants(shim.pid), shim.pid):
                send(pid, signal.SIGKILL)
        for name in ("spec.json", "process.json"):
            remove(Path(folder) / name)
        if isinstance(error, TimeoutError):
            raise LaunchError(f"The process did not start within {_START_S:.0f} s.") from error
        raise
    finally:
        os.close(reader)


def recover(folder: str | os.PathLike[str]) -> Process | None:
    """Return the process last started in a folder, alive or not, or None.

    A manager whose predecessor died during a launch needs this. Errors: those of `launch`.
    """
    path = Path(folder)
    try:
        process = load(path / "process.json", Process)
    except FileNotFoundError:
        if text := _reported_error(path / "error"):
            raise LaunchError(text) from None
        return None
    except OSError as error:
        raise LaunchError(f"The report of the started process cannot be read: {error}.") from error
    if not process.child.start_time:  # A shim without /proc does not know start times: look them up at once.
        shim, child = (identify(one.pid) or one for one in (process.shim, process.child))
        process = Process(shim, child, process.folder)
        write_private(path / "process.json", msgspec.json.encode(process))
    return process


def _reported_error(path: Path) -> str:
    """Return a shim's report of why it started nothing, in words for people, or ""."""
    with suppress(OSError, ValueError):
        step, number, name = read(path).decode(errors="surrogateescape").split("\n", 2)
        return _describe_failure(step, int(number), name)
    return ""


def _describe_failure(step: str, number: int | None, name: str) -> str:
    reason = os.strerror(number or errno.EINVAL)
    if step == "exec" and number == errno.ENOENT and os.path.exists(name):
        return f"{name} cannot be started: the interpreter in its first line does not exist."
    match step:
        case "exec":
            return f"{name} cannot be started: {reason}."
        case "cwd":
            return f"The working folder {name} cannot be entered: {reason}."
        case "cgroup":
            return f"The process cannot be put under its limits through {name}: {reason}."
        case "cpus":
            return f"The process cannot be kept on the CPUs {name}: {reason}."
        case "rlimit":
            return f"The resource limit {name} cannot be set: {reason}."
        case _:
            return f"The process cannot be started, because of {name or 'its parent'}: {reason}."
