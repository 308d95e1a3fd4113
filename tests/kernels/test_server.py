"""Notebooks on sessions beside a Jupyter server: who is told the key, and whose backends are used."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from jupyter_client import BlockingKernelClient

from jupyter_sessions.wire.access import SCHEME
from tests.processes import Shell, read_access, server, until_ready

pytestmark = pytest.mark.usefixtures("jupyter")


def test_pages_are_not_told_the_key(state: Path, tmp_path: Path) -> None:
    with server(state, tmp_path) as made:
        row = made.running("demo")
        url = f"{made.info['url']}jupyter-sessions/sessions/local/{row['id']}/connection"
        refused = httpx.post(url, json={}, headers=made.own, trust_env=False)
        assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
        scoped = {"Authorization": f"{SCHEME} {read_access(made).token}"}
        told = httpx.post(url, json={}, headers=scoped, trust_env=False)
        assert (told.status_code, told.json()["transport"]) == (200, "ipc")
        assert told.json()["key"] not in httpx.get(url.removesuffix("/connection"), headers=made.own).text


def test_which_session_a_kernel_runs_in(state: Path, tmp_path: Path) -> None:
    with server(state, tmp_path) as made:
        row = made.running("demo")

        def session_of(kernel: str) -> tuple[str | None, str | None]:
            uid = made.ask("POST", "api/kernels", {"name": kernel})["id"]
            told = made.ask("GET", f"jupyter-sessions/kernels/{uid}")
            made.ask("DELETE", f"api/kernels/{uid}")
            assert made.ask("GET", f"jupyter-sessions/kernels/{uid}") == {"backend": None, "id": None}
            return told["backend"], told["id"]

        assert session_of("attached") == ("local", row["id"])
        assert session_of("python3") == (None, None)


def test_a_kernel_knows_its_notebook_also_after_a_rename(state: Path, tmp_path: Path) -> None:
    with server(state, tmp_path) as made:
        notebook = {"type": "notebook", "path": "before.ipynb", "name": "before.ipynb"}
        session = made.ask("POST", "api/sessions", {**notebook, "kernel": {"name": "owned"}})
        kernel = session["kernel"]["id"]
        client = BlockingKernelClient(connection_file=str(tmp_path / "runtime" / f"kernel-{kernel}.json"))
        client.load_connection_file()
        until_ready(client, 60)
        shell = Shell(client, lambda: None)
        assert shell.run("print(__session__)").text == f"{tmp_path}/root/before.ipynb\n"
        after = {"path": "below/after.ipynb", "name": "after.ipynb"}
        (tmp_path / "root" / "below").mkdir()
        made.ask("PATCH", f"api/sessions/{session['id']}", after)
        made.ask("POST", f"api/kernels/{kernel}/restart")
        until_ready(client, 60)
        assert shell.run("print(__session__)").text == f"{tmp_path}/root/below/after.ipynb\n"
        client.stop_channels()
        made.ask("DELETE", f"api/sessions/{session['id']}")
