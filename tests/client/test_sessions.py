"""`connect()` and its sessions as a program uses them, without a Jupyter server and through one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jupyter_sessions import AsyncSessions, ComputeSession, Sessions, connect
from jupyter_sessions.client import card
from jupyter_sessions.errors import (
    BackendUnavailable,
    CellFailed,
    InvalidRequest,
    LaunchFailed,
    NotFound,
    NotRunning,
    NotSupported,
    SessionNotFound,
)
from jupyter_sessions.model import Service, SessionInfo
from jupyter_sessions.wire.access import VARIABLE
from tests import processes
from tests.processes import Server, Shell
from tests.waiting import wait_until

HALF, SMALL = 0.5, "256m"


@pytest.fixture(scope="module", params=["alone", "through a server"])
def server(
    request: pytest.FixtureRequest, manager_folders: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server | None]:
    """A Jupyter server, or none."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("server")
        alone = request.param == "alone"
        yield None if alone else stack.enter_context(processes.server(manager_folders[False], folder))


@pytest.fixture
def sessions(
    server: Server | None, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sessions]:
    """The sessions of this machine, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    if server is not None:
        monkeypatch.setenv(VARIABLE, str(server.access_file))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.folder / "runtime"))
    with connect() as found:
        yield found


@pytest.fixture
def demo(sessions: Sessions) -> ComputeSession:
    """A session that runs."""
    return sessions.create("python", cpu=HALF, mem=SMALL, name="demo")


def test_create_list_and_find(sessions: Sessions) -> None:
    environ = {"WORD": "x", "KEY": "hidden"}
    with sessions.create(
        "python", cpu=HALF, mem=SMALL, name="demo", environ=environ, secrets=["KEY"], tag="t"
    ) as demo:
        assert demo.info.environ["WORD"] == "x" and "hidden" not in str(demo.info.environ)
        assert demo.run("import os; print(os.environ['KEY'])", show=False).text == "hidden\n"
        assert (demo.name, demo.backend, demo.status, demo.info.tag) == ("demo", "local", "RUNNING", "t")
        assert demo.info.resources == {"cpu": "0.5", "mem": "256m"} and demo.info.cwd == os.getcwd()
        assert [one.id for one in sessions] == [one.id for one in sessions.list()] == [demo.id]
        for ref in ("demo", "local/demo", demo.id):
            assert sessions[ref].id == demo.id
        assert "demo" in sessions and "nowhere" not in sessions
        assert repr(demo) == "<ComputeSession local/demo, running: python3 · 0.5 CPU · 256 MiB>"
        again = sessions.create("python", cpu=HALF, mem=SMALL, name="demo")
        with again:
            assert again.id == demo.id
        assert demo.status == "RUNNING"  # It was there before.
    assert demo.status == "TERMINATED" and sessions.list() == []
    assert sessions.list("dead", limit=1)[0].id == demo.id
    with pytest.raises(SessionNotFound, match="'nowhere'"):
        sessions["nowhere"]


def test_keep(sessions: Sessions) -> None:
    with sessions.create("python", cpu=HALF, mem=SMALL, keep=True) as session:
        pass
    assert session.status == "RUNNING"
    with sessions[session.name]:
        pass
    assert session.status == "RUNNING"
    assert session.terminate().status == "TERMINATED" and session.terminate().status == "TERMINATED"


def test_run(demo: ComputeSession, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = demo.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = 6\nx * 7")
    assert capsys.readouterr() == ("out\n42\n", "err\n")
    assert outputs.text == "out\nerr\n" and outputs.result == {"text/plain": "42"}
    assert demo.run("print(x)", show=False).text == "6\n" and capsys.readouterr() == ("", "")
    with pytest.raises(CellFailed, match="ZeroDivisionError: division by zero") as caught:
        demo.run("1 / 0")
    assert caught.value.ename == "ZeroDivisionError" and "Traceback" in caught.value.__notes__[0]
    with pytest.raises(CellFailed, match="StdinNotImplementedError"):
        demo.run("input()")
    assert "StdinNotImplementedError" not in capsys.readouterr().out


def test_outputs_arrive_while_the_code_runs(demo: ComputeSession, tmp_path: Path) -> None:
    class Stream:
        def write(self, text: str) -> None:
            (tmp_path / "go").write_text(text)

        def flush(self) -> None: ...

    code = (
        "print('begun')\nimport pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.01)"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Stream())
        demo.run(code)


def test_what_is_known_of_it(demo: ComputeSession, server: Server | None) -> None:
    demo.run("x = bytearray(50_000_000)")
    wait_until(lambda: (demo.usage.mem or 0) > 40_000_000)
    assert (demo.usage.cpu or 0) >= 0 and demo.usage.gpu is None
    assert [event.what for event in demo.events()][:2] == ["PENDING", "PREPARING"]
    link = demo.services["jupyter"]
    if server is None:
        with pytest.raises(NotSupported, match="none runs"):
            link.open()
    else:
        assert link.url == f"{server.info['url']}jupyter-sessions/services/local/{demo.id}/jupyter/"
        assert f"href='{link.url}'" in demo._repr_html_()
    with pytest.raises(NotFound, match=r"no service 'x'\. There are: jupyter"):
        demo.services["x"]
    assert "<strong>demo</strong>" in demo._repr_html_() and "Running" in demo._repr_html_()


def test_restart_rename_renew_and_wait(demo: ComputeSession) -> None:
    demo.run("x = 1")
    assert demo.rename("other").name == demo.name == "other"
    demo.restart()
    assert demo.wait(timeout=30).restarts == 1
    with pytest.raises(CellFailed, match="NameError"):
        demo.run("x")
    assert demo.renew().status == "RUNNING"
    with pytest.raises(TimeoutError, match=r"The session 'other' is running, after 0\.1 s"):
        demo.wait("ended", timeout=0.1)
    with pytest.raises(InvalidRequest, match="wait for 'gone'"):
        demo.wait("gone")  # type: ignore[arg-type]
    demo.terminate()
    with pytest.raises(LaunchFailed, match="has ended"):
        demo.wait()
    with pytest.raises(NotRunning):
        demo.run("1")


def test_one_that_waits(sessions: Sessions, demo: ComputeSession) -> None:
    whole = sessions.stats["local"]["mem"].total
    with pytest.raises(TimeoutError, match="is waiting"):
        sessions.create("python", cpu=HALF, mem=whole, name="large", timeout=0.2)
    large = sessions["large"]
    assert (large.status, large.terminate().status) == ("PENDING", "CANCELLED")
    with sessions.create("python", cpu=HALF, mem=whole, wait=False) as large:
        assert large.status == "PENDING"
    assert large.status == "CANCELLED"
    assert [info.name for info in sessions.backends] == ["local"]


def test_a_batch_session_and_its_log(sessions: Sessions) -> None:
    command = "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 3"
    with sessions.create(
        "python", cpu=HALF, mem=SMALL, type="batch", startup_command=command, wait=False
    ) as job:
        parts = []
        for part in job.logs(follow=True):
            parts.append(part)
            Path("go").touch()
        assert "".join(parts) == job.logs() == "one\ntwo\n" and parts[0] == "one\n"
        assert job.wait("ended").exit_code == 3


def test_files(demo: ComputeSession, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(os.urandom(3_000_000))
    demo.upload("data.bin", "there/copy.bin")
    assert [(entry.name, entry.size) for entry in demo.ls("there")] == [("copy.bin", 3_000_000)]
    (tmp_path / "back").mkdir()
    assert demo.download("there/copy.bin", "back") == Path("back/copy.bin")
    assert (tmp_path / "back/copy.bin").read_bytes() == (tmp_path / "data.bin").read_bytes()
    with pytest.raises(NotFound):
        demo.download("nothing", "back/nothing")
    assert os.listdir("back") == ["copy.bin"]
    (tmp_path / "code").mkdir()
    (tmp_path / "code/main.py").write_text("1")
    demo.upload("code", "job")
    assert demo.download("job/main.py").read_text() == "1"
    with pytest.raises(NotFound, match="no file or folder 'nowhere'"):
        demo.upload("nowhere")


def test_from_several_threads(sessions: Sessions, demo: ComputeSession) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(demo.run(f"print({n})", show=False).text))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == ["0\n", "1\n", "2\n", "3\n"]


def test_a_backend_that_is_down_is_warned_of(
    sessions: Sessions, server: Server | None, demo: ComputeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server is not None:
        pytest.skip("the server has its own configuration")
    monkeypatch.setenv("CANFAR_URL", "http://127.0.0.1:9/skaha/v1")
    monkeypatch.setenv("CANFAR_TOKEN", "t")
    with connect() as others:
        with pytest.warns(UserWarning, match="sessions of 'skaha' are missing"):
            assert [one.id for one in others] == [demo.id]
        with pytest.raises(BackendUnavailable, match="could not be listed"):
            others.list(backend="skaha")


@pytest.mark.asyncio
async def test_awaited(server: Server | None, sessions: Sessions, capsys: pytest.CaptureFixture[str]) -> None:
    async with connect(asynchronous=True) as found:
        assert isinstance(found, AsyncSessions)
        async with await found.create("python", cpu=HALF, mem=SMALL, name="demo") as demo:
            assert [one.id async for one in found] == [demo.id] == [(await found.get("demo")).id]
            assert (await demo.status(), (await demo.usage()).gpu) == ("RUNNING", None)
            outputs = await demo.run("print('out')")
            assert outputs.text == capsys.readouterr().out == "out\n"
            with pytest.raises(CellFailed) as failed:
                await demo.run("1 / 0")
            assert (await demo.run("1")).text == "" and failed.value.ename == "ZeroDivisionError"
            task = asyncio.create_task(demo.run("print('begun')\nimport time\ntime.sleep(600)"))
            while "begun" not in capsys.readouterr().out:
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await demo.run("print('after')")).text == "after\n"  # It was interrupted.
            assert (await demo.services())["jupyter"].protocol == "http"
        assert (await demo.info()).live is False


@pytest.fixture
def notebook(server: Server | None, machine: Path, tmp_path: Path) -> Iterator[Shell]:
    """A kernel in which a person types."""
    if server is None:
        with processes.kernel(machine, tmp_path) as shell:
            yield shell
    else:
        with server.shell() as shell:
            yield shell


def test_in_a_notebook(notebook: Shell) -> None:
    code = f"import jupyter_sessions\nsessions = jupyter_sessions.connect()\nsessions.create('python', cpu={HALF}, mem='{SMALL}', name='demo')"
    made = notebook.run(code)
    assert "<strong>demo</strong>" in made.html and "● Running" in made.html, made.error
    assert made.text == "<ComputeSession local/demo, running: python3 · 0.5 CPU · 256 MiB>"
    ran = notebook.run(
        "demo = sessions['demo']\ndemo.run('from IPython.display import HTML\\nprint(1)\\nHTML(\"<b>b</b>\")')"
    )
    assert ran.of("stream") == [{"name": "stdout", "text": "1\n"}] and ran.html == "<b>b</b>"
    assert len(ran.of("execute_result")) == 0 and len(ran.of("display_data")) == 1
    assert notebook.run("demo.run(\"print(input('name? '))\")", answers=("Ada",)).text.endswith("Ada\n")
    failed = notebook.run("demo.run('1/0')")
    assert failed.reply["ename"] == "CellFailed" and "ZeroDivisionError" in failed.error
    assert "jupyter_sessions" not in failed.error
    code = "demo.run('print(\"begun\", flush=True)\\nimport time\\nwhile True:\\n    time.sleep(0.01)')"
    stopped = notebook.run(code, on_text={"begun": notebook.interrupt})
    assert stopped.reply["ename"] == "CodeInterrupted" and "KeyboardInterrupt" in stopped.error
    assert notebook.run("demo.run('print(2)')").text == "2\n"
    assert notebook.run("await jupyter_sessions.AsyncSession().fetch(status='Running')").text.startswith(
        "[{'id': "
    )


SCRIPT = f"""
import jupyter_sessions, time
sessions = jupyter_sessions.connect()
with sessions.create("python", cpu={HALF}, mem="{SMALL}", name="demo") as demo:
    try:
        demo.run("print('begun', flush=True)\\nimport time\\ntime.sleep(600)")
    except KeyboardInterrupt as stop:
        print(type(stop).__name__, flush=True)
    print(demo.run("1 + 1").result, flush=True)
    print("waits", flush=True)
    demo.wait("ended")
"""


def test_ctrl_c_in_a_script(machine: Path, tmp_path: Path) -> None:
    """The first interrupt ends the code, the second the wait, and the session ends with its block."""
    program = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    program.send_signal(signal.SIGINT)
    assert program.stdout.readline() == "CodeInterrupted\n"
    assert [program.stdout.readline() for _ in range(2)] == ["2\n", "{'text/plain': '2'}\n"]
    assert program.stdout.readline() == "waits\n"
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGINT and "KeyboardInterrupt" in said, said
    with connect() as sessions:
        assert "demo" not in [one.name for one in sessions]


HOSTILE = "<script>alert('\"1\"')</script>\x1b[31m&"


def test_nothing_in_a_card_or_line_is_code() -> None:
    row = SessionInfo(
        backend=HOSTILE, id="i", name=HOSTILE, image=HOSTILE, type="interactive", status=HOSTILE, status_info=HOSTILE,
        resources={}, services=[Service(name=HOSTILE, url=HOSTILE)], created_at=None,
    )  # fmt: skip
    html = card.html(row, [(HOSTILE, HOSTILE)])
    assert "<script" not in html and "'\"" not in html.replace("&#x27;&quot;", "")
    assert card.line(row).isprintable()
