"""The parent of one process of a session: start the process, wait for it, and write its exit status to a file.

It outlives the manager; a later manager is not the parent and could not read the exit status. The shim starts fast
because it imports almost nothing (`json`, `signal` or `typing` would each double its start time), so it must not
import anything of this package. Standard input is the marshalled spec:

    file, argv, env, cwd    what to run, exactly
    folder                  the folder for `process.json`, `error`, `exit.json`
    record                  the text of process.json with placeholders for shim and child, pid and start time
    procs, cpus             cgroup files to join, CPUs to stay on
    oom_score_adj           for /proc/PID/oom_score_adj, 0 for none
    rlimits, umask          {resource number: (soft, hard)}; umask None for the shim's own
    memory                  the memory limit in bytes for libraries to read; 0 if unknown
    ready, keep             a pipe to close once the outcome is written; descriptors to hold open
"""

import _signal as signal  # type: ignore[import-not-found]
import marshal
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

PR_SET_CHILD_SUBREAPER = 36
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGQUIT)
_KILL_S = 5.0
_TRACKERS_S = 2.0
_TRACKER = b"resource_tracker import main"  # See trackers.py.
_WRITE_S = 10.0
_FULL = (28, 122, 69)
"""ENOSPC, and EDQUOT of Linux and macOS."""


def main() -> int:
    """Run the spec in the file on standard input, which is deleted at once because it holds an environment."""
    with open(0, "rb", closefd=False) as file:
        spec = marshal.load(file)  # noqa: S302
    os.unlink(os.path.join(spec["folder"], "spec.json"))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    become_parent(spec["ready"], *spec["keep"])
    child, error = _start(spec)
    return report(spec, child, error) or stay(spec, child)


