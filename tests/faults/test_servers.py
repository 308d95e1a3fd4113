"""Jupyter servers as processes: what outlives them, what they share, and how their kernels find them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from jupyter_sessions.client import Bridge
from jupyter_sessions.client.remote import RemoteService
from jupyter_sessions.wire.access import SCHEME, VARIABLE
from tests import processes
from tests.conftest import need
from tests.manager.world import contact
from tests.processes import Server, read_access, server
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("machine")


def test_sessions_outlive_the_server(machine: Path, tmp_path: Path) -> None:
    with server(machine, tmp_path / "a") as first:
        row = first.running("demo")
        first.run(row, "x = 41")
        file = first.access_file
        assert file.stat().st_mode & 0o777 == 0o600
        with httpx.stream(
            "GET", f"{first.info['url']}jupyter-sessions/events", headers=first.own, trust_env=False
        ) as events:
            begun = time.monotonic()
            first.stop()
            with suppress(httpx.TransportError):
                events.read()
            assert time.monotonic() - begun < 10
        assert not file.exists()
    assert "Traceback" not in first.log.read_text() and "was destroyed" not in first.log.read_text()
    with server(machine, tmp_path / "b") as second:
        (again,) = second.ask("GET", "jupyter-sessions/sessions")["sessions"]
        assert (again["id"], again["status"]) == (row["id"], "RUNNING")
        assert second.run(row, "print(x + 1)") == "42\n"


def test_a_kernel_whose_server_died_goes_on_by_itself(machine: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jupyter"
    with server(machine, folder) as first, processes.kernel(machine, folder, first.access_file) as shell:
        shell.run("%load_ext jupyter_sessions")
        assert "demo is running" in shell.run("%session create python --cpu 0.5 --mem 256m --name demo").text
        shell.run("%%session demo\nx = 41")
        assert [row["name"] for row in first.ask("GET", "jupyter-sessions/sessions")["sessions"]] == ["demo"]
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        assert "demo" in shell.run("%session ps").text
        assert shell.run("%%session demo\nprint(x + 1)").text == "42\n"
    assert first.access_file.exists()
    with server(machine, folder) as second, processes.kernel(machine, folder, first.access_file) as shell:
        assert not first.access_file.exists()  # Whoever comes next tidies up.
        shell.run("%load_ext jupyter_sessions")
        assert shell.run("%%session demo\nprint(x + 1)").text == "42\n"
        asked = [line for line in second.log.read_text().splitlines() if "jupyter_sessions" in line]
        assert not any("Traceback" in line for line in asked)


def test_a_running_server_is_signed_in_from_a_shell_and_from_a_notebook(
    machine: Path, tmp_path: Path
) -> None:
    with server(machine, tmp_path) as made, made.shell() as shell:
        made.running("demo")
        keypair = contact().keypair
        shell.run("%load_ext jupyter_sessions")
        added = shell.run(f"%session backend add lab --kind backendai --url {contact().url}")
        assert "Added the backend lab" in added.text, added.error
        path = "jupyter-sessions/backends"
        wait_until(lambda: len(made.ask("GET", path)["backends"]) == 2, why=made.log.read_text)
        wrong = shell.run("%session login lab", answers=(keypair.access_key, "wrong-secret"))
        assert "Signature mismatch" in wrong.error and "wrong-secret" not in wrong.error + wrong.text
        asked = shell.run(f"%session login lab --keypair {keypair.access_key}", answers=(keypair.secret_key,))
        assert f"You are signed in to lab as {keypair.access_key} on http" in asked.text, asked.error
        assert [question["password"] for question in asked.of("input_request")] == [True]
        assert "demo" in shell.run("%session ps --backend lab").text

        command = [sys.executable, "-m", "jupyter_sessions.cli"]
        out = subprocess.run([*command, "logout", "lab"], env=made.env, capture_output=True, text=True)
        assert out.stdout == "You are signed out of lab.\n", out.stderr
        refused = shell.run("%session ps --backend lab")
        assert "lacks access_key" in refused.text + refused.error
        given = f"{keypair.access_key}\n{keypair.secret_key}\n"
        again = subprocess.run(
            [*command, "login", "lab"], env=made.env, input=given, capture_output=True, text=True
        )
        assert "You are signed in to lab as" in again.stdout, again.stderr
        assert "demo" in shell.run("%session ps --backend lab").text
        files = [
            path.read_text() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".sqlite"
        ]
        assert keypair.secret_key not in "".join(files) and "wrong-secret" not in "".join(files)


def test_a_server_that_dies_during_a_cell_is_said_in_one_sentence(machine: Path, tmp_path: Path) -> None:
    with server(machine, tmp_path) as first, processes.kernel(machine, tmp_path, first.access_file) as shell:
        shell.run("%load_ext jupyter_sessions")
        shell.run("%session create python --cpu 0.5 --mem 256m --name demo")
        code = "print('begun', flush=True)\nimport time; time.sleep(3)\ny = 1"
        ran = shell.run(f"%%session demo\n{code}", on_text={"begun": first.process.kill})
        assert ran.reply["ename"] == "BackendUnavailable" and "jupyter_sessions" not in ran.error
        assert shell.run("%%session demo\nprint(y)").text == "1\n"


@pytest.fixture(scope="module")
def second_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another virtual environment, that sees the packages of this one."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
    # An editable install is found through .pth files, which only a site folder has.
    (Path(packages) / "first.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    return python


def test_two_environments_share_a_manager_and_keep_their_own(
    machine: Path, tmp_path: Path, second_python: Path
) -> None:
    look = "import os, sys; print(sys.prefix, os.getcwd())"
    with (
        server(machine, tmp_path / "a") as first,
        server(machine, tmp_path / "b", python=str(second_python)) as second,
    ):
        one, two = first.running("one-py"), second.running("two-py")
        for asked in (first, second):
            listed = asked.ask("GET", "jupyter-sessions/sessions")["sessions"]
            assert {row["name"] for row in listed} == {"one-py", "two-py"}
        assert first.run(one, look) == f"{sys.prefix} {tmp_path / 'a' / 'root'}\n"
        assert second.run(two, look) == f"{second_python.parents[1]} {tmp_path / 'b' / 'root'}\n"
        assert first.run(two, look) == second.run(two, look)


def alive(made: Server) -> bool:
    """Whether the client gets in with what the server's file says."""
    remote = RemoteService(read_access(made))
    return Bridge().run(remote.alive())


