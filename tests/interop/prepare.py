"""Make what tests of others' clients and servers would wait for: environments, and databases of Backend.AI's releases.

Run with `python -m tests.interop.prepare`, in the background of something else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.interop import venvs
from tests.interop.backendai_server import NEWEST, OLDEST, running
from tests.interop.backendai_server.releases import USUAL

CLIENTS = (
    venvs.BACKENDAI_23,
    venvs.BACKENDAI_25,
    venvs.BACKENDAI_26,
    venvs.SKAHA,
    venvs.CANFAR,
    venvs.JUPYTERHUB,
    venvs.TENSORBOARD,
)


def main() -> None:
    """Make all for which there is a Python here."""
    for release in (USUAL, NEWEST, OLDEST):
        if release.environment.possible():
            with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, running(Path(folder), release):
                pass  # What it took to get there is kept.
    for venv in (*CLIENTS, venvs.collaboration()):
        if venv.possible():
            venv.site_packages()


if __name__ == "__main__":
    main()
