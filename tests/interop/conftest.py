"""Others' clients and servers, unmodified, each started for real.

Run with `pytest tests/interop --interop`.

* `backendai`: a real Backend.AI manager, shared by all tests; its sessions are theirs to end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import chromium as chromium
from tests.browser.conftest import lab as lab
from tests.browser.conftest import page as page
from tests.browser.conftest import tab as tab
from tests.interop.backendai_server import Server, running
from tests.kernels.conftest import jupyter as jupyter


@pytest.fixture(scope="session")
def backendai() -> Iterator[Server]:
    """A real Backend.AI manager, in a folder that PostgreSQL's user may enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, running(Path(folder)) as server:
        yield server
