"""What the extension costs a server in which nothing happens, beside a server without it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests.manager.world import contact, prestarted, run, until
from tests.ports import free_port, wait_for_port

SECONDS = 30
MOST_CPU = 0.005
MOST_MIB = 20
LISTEN = """
import httpx, sys
with httpx.stream("GET", sys.argv[1], headers={"Authorization": "token benchmark"}, timeout=None) as response:
    for _ in response.iter_bytes():
        pass
"""


def start(folder: Path, enabled: bool) -> tuple[subprocess.Popen[bytes], str]:
    """A Jupyter server with or without the extension, and its address."""
    port = free_port()
    command = [
        sys.executable,
        *(
            "-m",
            "jupyter_server",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.port_retries=0",
        ),
        *("--IdentityProvider.token=benchmark", f"--ServerApp.root_dir={folder}"),
        f"--ServerApp.jpserver_extensions={{'jupyter_sessions': {enabled}}}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    wait_for_port(port, process)
    return process, f"127.0.0.1:{port}"


def measure(
    process: subprocess.Popen[bytes], address: str, path: str, *others: psutil.Process
) -> tuple[float, float]:
    """Share of a core that the server and others use while somebody listens at `path`, and its memory in MiB."""
    listener = subprocess.Popen([sys.executable, "-c", LISTEN, f"http://{address}/{path}"])
    watched = [psutil.Process(process.pid), *others]
    try:
        time.sleep(5)
        before = cpu_seconds(watched)
        time.sleep(SECONDS)
        used = (cpu_seconds(watched) - before) / SECONDS
        return used, watched[0].memory_info().rss / 1024**2
    finally:
        listener.kill()
        listener.wait()
        process.terminate()
        process.wait()


def cpu_seconds(watched: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in watched)


def test_idle_cost(state: Path, tmp_path: Path, report: Callable[[str], None]) -> None:
    bare_cpu, bare_mib = measure(*start(tmp_path, False), "api")
    cpu, mib = measure(*start(tmp_path, True), "jupyter-sessions/events")
    report(
        f"idle with a listener: {100 * cpu:.2f} % of a core ({100 * bare_cpu:.2f} % without the extension), "
        f"{mib - bare_mib:.1f} MiB more than a bare server's {bare_mib:.0f} MiB"
    )
    assert cpu - bare_cpu <= MOST_CPU
    assert mib - bare_mib <= MOST_MIB, json.dumps({"bare": bare_mib, "with": mib})


async def a_session() -> list[psutil.Process]:
    """One runs, and another could at once: the manager, and what it keeps ready."""
    service = SessionService(JupyterSessions())
    await run(service, "idle")
    kept = await until(prestarted, 60)
    await service.close()
    return [psutil.Process(contact().identity.pid), *kept]


def test_idle_cost_beside_a_session(state: Path, tmp_path: Path, report: Callable[[str], None]) -> None:
    """The same bound, with the manager and the interpreter that is kept ready counted in."""
    others = asyncio.run(a_session())
    bare_cpu, _ = measure(*start(tmp_path, False), "api")
    cpu, _ = measure(*start(tmp_path, True), "jupyter-sessions/events", *others)
    own = [one.memory_full_info().uss / 1024**2 for one in others]
    report(
        f"idle with a listener and a session: {100 * cpu:.2f} % of a core with the manager and what it keeps ready "
        f"({100 * bare_cpu:.2f} % without the extension); manager {own[0]:.0f} MiB, kept ready {sum(own[1:]):.0f} MiB"
    )
    assert cpu - bare_cpu <= MOST_CPU
