"""What the feed tells of: single changes, and batches of them. Their JSON says by `op` which change it is."""

from __future__ import annotations

import msgspec
from msgspec import structs

from jupyter_sessions.model import SessionInfo


class SessionPut(msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="put"):
    """A session is as this row says: a new one, one that has changed, or one that has ended."""

    session: SessionInfo


class SessionRemoved(msgspec.Struct, frozen=True, tag_field="op", tag="remove"):
    """A session is no longer listed, although it may live on: its backend has been removed, or other credentials see others."""

    backend: str
    id: str


class BackendChanged(msgspec.Struct, frozen=True, tag_field="op", tag="backend"):
    """A backend was added or removed, has failed or has recovered."""

    backend: str


class KernelsChanged(msgspec.Struct, frozen=True, tag_field="op", tag="kernels"):
    """The server has other kernels on sessions than before."""


Change = SessionPut | SessionRemoved | BackendChanged | KernelsChanged


class Position(msgspec.Struct, frozen=True):
    """Where a list of sessions stands: it includes all batches of this `epoch` up to the one numbered `rev`."""

    epoch: str
    rev: int


class Batch(Position, frozen=True):
    """Changes that belong together; applying all up to `rev` of this `epoch` gives the current list."""

    changes: list[Change]


def public(row: SessionInfo) -> SessionInfo:
    """Return a row for pushing: without what may hold secrets, and without what concerns one caller only."""
    return structs.replace(row, environ={}, owner=None, reused=False)
