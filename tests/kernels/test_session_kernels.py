"""What kernels of one process share is kept in one object, and goes with it."""

from __future__ import annotations

import ast
import asyncio
import threading
from pathlib import Path

import pytest

from jupyter_sessions.client import Api
from jupyter_sessions.kernels import session_kernels
from jupyter_sessions.kernels.session import KernelSession, Wanted, say
from jupyter_sessions.kernels.session_kernels import SessionKernels
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService

KERNELS = Path(session_kernels.__file__).parent
_MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
_MAKERS = {
    "Bridge",
    "Counter",
    "WeakValueDictionary",
    "WeakSet",
    "dict",
    "list",
    "set",
    "defaultdict",
    "deque",
}


def row(id: str) -> SessionInfo:
    return SessionInfo(
        backend="local",
        id=id,
        name=id,
        image="python",
        type="interactive",
        status="RUNNING",
        status_info="",
        resources={},
        services=[],
        created_at=None,
    )


def in_session(kernels: SessionKernels) -> KernelSession:
    kernel = KernelSession(Wanted(spec=SessionSpec()), say, kernels)
    kernel.row = row("a")
    return kernel


def test_no_module_keeps_anything_of_kernels() -> None:
    found = []
    for file in KERNELS.glob("*.py"):
        for node in ast.parse(file.read_bytes()).body:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                continue
            value = node.value.func if isinstance(node.value, ast.Call) else node.value
            made = isinstance(value, _MUTABLE) or (isinstance(value, ast.Name) and value.id in _MAKERS)
            found += [f"{file.name}:{node.lineno}"] if made else []
    assert found == []


def test_each_has_its_own_kernels() -> None:
    one, other = SessionKernels(), SessionKernels()
    kernel = in_session(one)
    one.add("k", kernel)
    assert kernel.row is not None
    one.hold(kernel.row)
    one.hold(kernel.row)
    assert one.is_shared(kernel.row) and not other.is_shared(kernel.row)
    assert (one.session_of("k"), other.session_of("k")) == (kernel.row, None)
    assert (one.sessions(), other.sessions()) == ({("local", "a")}, set())
    assert (one.release(kernel.row), one.release(kernel.row)) == (False, True)


def test_closed_it_knows_no_kernel_and_has_no_thread(service: SessionService) -> None:
    kernels = SessionKernels()
    kernel = in_session(kernels)
    kernels.add("k", kernel)
    before = set(threading.enumerate())
    begun, asked = threading.Event(), threading.Event()

    async def for_ever(api: Api) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            asked.set()

    watch = kernels.start(for_ever)
    assert begun.wait(60)
    kernels.close()
    assert asked.is_set() and watch.cancelled()
    assert kernels.session_of("k") is None and kernels.sessions() == set()
    assert set(threading.enumerate()) <= before
    kernels.close()


@pytest.mark.asyncio
async def test_those_of_a_server_are_found_until_it_ends(service: SessionService) -> None:
    own = session_kernels.current()
    assert own is session_kernels.current() and not own.in_server
    mine = SessionKernels(service)
    session_kernels.use(mine)
    try:
        assert session_kernels.current() is mine and mine.in_server

        async def which(api: Api) -> Api:
            return api

        assert await mine.call(which) is service
    finally:
        session_kernels.use(None)
    assert session_kernels.current() is own