def become_parent(*keep: int) -> None:
    """Outlive the manager, adopt daemons of the child, and pass no descriptor to it."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for fd in keep:
        os.set_inheritable(fd, False)
    _reaps.append(_become_subreaper())


def report(spec: "dict[str, Any]", child: int, error: str) -> int:
    """Write the outcome of the start and close `ready`. Return 1 after a failure."""
    if error:
        _write(spec["folder"], "error", error)
        return 1
    started = (os.getpid(), _start_time(os.getpid()), child, _start_time(child))
    _write(spec["folder"], "process.json", spec["record"] % started)
    os.close(spec["ready"])
    return 0


_reaps: "list[bool]" = []


def _become_subreaper() -> bool:
    """Become the parent of the child's daemons instead of init. Return False where that is not possible."""
    try:
        import _ctypes

        this_program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        prctl = _ctypes.dlsym(this_program, "prctl")
        return bool(_ctypes.call_function(prctl, (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0)
    except (ImportError, AttributeError, OSError):
        return False


def _start(spec: "dict[str, Any]") -> "tuple[int, str]":
    """Fork and exec. Return the pid, and the failure as `step, errno, path` on three lines, or ""."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _exec(spec, writer)
    os.close(writer)
    with open(reader, errors="surrogateescape") as pipe:
        error = pipe.read()
    if error:
        os.waitpid(child, 0)
    return child, error


def _exec(spec: "dict[str, Any]", errors: int) -> "NoReturn":
    """Run the spec's program in the child, or report the failure and exit."""
    try:
        os.setsid()
        default_signals()
        error = apply_limits(spec, os.getpid()) or _run(spec)
        os.write(errors, error.encode(errors="surrogateescape"))
    finally:
        os._exit(127)


def apply_limits(spec: "dict[str, Any]", pid: int) -> str:
    """Put a process with one thread under its limits. Return the failure as `step, errno, path`, or ""."""
    step, path = "cgroup", ""
    try:
        for path in spec["procs"]:
            fd = os.open(path, os.O_WRONLY)
            os.write(fd, b"%d" % pid)
            os.close(fd)
        step, path = "cpus", str(spec["cpus"])
        if spec["cpus"]:
            os.sched_setaffinity(pid, spec["cpus"])
        if spec["oom_score_adj"]:
            _set_oom_score(pid, spec["oom_score_adj"])
        step = "rlimit"
        for number, limits in spec["rlimits"].items():
            path = str(number)
            _rlimit(pid, number, limits)
        if spec["memory"]:
            _set_memory_hint(pid, spec["memory"])
    except Exception as error:
        return _failure(step, error, path)
    return ""


def _run(spec: "dict[str, Any]") -> str:
    step, path = "cwd", spec["cwd"]
    try:
        if spec["umask"] is not None:
            os.umask(spec["umask"])
        os.chdir(path)
        step, path = "exec", spec["file"]
        os.execve(path, spec["argv"], spec["env"])  # noqa: S606
    except Exception as error:
        return _failure(step, error, path)


def _failure(step: str, error: Exception, path: str) -> str:
    return f"{step}\n{getattr(error, 'errno', None) or 22}\n{path}"


def default_signals() -> None:
    """Reset ignored and blocked signals for a child that becomes another program."""
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _set_oom_score(pid: int, adjustment: int) -> None:
    """Set how readily the kernel kills the process. A failure does not prevent the start."""
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w") as file:
            file.write(str(adjustment))
    except OSError:
        pass


def _rlimit(pid: int, number: int, limits: "tuple[int, int]") -> None:
    import resource

    if pid == os.getpid():
        resource.setrlimit(number, limits)
    else:
        resource.prlimit(pid, number, limits)  # Only on Linux, like prestarted interpreters.


def _set_memory_hint(pid: int, memory: int) -> None:
    """Lower RLIMIT_RSS, which Linux does not enforce and libraries such as dask.distributed read."""
    import resource

    try:
        hard = resource.prlimit(pid, resource.RLIMIT_RSS)[1]
        if hard == resource.RLIM_INFINITY or hard > memory:
            resource.prlimit(pid, resource.RLIMIT_RSS, (memory, memory))
    except (OSError, AttributeError):  # Not permitted, or not on Linux.
        pass


def stay(spec: "dict[str, Any]", child: int) -> int:
    """Wait for the child and reap its daemons; write its exit status; end what it left behind."""
    folder = spec["folder"]
    pid, status = 0, 0
    while pid != child:
        pid, status = os.waitpid(-1, 0)
    times = os.times()
    cpu_ms = int((times.children_user + times.children_system) * 1000)
    code = os.waitstatus_to_exitcode(status)
    try:
        _write(folder, "exit.json", f'{{"pid":{child},"status":{code},"cpu_ms":{cpu_ms}}}')
    finally:
        if not any(_reaps):  # A subreaper ends them later, so that resource trackers can clean up.
            try:  # noqa: SIM105
                os.killpg(child, signal.SIGKILL)
            except OSError:
                pass
        kill_descendants(_managers_inside(folder), _TRACKERS_S)
    return 0


def kill_descendants(spared: "tuple[int, ...]" = (), trackers: float = 0.0) -> None:
    """Kill all descendants except `spared`; the orphans of a killed process become children of the shim.

    Resource trackers are spared for `trackers` seconds.
    """
    start = time.monotonic()
    while time.monotonic() < start + _KILL_S:
        late = time.monotonic() >= start + trackers
        doomed = [pid for pid in _children() if pid not in spared]
        if spared and not doomed:
            return
        for pid in doomed:
            if not late and _is_tracker(pid):
                continue
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _managers_inside(folder: str) -> "tuple[int, ...]":
    """Return the manager's pid if the manager was started in this session, as other sessions need it."""
    found = []
    for _ in range(4):
        folder = os.path.dirname(folder)
        try:
            names = [name for name in os.listdir(folder) if name.startswith("jupyter_sessions-")]
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    text = file.read(1000)
                pid, start_time = (
                    int(text.split(f'"{key}":')[1].split(",")[0]) for key in ("pid", "start_time")
                )
                if pid and _start_time(pid) == start_time:
                    found.append(pid)
        except (OSError, ValueError, IndexError):
            continue
    return tuple(found)


def _is_tracker(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return _TRACKER in file.read()
    except OSError:
        return False


def _children() -> "list[int]":
    me = os.getpid()
    try:
        with open(f"/proc/self/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        pids = os.listdir("/proc") if os.path.isdir("/proc") else []
        return [int(pid) for pid in pids if pid.isdigit() and _field(int(pid), 1) == me]


def _start_time(pid: int) -> int:
    return _field(pid, 19)


def _field(pid: int, number: int) -> int:
    """Return a number of /proc/PID/stat, counted from the state, or 0."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[number])
    except OSError:
        return 0


def _write(folder: str, name: str, text: str) -> None:
    """Write a file atomically. On a full disk, keep trying for some time."""
    path = os.path.join(folder, name)
    end = time.monotonic() + _WRITE_S
    while True:
        try:
            with open(f"{path}.new", "w", errors="surrogateescape") as file:
                file.write(text)
            return os.replace(f"{path}.new", path)
        except OSError as error:
            if error.errno not in _FULL or time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
