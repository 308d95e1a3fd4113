"""Whether a session outlives a logout depends on who runs the manager."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from jupyter_sessions.manager.api.survival import outlives_logout, outlives_server

SCOPE = f"0::/user.slice/user-1.slice/user@{os.getuid()}.service/app.slice/run-r1.scope\n"


def test_of_the_users_systemd_only_if_it_lingers(tmp_path: Path) -> None:
    assert not outlives_logout(SCOPE, tmp_path)
    (tmp_path / getpass.getuser()).touch()
    assert outlives_logout(SCOPE, tmp_path)


def test_of_anybody_else_always(tmp_path: Path) -> None:
    assert outlives_logout("0::/user.slice/user-1.slice/session-3.scope\n", tmp_path)
    assert outlives_logout("", tmp_path)


def test_a_server_restart_unless_it_takes_all_with_it() -> None:
    assert outlives_server("0::/user.slice/user-1.slice/session-3.scope\n", "/sbin/init")
    assert outlives_server(SCOPE, "/sbin/init")
    assert not outlives_server("0::/system.slice/jupyter.service\n", "/sbin/init")
    assert not outlives_server("0::/\n", "python3 -m jupyterlab")
