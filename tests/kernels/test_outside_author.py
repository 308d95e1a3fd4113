"""Notebooks on sessions of another author's backend, which has four methods and `kernel_endpoint`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.backends.relay_client import find_helper, relay_folder
from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.errors import NotRunning, NotSupported
from jupyter_sessions.kernels import session_kernels, specs
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests.kernels.script import client, failure, outputs, play, text
from tests.outside import configuration, outside_service
from tests.processes import environment, server
from tests.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter")]


@pytest_asyncio.fixture
async def service(
    outside: Path, jupyter: Path, request: pytest.FixtureRequest
) -> AsyncIterator[SessionService]:
    """The backend in this process, and by the configuration in that of kernels."""
    options = getattr(request, "param", {"server": True})
    configure(Path(os.environ["JUPYTER_CONFIG_DIR"]), outside, **options)
    specs.add(specs.Kernel(name="elsewhere", display_name="Elsewhere", backend="outside", image="python3"))
    async with outside_service(outside, **options) as service:
        yield service
        session_kernels.current().close()


def configure(folder: Path, outside: Path, **options: Any) -> None:
    settings = configuration(outside, **options) | {"owner_grace": 1}
    (folder / "jupyter_sessions_config.json").write_text(json.dumps({"JupyterSessions": settings}))


async def three_of(journal: Callable[[], Awaitable[list[str]]]) -> list[str]:
    found = await journal()
    return found if len(found) == 3 else []


async def live(service: SessionService) -> list[str]:
    return [row.name for row in (await service.list()).sessions]


async def nothing_left(service: SessionService) -> bool:
    return not await live(service)


async def test_the_scripted_notebook_on_a_session_of_its_own(service: SessionService) -> None:
    notebook = client("elsewhere")
    async with notebook.async_setup_kernel():
        assert len(await live(service)) == 1
        await play(notebook)
    await until(lambda: nothing_left(service))
    await until(lambda: find_helper(relay_folder()) is None)


@pytest.mark.parametrize("service", [{}], indirect=True)
async def test_a_visitor_s_notebook_shares_variables_with_cells(service: SessionService) -> None:
    row = await service.create(SessionSpec(name="demo"))
    async for _ in service.execute("outside", row.id, "x = 20"):
        pass
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        assert await text(notebook, "print(x + 1)") == "21\n"
    assert await live(service) == ["demo"]


@pytest.mark.parametrize("service", [{"delay": 4}], indirect=True)
async def test_a_notebook_waits_for_its_session(service: SessionService) -> None:
    row = await service.create(SessionSpec(name="demo"))
    begun = time.monotonic()
    connection = await service.connection("outside", row.id)
    assert time.monotonic() - begun < 3 and connection.transport == "ipc"
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        assert await text(notebook, "print('here')") == "here\n"


@pytest.mark.parametrize("service", [{}, {"server": True}], ids=["zmq", "jupyter"], indirect=True)
async def test_a_killed_helper_is_followed_by_another(service: SessionService) -> None:
    row = await service.create(SessionSpec(name="demo"))
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        assert await text(notebook, "x = 1; print(x)") == "1\n"
        contact = find_helper(relay_folder())
        assert contact is not None
        cell = asyncio.create_task(text(notebook, "import time; time.sleep(4); print(x + 1)"))
        await asyncio.sleep(1)
        os.kill(contact.identity.pid, signal.SIGKILL)
        assert await cell == "2\n"
        assert await text(notebook, "print(x + 2)") == "3\n"
        assert find_helper(relay_folder()) != contact

        async def journal() -> list[str]:
            found = (await service.outputs("outside", row.id, Selection())).executions
            return ["".join(output.get("text", "") for output in one.outputs) for one in found if one.ended]

        kept = await until(lambda: three_of(journal))
        assert [kept[0], kept[-1]] == ["1\n", "3\n"] and kept[1].endswith("2\n"), kept
    await service.destroy("outside", row.id)


@pytest.mark.parametrize("service", [{}], indirect=True)
async def test_cells_of_a_notebook_on_this_machine(service: SessionService) -> None:
    await service.create(SessionSpec(name="demo"))
    notebook = client("python3")
    async with notebook.async_setup_kernel():
        await outputs(notebook, "%load_ext jupyter_sessions")
        assert await text(notebook, "%%session demo\nx = 20\nprint(x + 1)") == "21\n"
        assert (await failure(notebook, "%%session demo\n1 / 0"))[
            "evalue"
        ] == "ZeroDivisionError: division by zero"
        assert "demo" in str((await outputs(notebook, "%session ps"))[0]["data"])


@pytest.mark.parametrize("service", [{"kernels": False}], indirect=True)
async def test_a_session_without_a_kernel_lets_no_notebook_in(service: SessionService) -> None:
    row = await service.create(SessionSpec(name="demo"))
    with pytest.raises(NotSupported, match="has no kernel"):
        await service.connection("outside", row.id)
    await service.destroy("outside", row.id)
    with pytest.raises(NotRunning):
        await service.connection("outside", row.id)


async def test_a_server_s_rows_and_kernels(state: Path, jupyter: Path, outside: Path, tmp_path: Path) -> None:
    """A session that was made for a notebook ends soon after its server was killed, others stay."""
    folder = tmp_path / "server"
    configure(Path(environment(state, folder)["JUPYTER_CONFIG_DIR"]), outside)
    async with outside_service(outside) as service:
        with server(state, folder, env={"JUPYTER_DATA_DIR": str(jupyter)}) as jupyter_server:
            specs.add(
                specs.Kernel(name="elsewhere", display_name="Elsewhere", backend="outside", image="python3")
            )
            (backend,) = jupyter_server.ask("GET", "jupyter-sessions/backends")["backends"]
            assert backend["type"] == "outside" and {"execute", "connection"} <= set(backend["capabilities"])
            row = jupyter_server.running("demo", resources={})
            assert jupyter_server.run(row, "print(6 * 7)") == "42\n"
            kernels = [
                jupyter_server.ask("POST", "api/kernels", {"name": name})
                for name in ("elsewhere", "attached")
            ]
            assert len(await live(service)) == 2
            await until(
                lambda: (
                    {
                        jupyter_server.ask("GET", f"api/kernels/{one['id']}")["execution_state"]
                        for one in kernels
                    }
                    <= {"idle", "starting"}
                )
            )
            jupyter_server.process.kill()
            jupyter_server.process.wait()

            async def only_demo() -> bool:
                return await live(service) == ["demo"]

            await until(only_demo)
