"""What a session is to run, as it is typed, down to what the session does."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.commands.program import program_of
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, LaunchFailed
from jupyter_sessions.service import SessionService


def test_all_of_it(tmp_path: Path) -> None:
    script = tmp_path / "prepare.sh"
    script.write_text("echo ready")
    asked = parse(
        "start python --type batch --startup-command 'make all' --cluster-size 2 --cluster-mode multi-node "
        "-v data --mount tools:lib/tools --mount more=lib/more --preopen 8080,9090 --resource-opts shmem=64 --depends first "
        f"--depends second --starts-at 10m --bootstrap-script {script}"
    )
    assert program_of(asked) == {
        "type": "batch",
        "startup_command": "make all",
        "cluster_size": 2,
        "cluster_mode": "multi-node",
        "starts_at": "10m",
        "bootstrap_script": "echo ready",
        "mounts": ["data", "tools", "more"],
        "mount_map": {"tools": "lib/tools", "more": "lib/more"},
        "preopen_ports": [8080, 9090],
        "resource_opts": {"shmem": 64 * 1024**2},
        "dependencies": ["first", "second"],
    }
    assert program_of(parse("create python")) == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--type tea", "--type takes one of interactive, batch, .*, not 'tea'"),
        ("--cluster-size two", "takes a whole number, not 'two'"),
        ("--preopen http", "takes port numbers with commas between them, not 'http'"),
        ("--resource-opts shmem", "'shmem' after --resource-opts is no NAME=VALUE"),
        ("--resource-opts shmem=x", "'x' is not an amount of memory"),
        ("--bootstrap-script /no/such/file", "/no/such/file cannot be read: No such file"),
    ],
)
def test_what_cannot_be_read(options: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        program_of(parse(f"create python {options}"))


@pytest.mark.asyncio
async def test_create_waits_for_a_batch_session_that_is_soon_done(machine: Path, tmp_path: Path) -> None:
    service = SessionService(JupyterSessions())
    small = f"--cpu 0.5 --mem 256m --type batch --cwd {tmp_path}"
    try:
        said: list[str] = []
        await perform(
            service, parse(f"create python --name soon {small} --startup-command 'pwd > it'"), said.append
        )
        assert said[-1].startswith(("soon is running", "soon has ended (task-done)"))
        failing = (
            f"create python --name broken {small} --bootstrap-script {tmp_path}/b --startup-command true"
        )
        (tmp_path / "b").write_text("echo no good; false")
        with pytest.raises(LaunchFailed, match=r"broken.* has failed \(.*bootstrap script failed.*: no good"):
            await perform(service, parse(failing), said.append)
    finally:
        await service.close()
