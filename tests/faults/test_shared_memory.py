"""What a session leaves in /dev/shm, the machine's memory: nothing, however it ends. Others' files stay.

By multiprocessing and joblib, which are left to tidy up by themselves, and by programs that cannot.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import shared_memory
from pathlib import Path

import psutil
import pytest

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.world import ended, kernels, nothing_left, reach, run, says, until

pytestmark = pytest.mark.asyncio
SHM = Path("/dev/shm")
BLOCK = """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1 << 20)
block.buf[0] = 1
print(block.name)
"""
WORKERS = """
import multiprocessing, time
from multiprocessing import shared_memory
def work(name):
    theirs = shared_memory.SharedMemory(name)
    time.sleep(600)
method = multiprocessing.get_context("fork")
blocks = [shared_memory.SharedMemory(create=True, size=1 << 20) for _ in range(2)]
workers = [method.Process(target=work, args=(block.name,)) for block in blocks]
for worker in workers:
    worker.start()
print(*(block.name for block in blocks))
"""
JOBLIB = """
import joblib, numpy, os, threading, time
def work(array):
    time.sleep(600)
def run():
    joblib.Parallel(n_jobs=2, max_nbytes=1000)(joblib.delayed(work)(numpy.zeros(10_000)) for _ in range(2))
threading.Thread(target=run, daemon=True).start()
start = f"joblib_memmapping_folder_{os.getpid()}_"
while not (found := [name for name in os.listdir("/dev/shm") if name.startswith(start)]):
    time.sleep(0.05)
print(*found)
"""
UNTRACKED = """
import mmap
file = open("/dev/shm/untracked-by-anybody-%d" % __import__("os").getpid(), "w+b")
file.truncate(1 << 20)
mapped = mmap.mmap(file.fileno(), 1 << 20)
file.close()
print("untracked-by-anybody-%d" % __import__("os").getpid())
"""
CODES = {"block": BLOCK, "workers": WORKERS, "joblib": JOBLIB, "untracked": UNTRACKED}


@pytest.fixture
def others() -> Iterator[Path]:
    """A file of ours that has nothing to do with sessions."""
    block = shared_memory.SharedMemory(create=True, size=4096)
    yield SHM / block.name
    block.close()
    block.unlink()


async def made(service: SessionService, row: SessionInfo, code: str) -> list[Path]:
    """What code has put into /dev/shm."""
    found = [SHM / name for name in (await says(service, row, code)).split()]
    assert found and all(path.exists() for path in found)
    return found


def there(paths: list[Path]) -> list[Path]:
    """Those that exist."""
    return [path for path in paths if path.exists()]


async def end(service: SessionService, row: SessionInfo, how: str) -> None:
    """End a session or its kernel, and wait until that has happened."""
    kernel = min(kernels(row), key=lambda pid: psutil.Process(pid).create_time())  # Its forks look like it.
    match how:
        case "politely" | "by force":
            await service.destroy("local", row.id, forced=how == "by force")
        case "by a restart":
            await service.restart("local", row.id)
            await reach(service, row, "RUNNING")
            return
        case "by a crash":
            os.kill(kernel, signal.SIGKILL)
        case "without its parent":
            parent = psutil.Process(kernel).ppid()
            os.kill(parent, signal.SIGKILL)
            await until(lambda: psutil.Process(kernel).ppid() != parent)
            await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    await nothing_left(row)


CASES = [(what, how) for what in CODES for how in ("politely", "by force", "by a crash")]
CASES += [("workers", "by a restart"), ("workers", "without its parent")]
CASES.remove(("untracked", "by a crash"))  # That is found once a second: see below.


@pytest.mark.parametrize(("what", "how"), CASES)
async def test_nothing_is_left(shared: SessionService, what: str, how: str, others: Path) -> None:
    row = await run(shared, "demo", resources={"cpu": "1", "mem": "600m"})
    paths = await made(shared, row, CODES[what])
    await end(shared, row, how)
    await until(lambda: not there(paths))
    assert others.exists()


async def test_what_was_seen_goes_after_a_crash_and_out_of_memory(
    shared: SessionService, others: Path
) -> None:
    for fatal in (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "big = bytearray(b'1' * (1 << 30))",
    ):
        row = await run(shared, "demo", resources={"mem": "300m"})
        paths = [path for code in (UNTRACKED, BLOCK) for path in await made(shared, row, code)]
        await asyncio.sleep(2.5)  # It is looked once a second.
        with suppress(Exception):
            await says(shared, row, fatal)
        await ended(shared, row)
        await until(lambda paths=paths: not there(paths))
        assert others.exists()


async def test_what_another_session_has_stays(shared: SessionService) -> None:
    row = await run(shared, "first")
    other = await run(shared, "other")
    (path,) = await made(shared, row, UNTRACKED)
    await says(
        shared, other, f"import mmap; file = open('{path}', 'r+b'); mapped = mmap.mmap(file.fileno(), 4096)"
    )
    await shared.destroy("local", row.id)
    await ended(shared, row)
    assert path.exists()
    await shared.destroy("local", other.id)
    await ended(shared, other)
    await until(lambda: not path.exists())
