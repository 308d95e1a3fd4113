"""Kernels from the prestart pool are those one would have got without it, only sooner."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from jupyter_client.blocking.client import BlockingKernelClient

from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.manager.runtime import ending
from jupyter_sessions.manager.runtime.helpers import HELPERS
from jupyter_sessions.manager.runtime.launch import (
    LaunchError,
    Process,
    exit_status,
    launch,
    signal_group,
    wait,
)
from jupyter_sessions.manager.runtime.limits import choose
from jupyter_sessions.manager.runtime.prestart import interpreter, pool
from jupyter_sessions.manager.runtime.prestart.interpreter import Kind
from jupyter_sessions.manager.runtime.prestart.pool import PrestartPool

# Whatever user code could look at; what is another in each process comes last.
LOOK = r"""
import _thread, atexit, gc, json, logging, os, random, resource, signal, sys, threading, uuid, warnings
def status(*names):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    return [lines[name].strip() for name in names]
def fds():
    found = []
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return sorted(path for path in found if path.startswith("/") and not path.endswith("-journal"))  # comes and goes
main = sys.modules["__main__"]
same = {
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "flags": list(sys.flags),
    "executable": sys.executable, "prefix": sys.prefix, "modules": sorted(sys.modules),
    "main": [main.__name__, main.__doc__, getattr(main, "__file__", None), sorted(vars(main))],
    "environ": dict(os.environ), "putenv": os.popen("env | sort | grep -v ^_=").read(), "cwd": os.getcwd(),
    "umask": status("Umask"), "masks": status("SigBlk", "SigIgn", "SigCgt"), "no_new_privs": status("NoNewPrivs"),
    "handlers": [re for number in signal.valid_signals() if (re := str(signal.getsignal(number)).partition(" at ")[0])],
    "threads": [thread.name for thread in threading.enumerate()], "new_thread": threading.Thread().name,
    "main_thread": threading.current_thread() is threading.main_thread(), "cpus": sorted(os.sched_getaffinity(0)),
    "policy": [os.sched_getscheduler(0), os.nice(0)], "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "cmdline": open("/proc/self/cmdline").read(), "exe": os.readlink("/proc/self/exe"), "comm": open("/proc/self/comm").read(),
    "leader": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()], "fds": fds(),
    "filters": [str(one) for one in warnings.filters], "log": [str(type(one)) for one in logging.root.handlers],
    "frozen": gc.get_freeze_count(), "gc": gc.get_threshold(), "meta": [str(one).partition(" at ")[0] for one in sys.meta_path],
    "hooks": [str(type(one)) for one in (sys.excepthook, sys.displayhook, sys.stdout, sys.stderr, sys.stdin)],
    "encodings": [sys.getfilesystemencoding(), sys.stdout.encoding, sys.__stdin__.encoding, sys.__stdout__.encoding],
    "dont_write": sys.dont_write_bytecode, "traced": str(sys.gettrace()), "switch": sys.getswitchinterval(),
    "exit": atexit._ncallbacks(), "in": str(get_ipython().user_module.__name__),
}
own = {"random": random.random(), "hash": hash("a"), "uuid": str(uuid.uuid4()), "pid": os.getpid()}
print(json.dumps([same, own]))
"""

_LENGTH = 12
"""Names are of one length, as the session's are."""


class Runner:
    """Launches kernels in a folder, with or without a pool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cwd = folder / "work"
        self.cwd.mkdir()
        self.env = {**os.environ, "FRUIT": "fig\udcff", "IPYTHONDIR": str(folder / "ipython")}
        self.pool = PrestartPool(1)
        self.started: list[Process] = []

    def spec(self, name: str) -> dict[str, Any]:
        """What is launched, and a connection file for it."""
        name = name.ljust(_LENGTH, "_")
        ports = {f"{channel}_port": number for channel, number in CHANNELS.items()}
        file = self.folder / f"{name}.json"
        info = {**ports, "transport": "ipc", "ip": str(self.folder / name), "key": "k"}
        file.write_text(json.dumps({**info, "signature_scheme": "hmac-sha256"}))
        return {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", str(file)], "env": self.env}

    async def start(self, name: str, pool: PrestartPool | None = None, **options: Any) -> Process:
        """A kernel's process."""
        spec = self.spec(name)
        options = {"cwd": str(self.cwd), "umask": 0o027} | options
        log, folder = self.folder / f"{name}.log", self.folder / f"{name}.d"
        argv = options.pop("argv", spec["argv"])
        process = await launch(argv, env=spec["env"], log=log, folder=folder, pool=pool, **options)
        self.started.append(process)
        return process

    async def warm(self) -> None:
        """Wait until there is a prestarted interpreter."""
        while not self.pool.ready:
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[BlockingKernelClient]:
        """A client of a kernel that answers."""
        client = BlockingKernelClient(connection_file=str(self.folder / f"{name.ljust(_LENGTH, '_')}.json"))
        client.load_connection_file()
        client.start_channels()
        await asyncio.to_thread(client.wait_for_ready, 60)
        yield client
        client.stop_channels()

    async def says(self, client: BlockingKernelClient, code: str) -> str:
        """What code prints."""
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            said.append(message["content"].get("text") or message["content"].get("ename", ""))

        await asyncio.to_thread(client.execute_interactive, code, output_hook=hear, timeout=60)
        return "".join(said)


