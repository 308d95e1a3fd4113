"""The real `backend.ai` command line, unmodified, against the manager that `jupyter session env` names.

Every command of seed 003 and more is typed into two versions of it, and the main ones into the newest.
Its own mistakes are left out: the table of no sessions at all ends in a traceback in 23.9.10 and 25.5.2,
and so does that of the column `service_ports`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import STATE_VARIABLE, place
from tests.conftest import end_everything
from tests.interop.vendor import Cli, environment_from
from tests.interop.venvs import BACKENDAI_23, BACKENDAI_25, BACKENDAI_26, Venv
from tests.manager.world import configure
from tests.ports import free_port
from tests.waiting import wait_until

VERSIONS = {"23.9.10": BACKENDAI_23, "25.5.2": BACKENDAI_25, "26.9.6": BACKENDAI_26}
# Seed 003; `id` is its `session_id`, `service_ports` is for JSON.
FIELDS = """id,main_kernel_id,tag,name,type,image,registry,cluster_template,cluster_mode,cluster_size,domain_name,
group_name,group_id,agent_ids,user_email,user_id,access_key,status,status_info,status_changed,created_at,
terminated_at,starts_at,scheduled_at,startup_command,result,resource_opts,scaling_group,mounts,occupying_slots,
dependencies,abusing_reports,idle_checks""".replace("\n", "")
DEFAULT = ["Name", "Owner Access Key", "Session ID", "Image", "Type", "Status", "Status Info", "Last Updated"]
EVERY = pytest.mark.parametrize("version", VERSIONS, indirect=True, scope="module")
FULL = pytest.mark.parametrize("version", ["23.9.10", "25.5.2"], indirect=True, scope="module")
pytestmark = pytest.mark.timeout(300)
SCRIPT = (
    "import os, sys\nprint('arguments', sys.argv[1:])\nprint('gpu', os.environ['CUDA_VISIBLE_DEVICES'])\n"
)


@pytest.fixture(scope="module")
def version(request: pytest.FixtureRequest) -> str:
    """Which command line."""
    return str(request.param)


@pytest.fixture
def cli(with_manager: Cli) -> Iterator[Cli]:
    """The command line; what a test that failed leaves is ended."""
    yield with_manager
    rows = json.loads(with_manager("--output=json", "ps", "-f", "id,status").out)["items"]
    if left := [row["session_id"] for row in rows if row["status"] != "TERMINATING"]:
        with_manager("rm", "--forced", *left)


@pytest.fixture(scope="module")
def with_manager(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A command line with a manager of its own, which has two CPUs and one GPU in four shares."""
    venv: Venv = VERSIONS[version]
    program = venv.program("backend.ai")
    folder = tmp_path_factory.mktemp("cli")
    state, config = folder / "state", folder / "config"
    state.mkdir(mode=0o700)
    config.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(state))
        patch.setenv("JUPYTER_CONFIG_DIR", str(config))
        patch.delenv("JUPYTER_SESSIONS_SERVER", raising=False)
        configure(state, gpus=["GPU-a"], gpu_shares=4, max_resources={"cpu": 2})
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        env = environment_from("jupyter session env", folder, lambda name: name.startswith("BACKEND_"))
        yield Cli(program, env, folder)
        asyncio.run(end_everything())
        remove(place().run_folder())


@EVERY
def test_in_any_shell(cli: Cli) -> None:
    line = f'eval "$(jupyter session env)"; {cli.program} --output=json ps'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"count": 0, "total_count": 0, "items": []}