@pytest.fixture
def certificate(tmp_path: Path) -> Iterator[list[str]]:
    """Options for a self-signed certificate of another name."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        need("openssl", "it makes certificates"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run(
        [*command, "-subj", "/CN=hub.example", "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    yield [f"--ServerApp.certfile={cert}", f"--ServerApp.keyfile={key}"]


def test_over_tls_with_a_certificate_of_its_own(
    machine: Path, tmp_path: Path, certificate: list[str]
) -> None:
    with server(machine, tmp_path, *certificate) as made:
        assert read_access(made).url.startswith("https://127.0.0.1:")
        assert alive(made)


def test_over_a_unix_socket(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("s")
    with server(
        machine, folder, f"--ServerApp.sock={folder}/j.sock", "--ServerApp.base_url=/user/ada/"
    ) as made:
        access = read_access(made)
        assert (access.socket, access.url) == (f"{folder}/j.sock", "http://localhost/user/ada/")
        assert alive(made)


def test_a_password_needs_no_word_from_kernels(machine: Path, tmp_path: Path) -> None:
    from jupyter_server.auth.security import passwd

    options = [
        f"--PasswordIdentityProvider.hashed_password={passwd('sesame', 'sha1')}",
        "--IdentityProvider.token=",
    ]
    with server(machine, tmp_path, *options) as made:
        assert alive(made)
        access = read_access(made)
        own = {"Authorization": f"{SCHEME} {access.token}"}
        for path in ("api/contents", "api/kernels", "api/me", "api/config/x"):
            assert httpx.get(access.url + path, headers=own, trust_env=False).status_code in (302, 403)


def test_a_configuration_that_cannot_be_used_is_said_by_all(machine: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "jupyter_sessions_config.json").write_text(
        json.dumps({"JupyterSessions": {"max_sessions": "many"}})
    )
    said = "The configuration cannot be used: The 'max_sessions' trait of a JupyterSessions instance expected an int"
    with server(machine, tmp_path) as made:
        answer = httpx.get(f"{made.info['url']}jupyter-sessions/sessions", headers=made.own, trust_env=False)
        assert answer.status_code == 400 and answer.json()["message"].startswith(said)
        with made.shell() as shell:
            shell.run("%load_ext jupyter_sessions")
            assert said in shell.run("%session ps").error
    assert said in made.log.read_text() and "Traceback" not in made.log.read_text()


def test_settings_of_files_and_of_the_server_reach_the_extension(machine: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    presets = {"small": {"image": "python", "resources": {"cpu": "0.2", "mem": "200m"}}}
    settings = {
        "presets": presets,
        "backends": {"far": {"type": "backendai", "secret_key": "the-secret-of-far"}},
    }
    (config / "jupyter_sessions_config.json").write_text(json.dumps({"JupyterSessions": settings}))
    with server(machine, tmp_path, "--JupyterSessions.default_backend=far", "--debug") as made:
        answer = made.ask("GET", "jupyter-sessions/backends")
        assert (answer["default_backend"], answer["presets"]) == ("far", presets)
        far = answer["backends"][1]
        assert far["health"]["ok"] is False and "lacks endpoint, access_key" in far["health"]["message"]
        assert "the-secret-of-far" not in json.dumps(answer) + made.log.read_text()
        row = made.running("demo", preset="small", backend="local", resources={"cpu": 1})
        assert row["resources"] == {"cpu": "1", "mem": "200m"}
        with made.shell() as shell:
            shell.run("%load_ext jupyter_sessions")
            said = shell.run(f"import os; print(os.environ['{VARIABLE}'])").text
            assert said == f"{made.access_file}\n"
            assert (
                shell.run(
                    "%%session demo\nimport os; print([k for k in os.environ if 'JUPYTER_S' in k])"
                ).text
                == "[]\n"
            )
            assert "far" in shell.run("%session ps").text
    assert VARIABLE not in os.environ