@pytest_asyncio.fixture
async def runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> AsyncIterator[Runner]:
    monkeypatch.setattr(pool, "_DELAY_S", 0.0)
    made = Runner(tmp_path)
    yield made
    made.pool.close()
    for process in made.started:
        until(lambda process=process: ending.kill(process))
    until(lambda: not shims(), 20)
    ending.reap()


def shims() -> list[psutil.Process]:
    """The shims that this process started and that have not ended."""
    children = psutil.Process().children()
    return [one for one in children if any(part.endswith("/prestart_shim.py") for part in _command(one))]


def prestarted() -> list[psutil.Process]:
    """The shims of what waits to be used."""
    return [shim for shim in shims() if any("-" * 9 in part for part in _commands_below(shim))]


def _commands_below(process: psutil.Process) -> list[str]:
    try:
        return [part for child in process.children() for part in _command(child)]
    except psutil.Error:
        return []


def _command(process: psutil.Process) -> list[str]:
    """Its command line; none if it ends meanwhile, or has."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def below(process: Process) -> list[str]:
    """The programs of a process's parent and of what is below that."""
    parent = psutil.Process(process.shim.pid)
    return [Path(part).name for part in parent.cmdline() if part.endswith(".py")]


@pytest.mark.asyncio
async def test_user_code_finds_no_difference(runner: Runner) -> None:
    runner.cwd.chmod(0o755)
    cpus = sorted(os.sched_getaffinity(0))[:1]
    options: dict[str, Any] = {"rlimits": {resource.RLIMIT_NOFILE: (512, 600)}}

    class ProcessLimits:
        attach: list[str] = []
        affinity = cpus
        memory = 0
        oom_score_adj = 0

        def adopt(self, process: Process) -> None:
            return

    cold = await runner.start("cold", runner.pool, limits_group=ProcessLimits(), **options)
    await runner.warm()
    before = time.time()
    warm = await runner.start("warm", runner.pool, limits_group=ProcessLimits(), **options)
    runner.pool.close()
    assert psutil.Process(warm.child.pid).create_time() < before
    assert (below(cold), below(warm)) == (["shim.py"], ["prestart_shim.py"])
    seen = []
    for name in ("cold", "warm"):
        async with runner.client(name) as client:
            same, own = json.loads((await runner.says(client, LOOK)).replace(name, "NAME"))
            same["fds"].sort()
            seen.append((same, own))
            debugger = await asyncio.to_thread(_debug, client)
            assert debugger["success"], debugger
    (cold_same, cold_own), (warm_same, warm_own) = seen
    other = {key: (cold_same[key], warm_same[key]) for key in cold_same if warm_same[key] != cold_same[key]}
    assert other == {}, json.dumps(other)
    assert not set(map(str, cold_own.values())) & set(map(str, warm_own.values()))
    assert warm_own["pid"] == warm.child.pid
    assert warm_same["environ"]["FRUIT"] == "fig\udcff"
    assert (warm_same["cpus"], warm_same["limits"], warm_same["umask"]) == (cpus, [512, 600], ["0027"])
    assert Path(runner.folder / "warm.log").stat().st_mode & 0o777 == 0o600


def _debug(client: BlockingKernelClient) -> dict[str, Any]:
    """What the kernel's debugger says to a first request."""
    content = {"type": "request", "seq": 1, "command": "debugInfo"}
    message = client.session.msg("debug_request", content)
    client.control_channel.send(message)
    while True:
        reply = client.get_control_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return dict(reply["content"])


@pytest.mark.asyncio
async def test_it_is_interrupted_ends_and_is_held_to_its_limits_like_any_other(
    runner: Runner, tmp_path: Path, until: Callable[..., None]
) -> None:
    limits = choose(key=f"pool-{os.getpid()}", records=tmp_path / "records")
    limits_group = limits.create("warm", Decimal(1), 300 << 20)
    await runner.start("cold", runner.pool)
    await runner.warm()
    warm = await runner.start("warm", runner.pool, limits_group=limits_group)
    async with runner.client("warm") as client:
        asyncio.get_running_loop().call_later(0.5, signal_group, warm, signal.SIGINT)
        assert await runner.says(client, "import time; time.sleep(60)") == "KeyboardInterrupt"
        await runner.says(client, "import subprocess; daemon = subprocess.Popen(['setsid', 'sleep', '60'])")
        client.execute("hog = bytearray(400 << 20)")
        await asyncio.wait_for(wait(warm), 30)
    assert limits_group.over_memory()
    assert exit_status(warm) == -signal.SIGKILL
    await runner.warm()
    other = await runner.start("other", runner.pool)
    assert below(other) == ["prestart_shim.py"]
    runner.pool.close()
    async with runner.client("other") as client:
        code = "print(__import__('subprocess').Popen(['setsid', 'sleep', '61']).pid)"
        left = int(await runner.says(client, code))
        client.execute("import os; os._exit(3)")
        assert await asyncio.wait_for(wait(other), 30) == 3
    until(lambda: not psutil.pid_exists(left), 5)
    await limits_group.kill()
    until(limits_group.remove)


