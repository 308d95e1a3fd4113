"""Real sessions of kernels of other makers and languages, of which some cannot speak ipc."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.interop.kernels import KERNELS, RESOURCES, Kernel
from tests.kernels.script import Client, client
from tests.manager.world import ended, reach, run, until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter")]


@pytest.mark.parametrize("name", KERNELS)
async def test_a_session(name: str, service: SessionService, jupyter: Path) -> None:
    kernel = KERNELS[name]
    kernel.install(name, jupyter)
    row = await run(service, "demo", image=name, resources=RESOURCES)
    assert ("other users" in row.limits.get("kernel", "")) is kernel.over_tcp
    await prints(service, row, kernel, 1)
    if kernel.interrupts:
        await interrupted(service, row, kernel.wait)
        await prints(service, row, kernel, 2)
    await service.restart("local", row.id)
    row = await reach(service, row, "RUNNING")
    await prints(service, row, kernel, 2 + kernel.interrupts)
    await service.destroy("local", row.id)
    assert (await ended(service, row)).status_info == "user-requested"
    again = await run(service, "again", image=name, resources=RESOURCES)
    assert [status for status, _ in again.status_history.items()].count("PREPARING") == 1
    await service.destroy("local", again.id)


async def prints(service: SessionService, row: SessionInfo, kernel: Kernel, times: int) -> None:
    """Set a variable and show it: so that has been printed so many times, if late (Deno, after it says it is done)."""
    for code in (kernel.set, kernel.show):
        outputs = [output async for output in service.execute("local", row.id, code)]
        assert outputs[-1].content["status"] == "ok", outputs[-1].content
    await until(lambda: _printed(service, row, times))


async def _printed(service: SessionService, row: SessionInfo, times: int) -> bool:
    return (await service.logs("local", row.id)).splitlines().count("21") == times


async def interrupted(service: SessionService, row: SessionInfo, code: str) -> None:
    """Run code that takes a minute, interrupt it, and wait until it has ended."""
    async with asyncio.timeout(30), aclosing(service.execute("local", row.id, code)) as outputs:
        async for output in outputs:
            if output.kind == "stream" and "begun" in output.content["text"]:
                await service.interrupt("local", row.id)


@pytest.mark.parametrize("name", KERNELS)
async def test_a_notebook(name: str, service: SessionService, jupyter: Path) -> None:
    kernel = KERNELS[name]
    kernel.install(name, jupyter)
    notebook = client(f"{name}-session")
    async with notebook.async_setup_kernel():
        assert notebook.km is not None and notebook.kc is not None
        await notebook.kc.execute(kernel.set, reply=True, timeout=60)
        await shows(notebook, kernel.show, "21")
        (row,) = (await service.list()).sessions
        await interrupt(notebook, kernel)
        if kernel.interrupts:
            await shows(notebook, kernel.show, "21")
        else:  # As for any notebook whose kernel has ended by itself, there is another one.
            await until(lambda: _restarted(service, row))
        await notebook.km.restart_kernel()
        await notebook.kc.wait_for_ready(60)
        await notebook.kc.execute(kernel.set, reply=True, timeout=60)
        await shows(notebook, kernel.show, "21")
    await until(lambda: _none(service))


async def shows(notebook: Client, code: str, text: str) -> None:
    """Run a cell and wait until it shows a text, which may be after it says that it is done (Deno)."""
    assert notebook.kc is not None
    request = notebook.kc.execute(code)
    async with asyncio.timeout(60):
        while True:
            message = await notebook.kc.get_iopub_msg()
            ours = (message["parent_header"] or {}).get("msg_id") == request
            if ours and message["msg_type"] in ("stream", "execute_result", "display_data"):
                assert text in str(message["content"])
                return


async def interrupt(notebook: Client, kernel: Kernel) -> None:
    """Interrupt a cell once it runs, and wait until it has ended if that ends the cell and not the kernel."""
    assert notebook.kc is not None
    request = notebook.kc.execute(kernel.wait)
    async with asyncio.timeout(60):
        while "begun" not in str((await notebook.kc.get_iopub_msg())["content"].get("text")):
            continue
        await notebook.km.interrupt_kernel()
        while kernel.interrupts:
            message = await notebook.kc.get_iopub_msg()
            idle = message["content"].get("execution_state") == "idle"
            if idle and message["parent_header"].get("msg_id") == request:
                return


async def _restarted(service: SessionService, row: SessionInfo) -> bool:
    now = await service.get("local", row.id)
    return now.restarts == 1 and now.status == "RUNNING"


async def _none(service: SessionService) -> bool:
    return not (await service.list()).sessions
