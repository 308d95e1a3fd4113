"""GPUs are handed out one to one, and come back whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.commands import parse
from jupyter_sessions.commands.resources import resources_of
from jupyter_sessions.errors import InvalidRequest, NotEnough
from jupyter_sessions.manager.runtime.gpus import discover, select
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from tests.manager.world import ask, configure, ended, kernels, kill_manager, reach, run, says, until

pytestmark = pytest.mark.asyncio

ONE = {"cuda.device": 1}
LOOK = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"


@pytest.fixture
def _two_gpus(state: Path) -> None:
    configure(state, gpus=["GPU-a", "GPU-b"])


async def kill_kernel(service: SessionService, row: SessionInfo) -> None:
    os.kill(int(await says(service, row, "import os; print(os.getpid())")), signal.SIGKILL)


async def told_why(service: SessionService, row: SessionInfo) -> SessionInfo:
    """The row once the queue has been looked at."""

    async def told() -> SessionInfo | None:
        found = await service.get("local", row.id)
        return found if found.status_info else None

    found: SessionInfo = await until(told)
    return found


@pytest.mark.usefixtures("_two_gpus")
async def test_each_session_sees_its_own(service: SessionService) -> None:
    one, two, none = await asyncio.gather(
        run(service, "gpu-1", resources=ONE), run(service, "gpu-2", resources=ONE), run(service, "plain")
    )
    seen = [await says(service, row, LOOK) for row in (one, two, none)]
    assert sorted(seen) == ["", "GPU-a", "GPU-b"]
    assert {*seen[:2]} == {"GPU-a", "GPU-b"}
    assert (await service.get("local", one.id)).extra == {"gpus": [seen[0]]}
    capacity = await service.backend("local").capacity()
    assert (capacity["cuda.device"].total, capacity["cuda.device"].free) == ("2", "0")

    third = await told_why(service, await ask(service, "gpu-3", resources=ONE))
    fourth = await told_why(service, await ask(service, "gpu-4", resources=ONE))
    assert (third.status, third.status_info) == ("PENDING", "Waiting for 1 GPU (0 free).")
    assert (fourth.status, fourth.status_info) == (
        "PENDING",
        "Waiting behind 'gpu-3', which needs 1 GPU (0 free). Second in the queue.",
    )
    await kill_kernel(service, one)  # Its GPU is free again, and goes to the one that waits longest.
    third = await reach(service, third, "RUNNING")
    assert await says(service, third, LOOK) == seen[0]
    fourth = await service.get("local", fourth.id)
    assert (fourth.status, fourth.status_info) == ("PENDING", "Waiting for 1 GPU (0 free).")
    await service.destroy("local", two.id)
    fourth = await reach(service, fourth, "RUNNING")
    assert await says(service, fourth, LOOK) == seen[1]


@pytest.mark.usefixtures("_two_gpus")
async def test_free_again_when_both_manager_and_session_died(service: SessionService) -> None:
    dies, lives = await asyncio.gather(
        run(service, "dies", resources=ONE), run(service, "lives", resources=ONE)
    )
    held = await says(service, dies, LOOK)
    kept = await says(service, lives, LOOK)
    pid = int(await says(service, dies, "import os; print(os.getpid())"))
    await kill_manager()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not kernels(dies))
    both = await ask(service, "wants-both", resources={"cuda.device": 2})
    again = await ask(service, "again", resources=ONE)
    assert (both.status, again.status) == ("PENDING", "PENDING")
    assert await says(service, lives, LOOK) == kept
    await service.destroy("local", both.id)
    again = await reach(service, again, "RUNNING")
    assert await says(service, again, LOOK) == held
    await ended(service, dies)


@pytest.mark.usefixtures("_two_gpus")
async def test_each_asker_has_the_devices_that_it_may_see(
    service: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first starts the manager, and may see one GPU; that holds for nobody else."""

    async def there() -> tuple[str, str]:
        found = (await service.backend("local").capacity())["cuda.device"]
        return found.total, found.free or ""

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert await there() == ("1", "1")
    first = await run(service, "first", resources=ONE)
    assert await says(service, first, LOOK) == "GPU-b"
    with pytest.raises(NotEnough, match=r"you may have 1 GPU"):
        await ask(service, "both", resources={"cuda.device": 2})
    second = await told_why(service, await ask(service, "second", resources=ONE))
    assert second.status_info == "Waiting for 1 GPU (0 free)."

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(NotEnough, match=r"You may use no GPU of this machine"):
        await ask(service, "none", resources=ONE)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert await there() == ("2", "1")
    other = await run(service, "other", resources=ONE)
    assert await says(service, other, LOOK) == "GPU-a", "who waits for the other GPU holds up nobody"
    await service.destroy("local", first.id)
    second = await reach(service, second, "RUNNING")
    assert await says(service, second, LOOK) == "GPU-b"


@pytest.mark.usefixtures("_two_gpus")
async def test_both_to_one_session_and_more_than_there_are(service: SessionService) -> None:
    row = await run(service, "both", resources={"cuda.devices": 2})
    assert await says(service, row, LOOK) == "GPU-a,GPU-b"
    for amount, error in (("3", NotEnough), ("0.5", InvalidRequest)):
        with pytest.raises(error):
            await ask(service, "more", resources={"cuda.device": amount})
    assert len((await service.list(status="all")).sessions) == 1