@pytest.mark.asyncio
async def test_what_cannot_be_is_said_and_leaves_nothing(runner: Runner) -> None:
    class Barred:
        attach = ["/proc/self/no/cgroup.procs"]
        affinity = None
        memory = 0
        oom_score_adj = 0

        def adopt(self, process: Process) -> None:
            raise AssertionError

    for options, words in (
        (
            {"cwd": str(runner.folder / "nowhere")},
            "The working folder .*nowhere cannot be entered: No such file",
        ),
        ({"limits_group": Barred()}, "cannot be put under its limits through /proc/self/no"),
    ):
        if not runner.pool.ready:
            await runner.start("cold", runner.pool)
            await runner.warm()
        with pytest.raises(LaunchError, match=words):
            await runner.start("warm", runner.pool, **options)
    await runner.warm()
    (shim,) = prestarted()
    os.kill(shim.children()[0].pid, signal.SIGKILL)  # One that ends while it waits is not missed.
    await asyncio.to_thread(shim.wait, 10)
    assert below(await runner.start("after", runner.pool)) == ["shim.py"]
    runner.pool.close()


@pytest.mark.asyncio
async def test_it_is_let_go_when_its_packages_change(runner: Runner) -> None:
    packages = runner.folder / "packages"
    packages.mkdir()
    runner.env["PYTHONPATH"] = f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
    await runner.start("cold", runner.pool)
    await runner.warm()
    (packages / "notes.txt").touch()  # This is of no kernel.
    assert below(await runner.start("fresh", runner.pool)) == ["prestart_shim.py"]
    await runner.warm()
    (packages / "IPython-9.dist-info").mkdir()
    assert below(await runner.start("stale", runner.pool)) == ["shim.py"]
    await runner.warm()
    runner.env["PYTHONHASHSEED"] = "1"
    assert below(await runner.start("another kind", runner.pool)) == ["shim.py"]
    runner.pool.close()


@pytest.mark.asyncio
async def test_kept_ready_is_only_what_can_be(runner: Runner) -> None:
    spec = {**runner.spec("one"), "file": sys.executable, "umask": None}
    argv = spec["argv"]
    assert Kind.of(spec) == Kind.of({**spec, "env": {**runner.env, "FRUIT": "kiwi", "JPY_SESSION_NAME": "x"}})
    assert Kind.of({**spec, "argv": [argv[0], "-X", "frozen_modules=off", *argv[1:]]})
    for other in (
        {"argv": ["conda", "run", "python", *argv[1:]]},
        {"argv": [*argv, "--debug"]},
        {"argv": [argv[0], "-m", "xeus", "-f", argv[-1]]},
        {"argv": [argv[0], "-c", "pass", *argv[1:]]},
        {"env": {"PYTHONPATH": "relative"}},
        {"env": {"PYTHONINSPECT": "1"}},
    ):
        assert Kind.of({**spec, **other}) is None, other
    none = PrestartPool(0)
    await runner.start("cold", none)
    await asyncio.sleep(0.1)
    assert not shims()


@pytest.mark.asyncio
async def test_none_is_kept_where_it_does_not_pay(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not without memory to spare, nor for longer than such kernels are started."""
    free = pool._LEAST_MEMORY - 1
    monkeypatch.setattr(pool, "free_memory", lambda: free)
    monkeypatch.setattr(pool, "_CLEAN_S", 0.05)
    await runner.start("cold", runner.pool)
    await asyncio.sleep(0.1)
    assert not shims()
    free = pool._LEAST_MEMORY
    await runner.start("again", runner.pool)
    await runner.warm()
    free = pool._LEAST_MEMORY * 3 // 4
    await asyncio.sleep(0.2)
    assert prestarted(), "one that is there stays, though there would be no other"
    free = pool._LEAST_MEMORY // 4
    await _let_go(runner)
    free = pool._LEAST_MEMORY
    await runner.start("third", runner.pool)
    await runner.warm()
    monkeypatch.setattr(pool, "_KEPT_S", 0.1)
    await _let_go(runner)


async def _let_go(runner: Runner) -> None:
    async with asyncio.timeout(20):
        while runner.pool.ready or prestarted():
            await asyncio.sleep(0.02)


def test_all_that_is_read_before_a_kernel_starts_is_told_apart() -> None:
    look = """
import os
seen, kind = set(), type(os.environ)
plain = kind.__getitem__
kind.__getitem__ = lambda self, name: (seen.add(name), plain(self, name))[1]
exec(open(%r).read().partition("main()\\n")[0])
failed = []
_import(failed)
assert not failed, failed
print(*sorted(os.fsdecode(name) for name in seen))
"""
    command = [sys.executable, "-c", look % HELPERS.program("preload.py")]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "TERM" in seen
    assert [name for name in seen if not re.fullmatch(interpreter._BEFORE_START, name)] == []