@FULL
def test_lists(cli: Cli, version: str) -> None:
    options = "--tag mine -r cpu=2 -r mem=600 --resource-opts shmem=64m -e MYCONFIG=XXX".split()
    made = cli("start", "-t", "list-01", *options, "python").text
    assert "is created and ready" in made
    assert "the following app services: jupyter" in made
    assert "is enqueued" in cli("start", "--enqueue-only", "-t", "list-02", "python").text
    waits, runs = cli("ps").rows
    assert {*DEFAULT} < runs.keys()
    assert ("Main Kernel ID" in runs) == (version == "23.9.10"), "later versions show it if it is asked for"
    assert "default" in runs.values(), "of its project or group"
    assert (runs["Name"], runs["Type"], runs["Status"]) == ("list-01", "INTERACTIVE", "RUNNING")
    assert (waits["Status"], waits["Status Info"]) == ("PENDING", "Waiting for 1 CPU (0 free).")
    assert [row["Name"] for row in cli("ps", "--running").rows] == ["list-01"]
    detail = cli("ps", "--detail").rows[1]
    assert detail.keys() >= {*runs, "Tag", "Created At", "Occupying Slots"}
    assert (detail["Tag"], detail["Occupying Slots"]) == ("mine", "cpu:2, mem:600.0M")
    assert [row["Name"] for row in cli("ps", "--name-only").rows] == ["list-02", "list-01"]
    assert {*cli("ps", "--name-only").rows[0]} <= {"Name", "Owner Access Key"}
    listed = cli("admin", "session", "list", "--format", "id,status,occupying_slots").rows
    shown = {"Session ID": runs["Session ID"], "Status": "RUNNING", "Occupying Slots": "cpu:2, mem:600.0M"}
    assert listed[1] == shown
    assert len(cli("ps", "-f", FIELDS).rows[1]) == len(FIELDS.split(","))
    ports = json.loads(cli("--output=json", "ps", "-f", "name,service_ports").out)
    assert [port["name"] for port in ports["items"][1]["service_ports"]] == ["jupyter", "terminal"]
    info = cli("info", runs["Session ID"]).out
    for part in ("list-01", "RUNNING", "cpu:2, mem:600.0M", "Cluster Role: main", "no dependency"):
        assert part in info
    assert "must be given in the UUID format" in cli("info", "list-01", code=1).text
    key = cli.env["BACKEND_ACCESS_KEY"]
    assert len(cli("ps", "--access-key", key).rows) == 2

    assert "Done" in cli("rm", runs["Session ID"], waits["Session ID"]).text
    dead = ("--dead", "--filter", 'name like "list-%"')
    wait_until(lambda: len(cli.statuses(*dead)) == 2, why=lambda: cli("ps", *dead).text)
    assert cli.statuses(*dead) == {"list-01": "TERMINATED", "list-02": "CANCELLED"}
    assert cli.statuses("--all", *dead[1:]) == cli.statuses(*dead)
    assert "There is no session 'list-02'" in cli("rm", "list-01", "list-02", code=1).text


@FULL
def test_runs(cli: Cli) -> None:
    hello = cli("run", "--rm", "-c", 'print("hello world")', "python")
    assert hello.out == "hello world\n"
    assert "Execution finished. (exit code = 0)" in hello.err
    in_time = cli("run", "--rm", "--max-wait", "60", "-c", 'print("hello world")', "python")
    assert (in_time.out, "is still on the job queue" in in_time.err) == ("hello world\n", False)
    (cli.folder / "myscript.py").write_text(SCRIPT)
    ran = cli("run", "--rm", "--exec", "python myscript.py arg1 arg2", "python", "./myscript.py")
    assert ran.out == "arguments ['arg1', 'arg2']\ngpu \n"
    (cli.folder / "mygpucode.py").write_text(SCRIPT)
    amounts = ["-r", "cpu=2", "-r", "mem=1g", "-r", "cuda.shares=2"]
    assert cli("run", "--rm", *amounts, "python", "./mygpucode.py").out == "arguments []\ngpu GPU-a\n"
    stats = cli("run", "--rm", "--stats", "-c", "print(bytearray(50_000_000)[:1])", "python").text
    for line in (r"cpu_used +[\d,]+ +msec", r"cpu_util +[\d.]+ +%", r"mem +[\d.]+ +MiB"):
        assert re.search(f"^{line}", stats, re.MULTILINE), stats
    asked = cli("run", "--rm", "-c", "print('hello', input('name? '))", "python", given="Alice\n")
    assert "hello Alice" in asked.out
    failed = cli("run", "--rm", "-c", "1/0", "python")
    assert "ZeroDivisionError" in failed.text
    assert "Execution finished. (exit code = 1)" in failed.err
    too_much = cli("start", "-r", "cpu=99", "python", code=1).text
    assert "You asked for 99 CPU, but this machine has 2 CPU" in too_much
    wait_until(
        lambda: json.loads(cli("--output=json", "ps").out)["total_count"] == 0, why=lambda: cli("ps").text
    )


@FULL
def test_waits(cli: Cli) -> None:
    """What is in the queue executes nothing, and can be watched."""
    cli("start", "-t", "wait-00", "-r", "cpu=2", "python")
    code = ["-c", "print('never')", "python"]
    assert "is enqueued for scheduling" in cli("run", "--enqueue-only", "-t", "wait-01", *code).err
    waited = cli("run", "--max-wait", "1", "-t", "wait-02", *code)
    assert "is still on the job queue" in waited.err
    assert "is still on the job queue" in cli("start", "--max-wait", "1", "-t", "wait-03", "python").text
    assert cli.statuses("--filter", 'status == "PENDING"').keys() == {"wait-01", "wait-02", "wait-03"}
    (row,) = cli("ps", "-f", "id", "--filter", 'name == "wait-01"').rows
    by_id = cli.beside("events", row["Session ID"])
    with cli.beside("events", "wait-01") as events, by_id as same, cli.beside("watch", "wait-01") as watch:
        for watcher in (events, same, watch):
            cli.listens(watcher, "wait-01")
        cli("rm", "wait-02", "wait-03", "wait-00")
        wait_until(lambda: "session_started" in events.text, why=lambda: events.text)
        cli("rm", "wait-01")
        assert (events.ended(), same.ended(), watch.ended()) == (0, 0, 0)
    for said in (events.text, same.text):
        told = [line.split(" ", 1) for line in said.splitlines() if line.startswith(("session", "kernel"))]
        assert list(dict.fromkeys(name for name, _ in told)) == LIFE
        assert {json.loads(data)["sessionName"] for _, data in told} == {"wait-01"}
    assert [line.split()[-1] for line in watch.text.splitlines() if "_" in line][-4:] == LIFE[-4:]


