"""Records for tests that need no process."""

from __future__ import annotations

from decimal import Decimal

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.wire.environment import Launch


def make_record(name: str = "demo", **slots: int | str) -> Record:
    """A pending session asking for `slots`, 1 CPU and 512 MiB unless given."""
    amounts = {"cpu": Decimal(1), "mem": Decimal(512 * 1024**2)}
    amounts |= {key.replace("_", "."): Decimal(value) for key, value in slots.items()}
    launch = Launch(argv=["python3", "-f", "{connection_file}"], env={}, cwd="/tmp")
    return Record(
        name=name, image="python3", access_key="AKIATEST", slots=amounts, launch=launch, folder="/tmp/none"
    )
