"""`jupyter session` as a person types it, as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def session(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command, found beside this Python as `jupyter session` finds it."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "120")

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))

    def run(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("jupyter-session")), *words]
        return subprocess.run(program, input=typed, capture_output=True, text=True, timeout=60, cwd=tmp_path)

    return run


def test_sessions(session: Run) -> None:
    made = session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [
        "demo is running: python3 · 0.5 CPU · 256 MiB on this machine",
        "Services: jupyter, terminal. `jupyter session open demo jupyter` opens one. `jupyter session console demo`"
        " opens a console on it.",
    ]
    assert "demo" in session("ps").stdout
    assert session("logs", "demo").stdout == "", "nothing of its own was printed yet"
    (row,) = json.loads(session("ps", "--json").stdout)
    assert row["name"] == "demo"
    nothing = session("output", "demo", "1")
    assert (nothing.returncode, nothing.stderr) == (
        1,
        "The session 'demo' has no execution 1. Nothing has run in it yet.\n",
    )
    assert session("rm", "demo").stdout == "demo has ended.\n"
    assert session("ps").stdout == "There are no sessions. `jupyter session create python` creates one.\n"


def test_other_clients_are_let_in(session: Run) -> None:
    done = session("env")
    lines = dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())
    assert httpx.get(lines["BACKEND_ENDPOINT"], trust_env=False).json()["version"].startswith("v")
    assert lines["CANFAR_URL"] == f"{lines['BACKEND_ENDPOINT']}/skaha/v1"
    assert all(lines[name] for name in ("BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY", "CANFAR_TOKEN"))
    assert session("env", "local").stdout == done.stdout


def test_a_backend_is_added_and_signed_in_to(session: Run, tmp_path: Path) -> None:
    lines = dict(line.removeprefix("export ").split("=", 1) for line in session("env").stdout.splitlines())
    url, key, secret = (lines[f"BACKEND_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
    added = session("backend", "add", "lab", "--kind", "backendai", "--url", url)
    assert added.returncode == 0 and added.stdout.splitlines() == [
        "Added the backend lab: A manager of jupyter_sessions, API v7.20230615.",
        "`jupyter session login lab` signs in to it.",
    ], added
    again = session("backend", "add", "lab", "--kind", "skaha", "--url", url)
    assert (again.returncode, again.stderr) == (
        1,
        "'lab' is a backend you have added already. Use another name.\n",
    )
    nobody = session("login", "lab", typed=f"{key}\n{secret}\n")
    assert nobody.returncode == 1 and "`--save`" in nobody.stderr
    wrong = session("login", "lab", "--keypair", key, "--save", typed="wrong-secret\n")
    assert (
        wrong.returncode == 1 and "Signature mismatch" in wrong.stderr and "wrong-secret" not in wrong.stderr
    )
    assert "lacks access_key" in session("ps", "--backend", "lab").stderr
    done = session("login", "lab", "--save", typed=f"{key}\n{secret}\n")
    file = tmp_path / "data" / "jupyter_sessions" / "signed_in" / "lab.json"
    assert done.stdout == f"You are signed in to lab as {key}. The credentials are saved in {file}.\n", done
    assert file.stat().st_mode & 0o777 == 0o600
    made = session("create", "python", "-t", "demo", "--backend", "lab", "--cpu", "0.5", "--mem", "256m")
    assert made.returncode == 0 and "No folder is mounted: this session's files" in made.stdout, made
    assert "demo" in session("ps", "--backend", "lab").stdout
    shown = session("backend", "list").stdout
    assert f"{key} (saved)" in shown and "you" in shown and secret not in shown
    assert session("logout", "lab").stdout == "You are signed out of lab.\n"
    assert not file.exists() and "lacks access_key" in session("ps", "--backend", "lab").stderr
    assert session("backend", "rm", "lab").stdout == "Removed the backend lab.\n"
    assert session("backend", "rm", "local").returncode == 1


def test_access_that_expires_is_said_beside_the_list(
    session: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = {"mode": "oidc", "token": {"access": "x"}, "expiry": {"access": time.time() + 2 * 86400 - 60}}
    vendors = {
        "version": 2,
        "active": {"authentication": "srcnet", "server": "sky"},
        "authentication": {"srcnet": token},
        "servers": {"sky": {"idp": "srcnet", "url": "http://127.0.0.1:9/skaha", "version": "v1"}},
    }
    (tmp_path / ".canfar").mkdir()
    (tmp_path / ".canfar" / "config.yaml").write_text(json.dumps(vendors))
    settings = {"JupyterSessions": {"backends": {"sky": {"type": "skaha"}}}}
    (tmp_path / "config" / "jupyter_sessions_config.json").write_text(json.dumps(settings))
    done = session("ps", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n")
    down, expires = done.stderr.splitlines()
    assert down.startswith("sky: sky cannot be reached")
    assert expires == "Your access to sky expires in 2 days. `canfar login` renews it."


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["info", "nowhere"], 1, "There is no session 'nowhere'. `jupyter session ps` lists"),
        (["env", "nowhere"], 1, "Choose from: local."),
        (["login", "nowhere"], 1, "Choose from: local."),
        (["login", "local", "--token"], 2, "Nobody signs in to 'local'"),
        (["backend", "add", "x", "--kind", "skaha", "--url", "nowhere"], 2, "The URL is no address."),
        (["frob"], 2, "There is no verb 'frob'. `jupyter session --help` lists the verbs."),
        (["kernel"], 2, "`jupyter session kernel` is not complete. Type one of these: kernel add,"),
        (["kernel", "add"], 2, "`jupyter session kernel add` needs a name."),
        (["kernel", "add", "A b"], 2, "'A b' is not a valid kernel name."),
        (["kernel", "add", "some", "--image", "pyton"], 2, "Did you mean 'python'?"),
        (["kernel", "add", "some", "--session", "nowhere"], 1, "There is no session 'nowhere'."),
        (["kernel", "add", "some", "--backend", "nowhere"], 1, "Choose from: local."),
        (["kernel", "add", "some", "--gpu", "x"], 2, "Give a number above 0"),
        (["kernel", "rm", "python3"], 1, "There is no kernel 'python3' on a session."),
    ],
)
def test_refusals(session: Run, words: list[str], code: int, said: str) -> None:
    done = session(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_kernels(session: Run, tmp_path: Path) -> None:
    settings = {"JupyterSessions": {"gpus": ["0", "1"]}}
    (tmp_path / "config" / "jupyter_sessions_config.json").write_text(json.dumps(settings))
    assert session("kernel", "list").stdout.startswith("No kernel runs in sessions.")
    made = session("kernel", "add", "big", "--gpu", "2", "--backend", "local")
    assert (made.returncode, made.stdout) == (0, "Added the kernel big: Python · 2 GPU\n"), made
    made = session("kernel", "add", "small", "--image", "python", "--cpu", "1", "--mem", "1g")
    assert (made.returncode, made.stdout) == (0, "Added the kernel small: Python · 1 CPU · 1 GiB\n")
    session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m")
    assert session("kernel", "add", "visit", "--session", "demo", "--display-name", "Mine").returncode == 0
    listed = {kernel["name"]: kernel for kernel in json.loads(session("kernel", "list", "--json").stdout)}
    assert listed["small"]["resources"] == {"cpu": "1", "mem": "1g"}
    assert (listed["big"]["resources"], listed["big"]["backend"]) == ({"cuda.device": "2"}, "local")
    assert (listed["visit"]["display_name"], listed["visit"]["session"]) == ("Mine", "local/demo")
    seen = subprocess.run(
        [sys.executable, "-m", "jupyter_client.kernelspecapp", "list", "--json"],
        capture_output=True,
        text=True,
    )
    specs = {name: found["spec"] for name, found in json.loads(seen.stdout)["kernelspecs"].items()}
    assert specs["small"]["metadata"]["kernel_provisioner"]["provisioner_name"] == "jupyter-sessions"
    assert {"--backend", "local", "--resource", "cuda.device=2"} < set(specs["big"]["argv"])
    assert session("kernel", "rm", "small", "visit", "big").returncode == 0
    assert json.loads(session("kernel", "list", "--json").stdout) == []


def test_the_console_visits_a_session(session: Run, tmp_path: Path) -> None:
    pytest.importorskip("jupyter_console")
    session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m")
    leader, follower = pty.openpty()
    program = [sys.executable, "-m", "jupyter_sessions.cli", "console", "demo"]
    env = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
    process = subprocess.Popen(program, preexec_fn=lambda: os.login_tty(follower), cwd=tmp_path, env=env)
    os.close(follower)
    type_in(leader, "In [", b"print(6 * 7)\r", "42\r\n", "In [")
    busy = b"import time; print('be' + 'gun'); time.sleep(100)\r"
    type_in(
        leader, busy, "begun\r\n", b"\x03", "KeyboardInterrupt", "In [", b"print(7 * 7)\r", "49\r\n", "In ["
    )
    type_in(leader, b"\x04", "exit", b"y\r", "keeping kernel alive")
    assert process.wait(30) == 0
    assert json.loads(session("info", "demo", "--json").stdout)["status"] == "RUNNING"


def type_in(terminal: int, *script: str | bytes) -> None:
    """Wait for each text and type each bytes."""
    shown = ""
    for step in script:
        if isinstance(step, bytes):
            os.write(terminal, step)
            continue
        while step not in shown:
            shown += os.read(terminal, 65536).decode(errors="replace")
        shown = shown.partition(step)[2]


def test_a_terminal_without_utf8_is_shown_all_the_same(session: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    made = session("create", "python", "-t", "demo", "--cpu", "0.5", "--mem", "256m", "--tag", "größer·😀")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines()[0] == "demo is running: python3 , 0.5 CPU , 256 MiB on this machine"
    assert session("ps").stdout.splitlines()[1] == "-" * len(session("ps").stdout.splitlines()[1])
    (row,) = json.loads(session("ps", "--json").stdout)
    assert row["tag"] == "größer·😀"


def test_help_speaks_of_the_shells_commands_and_of_cells(session: Run) -> None:
    shown = session("--help").stdout
    assert shown.startswith("usage: jupyter session VERB") and "%jupyter" not in shown
    assert "run %%session cells in it (in a notebook)" in shown and "\n  complete " not in shown


def test_who_closes_the_pipe_early_gets_no_traceback(session: Run) -> None:
    program = str(Path(sys.executable).with_name("jupyter-session"))
    for words in ("--help", "create --help", "nonsense"):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [program, *words.split()], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
        )
        os.close(writing)
        assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr, done.stderr
        assert done.returncode == (2 if words == "nonsense" else 141)


SEED_003 = (
    "session_id,main_kernel_id,tag,name,type,image,registry,cluster_template,cluster_mode,cluster_size,domain_name,"
    "group_name,group_id,agent_ids,user_email,user_id,access_key,status,status_info,status_changed,created_at,"
    "terminated_at,starts_at,scheduled_at,startup_command,result,resource_opts,scaling_group,service_ports,mounts,"
    "occupying_slots,dependencies,abusing_reports,idle_checks"
).split(",")
EMPTY = {
    *("cluster_template", "status_info", "terminated_at", "startup_command", "mounts", "abusing_reports"),
    "starts_at",
}
"""What a session as below has not."""


def test_what_is_chosen_is_asked_for(session: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20000")
    small = ("--cpu", "0.3", "--mem", "256m")
    session("create", "python", "-t", "first", *small)
    options = ("--depends", "first", "--tag", "t", "--resource-opts", "shmem=32m", "--idle-timeout", "1h")
    session("create", "python", "-t", "demo", *small, *options, "--enqueue-only")
    session("rm", "first")
    for _ in range(100):
        if json.loads(session("info", "demo", "--json").stdout)["status"] == "RUNNING":
            break
    (row,) = json.loads(session("ps", "--json").stdout)
    whole = json.loads(session("info", "demo", "--json").stdout)
    assert row["dependencies"] and row["idle_checks"].keys() == whole["idle_checks"].keys()
    assert whole.keys() - row.keys() <= {"containers", "live_stat", "last_stat", "extra"}
    head, _, line = session("ps", "--format", ",".join(SEED_003)).stdout.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+(?: \S+)*", head)]
    cells = [line[one:end].strip() for one, end in zip(starts, [*starts[1:], None], strict=True)]
    assert {field for field, cell in zip(SEED_003, cells, strict=True) if not cell} == EMPTY
