"""`%session ps --json`, `jupyter session ps --json` and REST say the same, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import msgspec

from jupyter_sessions.commands.ps import JSON_FIELDS
from tests import processes

SPEC = {"image": "python", "resources": {"cpu": "0.5", "mem": "256m"}, "tag": "größer 'x' \u202e"}


def test_three_faces_one_answer(machine: Path, tmp_path: Path) -> None:
    with processes.server(machine, tmp_path) as server, server.shell() as kernel:
        for name in ("waits-1", "waits-2"):
            server.ask("POST", "jupyter-sessions/sessions", SPEC | {"name": name, "starts_at": "5h"})
        kernel.run("%load_ext jupyter_sessions")
        params = {"details": ",".join(JSON_FIELDS), "status": "pending"}
        url = f"{server.info['url']}jupyter-sessions/sessions"
        answer = httpx.get(url, params=params, headers=server.own, trust_env=False).content
        rows = bytes(msgspec.json.decode(answer, type=dict[str, msgspec.Raw])["sessions"])
        magic = kernel.run("%session ps --json -s PENDING").text.rstrip("\n").encode()
        program = [str(Path(sys.executable).with_name("jupyter-session")), "ps", "--json", "-s", "PENDING"]
        done = subprocess.run(program, env=server.env, capture_output=True, check=True, cwd=tmp_path)
        shell = done.stdout.rstrip(b"\n")
    assert b'"waits-1"' in rows and len(msgspec.json.decode(rows)) == 2
    assert magic == shell == msgspec.json.format(rows, indent=2)