LIFE = """session_renamed session_scheduled kernel_preparing kernel_creating kernel_started session_started
  session_terminating kernel_terminating kernel_terminated session_terminated""".split()


@EVERY
def test_one_session(cli: Cli) -> None:
    cli("start", "-t", "mine-01", "-r", "cpu=1", "-r", "mem=512", "python")
    said = cli("run", "-t", "mine-01", "-c", "kept = 6 * 7; print('said', kept)", "python")
    assert said.out == "said 42\n", "in the session that is there"
    (row,) = cli("ps").rows
    assert (row["Name"], row["Status"], row["Result"]) == ("mine-01", "RUNNING", "UNDEFINED")
    assert "cpu:1, mem:512.0M" in cli("info", row["Session ID"]).out
    assert "said 42" in cli("session", "logs", "mine-01").out
    assert "Done" in cli("restart", "mine-01").text
    assert "NameError" in cli("run", "-t", "mine-01", "-c", "kept", "python").text
    assert "renamed to mine-02" in cli("session", "rename", "mine-01", "mine-02").text
    history = cli("session", "status-history", "mine-02").text
    for status in ("PENDING", "PREPARING", "RUNNING", "RESTARTING"):
        assert f"'{status}': '20" in history or f"('{status}', '20" in history

    (cli.folder / "data.txt").write_text("some data\n")
    cli("session", "upload", "mine-02", "data.txt")
    assert [(row["File name"], row["Size"]) for row in cli("session", "ls", "mine-02").rows] == [
        ("data.txt", "10 Bytes")
    ]
    (cli.folder / "fetched").mkdir()
    cli("session", "download", "mine-02", "data.txt", "--dest", "fetched")
    assert (cli.folder / "fetched" / "data.txt").read_text() == "some data\n"
    cli("session", "download", "mine-02", "none.txt", code=1)

    port = free_port()
    with cli.beside("app", "mine-02", "jupyter", "-b", f"127.0.0.1:{port}") as app:
        wait_until(lambda: f"tcp://127.0.0.1:{port}" in app.text, why=lambda: app.text, process=app.process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=60) as answer:
            assert json.load(answer)["version"]
    cli("rm", "mine-02")
    ran = cli("run", "--rm", "--exec", "cat data.txt", "python", "data.txt")
    assert ran.out == "some data\n"


@EVERY
def test_batches(cli: Cli) -> None:
    """One after the other, each if the one before succeeded."""
    gate = cli.folder / "gate"
    commands = [f"until [ -e {gate} ]; do sleep 0.05; done; echo first", "echo second; exit 3", "echo third"]
    depends: list[str] = []
    for number, command in enumerate(commands, 1):
        words = ["start", "--type", "batch", "--enqueue-only", "-t", f"job-{number}", "-c", command]
        cli(*words, *depends, "python")
        name = f'name == "job-{number}"'
        (row,) = cli("ps", "-f", "id,type", "--filter", name).rows
        assert row["Type"] == "BATCH"
        depends = ["--depends", row["Session ID"]]
    assert cli.statuses("--filter", 'name like "job-%"')["job-3"] == "PENDING"
    graph = cli("session", "show-graph", "job-3").text
    assert graph.count("PENDING") >= 2
    with cli.beside("watch", "job-1") as first, cli.beside("watch", "job-2") as second:
        cli.listens(first, "job-1")
        cli.listens(second, "job-2")
        gate.touch()
        assert (first.ended(), second.ended()) == (0, 3)
    assert "session_success" in first.text
    assert "session_failure" in second.text
    assert "second" in cli("session", "logs", "job-2").out
    dead = ("--dead", "--filter", 'name like "job-%"')
    wait_until(lambda: len(cli.statuses(*dead)) == 3, why=lambda: cli("ps", *dead).text)
    rows = {row["Name"]: row for row in cli("ps", "-f", "name,status,result,status_info", *dead).rows}
    ends = [(rows[f"job-{number}"]["Status"], rows[f"job-{number}"]["Result"]) for number in (1, 2, 3)]
    assert ends == [("TERMINATED", "SUCCESS"), ("TERMINATED", "FAILURE"), ("CANCELLED", "UNDEFINED")]
    assert "'job-2' has ended (task-failed: exit status 3)" in rows["job-3"]["Status Info"]
