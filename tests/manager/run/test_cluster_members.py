"""Sessions of several members: each has what was asked, knows the others, and counts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from jupyter_sessions.errors import NotEnough
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.test_rest import Listener
from tests.manager.world import (
    SMALL,
    V5,
    V8,
    Rest,
    ask,
    configure,
    ended,
    kill_manager,
    nothing_left,
    processes,
    reach,
    says,
    until,
)

pytestmark = pytest.mark.asyncio

IN_LAST = """
import os
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=os.environ["JUPYTER_SESSIONS_KERNELS"].split(":")[-1])
client.load_connection_file()
client.start_channels()
client.execute_interactive("import os; print(os.environ['BACKENDAI_CLUSTER_HOST'])", timeout=30)
client.stop_channels()
"""
THREE = {"clusterSize": "3", "clusterMode": "multi-node", "enqueueOnly": False}


def variables(pid: int) -> dict[str, str]:
    """What a process was told of its cluster."""
    found = psutil.Process(pid).environ()
    return {
        name.removeprefix("BACKENDAI_"): value
        for name, value in found.items()
        if name.startswith(("BACKENDAI_CLUSTER", "BACKENDAI_KERNEL"))
    }


def pids(row: SessionInfo) -> list[int]:
    return [int(container.container_id or 0) for container in row.containers]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_three_members(state: Path, service: SessionService) -> None:
    configure(state, max_resources={"cpu": 2}, gpus=["A", "B", "C", "D"])
    await service.backend("local").capacity()
    resources = SMALL | {"cuda.device": 1}
    async with Rest(V8) as rest, Listener(rest, "/events/session?sessionName=*") as listener:
        assert await listener.line() == ": keep-alive"
        made = await rest.send(
            "POST",
            "/session",
            THREE | {"name": "a-cluster", "image": "python", "config": {"resources": resources}},
        )
        assert made.json()["status"] == "RUNNING", made.text
        names = await listener.names("session_started")
    assert names.count("kernel_creating") == names.count("kernel_started") == 3
    kernels = {
        (event.json()["clusterRole"], event.json()["clusterIdx"])
        for event in listener.events
        if event.name == "kernel_started"
    }
    assert kernels == {("main", 1), ("sub", 1), ("sub", 2)}

    row = await service.get("local", made.json()["sessionId"])
    assert (row.cluster_size, row.cluster_mode) == (3, "multi-node")
    (listed,) = (await service.list()).sessions
    assert (listed.cluster_size, listed.cluster_mode) == (3, "multi-node")
    assert row.occupied_slots == {"cpu": "1.5", "mem": "768m", "cuda.device": "3"}
    assert (await service.backend("local").capacity())["cpu"].free == "0.5"
    assert [one.hostname for one in row.containers] == ["main1", "sub1", "sub2"]
    assert [one.role for one in row.containers] == ["main", "sub", "sub"]
    assert {one.status for one in row.containers} == {"RUNNING"}
    assert all(one.occupied_slots["cpu"] == "0.5" for one in row.containers)
    used = [int((one.live_stat or {})["mem"]["current"]) for one in row.containers]
    assert min(used) > 0 and len(set(used)) > 1, "each has its own"

    async with Rest(V5) as rest:
        query = f'{{ compute_session(id: "{row.id}") {{ containers {{ id role }} }} }}'
        answer = (await rest.send("POST", "/admin/graphql", {"query": query})).json()["compute_session"]
        assert [one["role"] for one in answer["containers"]] == ["master", "slave", "slave"]
        for one in answer["containers"]:
            query = f'{{ compute_container(id: "{one["id"]}") {{ id role }} }}'
            found = (await rest.send("POST", "/admin/graphql", {"query": query})).json()
            assert found == {"compute_container": one}

    told = [variables(pid) for pid in pids(row)]
    hosts = told[0]["CLUSTER_HOSTS"].split(",")
    assert len(set(hosts)) == 3
    for rank, (one, container) in enumerate(zip(told, row.containers, strict=True)):
        assert one == {
            "CLUSTER_SIZE": "3",
            "CLUSTER_HOSTS": ",".join(hosts),
            "CLUSTER_HOST": hosts[rank],
            "CLUSTER_ROLE": "sub" if rank else "main",
            "CLUSTER_IDX": str(rank or 1),
            "CLUSTER_LOCAL_RANK": str(rank),
            "KERNEL_ID": container.id,
        }
    devices = [psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] for pid in pids(row)]
    assert sorted(devices) == ["A", "B", "C"]
    server = "import os, socket; s = socket.create_server((os.environ['BACKENDAI_CLUSTER_HOST'], 0)); print(s.getsockname()[0])"
    assert await says(service, row, server) == hosts[0]
    assert await says(service, row, IN_LAST) == f"{hosts[2]}"

    with pytest.raises(NotEnough, match="You asked for 5 GPU, but this machine has 4"):
        await ask(service, "too-large", cluster_size=5, resources={"cuda.device": 1, "cpu": "0.1"})
    waits = await ask(service, "waits", cluster_size=2, resources={"cpu": "0.3"})
    assert (waits.status, waits.status_info) == ("PENDING", "Waiting for 0.6 CPU (0.5 free).")
    await service.destroy("local", waits.id)

    before = pids(row)
    await kill_manager()
    row = await service.get("local", row.id)
    assert (row.status, pids(row)) == ("RUNNING", before)
    assert await says(service, row, "print(s.getsockname()[0])") == hosts[0]

    os.kill(before[1], signal.SIGKILL)
    row = await reach(service, row, "RUNNING_DEGRADED")
    assert row.status_info == "sub1 ended: killed by SIGKILL"
    assert [one.status for one in row.containers] == ["RUNNING", "TERMINATED", "RUNNING"]
    assert row.containers[1].occupied_slots == {}
    assert await says(service, row, "print(1)") == "1"

    row = await service.restart("local", row.id)
    assert row.status == "RUNNING"
    assert {one.status for one in row.containers} == {"RUNNING"}
    assert not set(pids(row)) & set(before)
    assert not any(map(alive, before))
    after = pids(row)
    os.kill(after[0], signal.SIGKILL)  # With the main one all end.
    row = await ended(service, row)
    assert row.status_info == "self-terminated: killed by SIGKILL"
    assert {one.status for one in row.containers} == {"TERMINATED"}
    await until(lambda: not any(map(alive, after)))
    await nothing_left(row)


async def test_a_cluster_runs_a_command_or_does_not_begin(state: Path, service: SessionService) -> None:
    """The command runs in the main member; a script before it in each, and one that fails fails all."""
    configure(state, max_resources={"cpu": 2})
    script = "echo $BACKENDAI_CLUSTER_ROLE$BACKENDAI_CLUSTER_IDX prepared"
    command = "echo $BACKENDAI_CLUSTER_ROLE of $BACKENDAI_CLUSTER_SIZE"
    fields = {"cluster_size": 2, "bootstrap_script": script, "type": "batch", "startup_command": command}
    row = await ended(service, await ask(service, "commands", **fields))
    assert (row.result, row.exit_code) == ("SUCCESS", 0)
    assert await service.logs("local", row.id) == "main1 prepared\nmain of 2\n"
    fields["bootstrap_script"] = script + "; test $BACKENDAI_CLUSTER_ROLE = main"
    row = await reach(service, await ask(service, "cannot-begin", **fields), "ERROR")
    why = "failed-to-start: the bootstrap script failed in sub1 (exit status 1): sub1 prepared"
    assert (row.status_info, row.exit_code) == (why, 1)
    await nothing_left(row)


async def test_the_manager_ends_while_a_cluster_starts(
    state: Path, service: SessionService, tmp_path: Path
) -> None:
    """The next one goes on, and no member is there twice. Without control groups, which would hold them."""
    configure(state, max_resources={"cpu": 2}, cgroups=False)
    await service.backend("local").capacity()
    async with Rest() as rest, Listener(rest, "/events/session?sessionName=*") as listener:
        assert await listener.line() == ": keep-alive"
        beside = {"startup_command": "echo $$ >> started; exec sleep 1000", "cwd": str(tmp_path)}
        row = await ask(service, "goes-on", cluster_size=3, **beside)
        await listener.names("kernel_creating")
        await kill_manager()
    row = await reach(service, row, "RUNNING")
    assert [one.status for one in row.containers] == ["RUNNING"] * 3
    connected = [
        part for pid in processes(row) for part in psutil.Process(pid).cmdline() if "kernel.json" in part
    ]
    assert sorted(Path(part).resolve().parent.name for part in connected) == [row.id, "sub1", "sub2"]
    await until((tmp_path / "started").exists)
    assert len((tmp_path / "started").read_text().split()) == 1
    await service.destroy("local", row.id)
    await nothing_left(await ended(service, row))
