"""The relay of a test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.channels.scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    """The relay's sockets need short paths."""
    folder = Path(tempfile.mkdtemp(prefix="standin"))
    made = Scene(folder)
    yield made
    made.relay.close()
    shutil.rmtree(folder)
