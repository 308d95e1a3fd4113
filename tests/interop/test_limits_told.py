"""What libraries take a session's machine to be: the CPUs and memory asked for, and no more."""

from __future__ import annotations

import json
import os

import pytest

from jupyter_sessions.service import SessionService
from tests.interop.venvs import Venv
from tests.manager.world import run, says

pytestmark = pytest.mark.asyncio
VENV = Venv(
    "3.13",
    ("ipykernel==7.3.0", "joblib==1.6.0", "distributed==2026.8.0", "jupyter-resource-usage==1.2.0"),
)
LOOK = """
import json, multiprocessing, os, resource
import joblib
from distributed import LocalCluster
from jupyter_resource_usage.config import ResourceUseDisplay
with LocalCluster(processes=False, dashboard_address=None) as cluster:
    workers = [*cluster.scheduler.workers.values()]
    dask = {"cpus": sum(one.nthreads for one in workers), "memory": sum(one.memory_limit for one in workers)}
shown = ResourceUseDisplay()
print(json.dumps({
    "dask": dask, "joblib": joblib.cpu_count(), "python": [os.cpu_count(), os.process_cpu_count()],
    "multiprocessing": multiprocessing.cpu_count(), "affinity": len(os.sched_getaffinity(0)),
    "shown": [shown.cpu_limit, shown.mem_limit], "rss": resource.getrlimit(resource.RLIMIT_RSS),
}))
"""


@pytest.mark.parametrize(("cpu", "whole"), [("1", True), ("0.5", False)])
async def test_libraries_see_the_session(
    service: SessionService, monkeypatch: pytest.MonkeyPatch, cpu: str, whole: bool
) -> None:
    monkeypatch.setenv("MEM_LIMIT", str(8 << 30))  # A hub's, for the server.
    monkeypatch.setenv("CPU_LIMIT", "2")
    memory = 600 << 20
    row = await run(service, "demo", image=VENV.program("python"), resources={"cpu": cpu, "mem": str(memory)})
    seen = json.loads((await says(service, row, LOOK)).splitlines()[-1])
    assert (seen["joblib"], seen["python"], seen["multiprocessing"]) == (1, [1, 1], 1)
    assert seen["shown"] == [float(cpu), memory]
    assert seen["rss"] == [memory, memory]
    assert seen["dask"]["memory"] <= memory
    if whole:
        assert seen["affinity"] == seen["dask"]["cpus"] == 1
    else:  # A part of a CPU is limited by a quota, and may be had on each.
        assert seen["affinity"] in (1, os.cpu_count())
    await service.destroy("local", row.id)
