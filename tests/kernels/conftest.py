"""Kernels on sessions of a manager of the test's own.

* `jupyter`: a Jupyter data folder, with the kernels `owned` and `attached` (to the session `demo`).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_sessions.kernels import session_kernels, specs

SMALL = {"cpu": "0.5", "mem": "400m"}


@pytest.fixture
def jupyter(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder; the kernels' sessions are ended afterwards with those of `state`."""
    folder = tmp_path / "data"
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    specs.add(specs.Kernel(name="owned", display_name="Owned", image="python", resources=SMALL))
    specs.add(specs.Kernel(name="attached", display_name="Attached", session="demo"))
    session_kernels.current().close()  # Its connection is to another test's manager.
    return folder


def change(jupyter: Path, **config: object) -> None:
    """Change the configuration of the kernel `owned`."""
    file = jupyter / "kernels" / "owned" / "kernel.json"
    spec = json.loads(file.read_text())
    spec["metadata"]["kernel_provisioner"]["config"] |= config
    file.write_text(json.dumps(spec))