async def test_the_most_that_sessions_may_have(state: Path, service: SessionService) -> None:
    configure(
        state,
        gpus=["GPU-a", "GPU-b"],
        max_resources={"cpu": 1, "mem": "1g", "cuda.device": 1, "tpu.device": 8},
        max_sessions=1,
    )
    capacity = await service.backend("local").capacity()
    assert {name: amount.total for name, amount in capacity.items()} == {
        "cpu": "1",
        "mem": "1g",
        "cuda.device": "1",
    }
    for name, amount in {"cpu": 2, "mem": "2g", "cuda.device": 2}.items():
        with pytest.raises(NotEnough, match="but this machine has 1"):
            await ask(service, "more", resources={name: amount})
    row = await run(service, "one-gpu", resources=ONE)
    assert await says(service, row, LOOK) == "GPU-a"
    second = await told_why(service, await ask(service, "second"))
    assert second.status_info == "Waiting for another session to end."


async def test_shares_of_gpus(state: Path, service: SessionService) -> None:
    """A session has the fullest GPU that has room; more than one GPU's shares are whole GPUs and a rest."""
    configure(state, gpus=["GPU-a", "GPU-b"], gpu_shares=4)
    one, half, rest = [
        await run(service, f"has-{amount}", resources={"cpu": "0.4", "cuda.shares": amount})
        for amount in ("1", "0.5", "4")
    ]
    assert [await says(service, row, LOOK) for row in (one, half, rest)] == ["GPU-a", "GPU-a", "GPU-b"]
    capacity = await service.backend("local").capacity()
    assert (capacity["cuda.shares"].total, capacity["cuda.shares"].free) == ("8", "2.5")
    assert "cuda.device" not in capacity
    more = await told_why(service, await ask(service, "has-more", resources={"cpu": "0.4", "cuda.shares": 6}))
    assert more.status_info == "Waiting for 6 GPU shares (2.5 free)."
    await service.destroy("local", rest.id)
    await service.destroy("local", half.id)
    more = await reach(service, more, "RUNNING")
    assert await says(service, more, LOOK) == "GPU-b,GPU-a"
    await kill_manager()
    last = await run(service, "has-last", resources={"cpu": "0.4", "cuda.shares": 1})
    assert await says(service, last, LOOK) == "GPU-a", "what the others have is known to the next manager"
    with pytest.raises(InvalidRequest, match=r"has no resource 'cuda.device'"):
        await ask(service, "whole", resources=ONE)


async def test_whole_gpus_where_they_come_in_shares(state: Path, service: SessionService) -> None:
    """`--gpu N` and Skaha's `gpus=N` are N whole ones, however many shares those are."""
    configure(state, gpus=["GPU-a", "GPU-b"], gpu_shares=4)
    row = await service.create(
        SessionSpec(
            name="has-whole", resources=await resources_of(service, parse("create python --cpu 0.4 --gpu 1"))
        )
    )
    assert (row.resources["cuda.shares"], row.status) == ("4", row.status)
    row = await reach(service, row, "RUNNING")
    assert await says(service, row, LOOK) in ("GPU-a", "GPU-b")
    half = await resources_of(service, parse("create python --gpu 0.5"))
    assert half == {"cuda.shares": "2"}
    contact = local.find()
    assert contact is not None
    headers = {"Authorization": f"Bearer {contact.bearer()}"}
    async with httpx.AsyncClient(
        base_url=f"{contact.url}/skaha/v1", headers=headers, trust_env=False
    ) as http:
        asked = {
            "name": "Whole",
            "cores": "0.4",
            "ram": "0.25",
            "gpus": "1",
            "type": "headless",
            "cmd": "sleep",
            "args": "60",
        }
        image = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
        made = await http.post("/session", params=asked | {"image": image})
        assert made.status_code == 200, made.text
        (found,) = [one for one in (await http.get("/session")).json() if one["name"] == "whole"]
        assert found["requestedGPUCores"] == "1"
        stats = (await http.get("/session", params={"view": "stats"})).json()
        assert stats["gpu"] == {"requestedGPU": 2, "gpuAvailable": 2}


@pytest.mark.in_memory
async def test_none_for_sessions(state: Path, service: SessionService) -> None:
    configure(state, gpus=["GPU-a"], max_resources={"cuda.device": 0})
    with pytest.raises(NotEnough, match="This machine has no GPU"):
        await ask(service, "gpu-1", resources=ONE)


COUNT = """
import ctypes
driver, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(-1)
driver.cuInit(0)
driver.cuDeviceGetCount(ctypes.byref(count))
print(count.value)
"""


async def test_a_real_one(service: SessionService) -> None:
    found = select(discover(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    if not found:
        pytest.skip("this machine has no NVIDIA GPU")
    row = await run(service, "real-gpu", resources=ONE)
    assert await says(service, row, LOOK) in {gpu.uuid for gpu in found}
    assert await says(service, row, COUNT) == "1"
    plain = await run(service, "plain")
    assert await says(service, plain, COUNT) in ("0", "-1")
