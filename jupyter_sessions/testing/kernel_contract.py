"""The contract of backends about what runs in sessions: cells, logs, restarts, notebooks and files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from msgspec import structs

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import KernelConnection
from jupyter_sessions.testing.case import SECONDS, ContractCase


class KernelContract(ContractCase):
    """Tests of the methods about kernels and files."""

    @property
    def has_kernels(self) -> bool:
        """Whether code can be run there."""
        return self.starts and self.runs_code

    @pytest.mark.asyncio
    async def test_a_cell_whose_kernel_crashes_gets_its_end(self, place: Backend) -> None:
        if "execute" not in place.capabilities() or not self.has_kernels:
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        try:
            outputs = await self.said(place, row.id, self.crash)
        except SessionError as error:
            assert error.message
        else:
            assert (outputs[-1].kind, outputs[-1].content["status"]) == ("reply", "error")

    @pytest.mark.asyncio
    async def test_a_file_comes_back_as_it_was_sent(
        self, place: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not {"upload", "download", "ls"} <= {*place.capabilities()} or not self.has_kernels:
            return
        monkeypatch.chdir(tmp_path)  # Where sessions of this machine work.
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        sent = bytes(range(256)) * 1000
        await place.upload(row.id, "contract/ä b.bin", _pieces(sent), len(sent))
        (entry,) = await place.ls(row.id, "contract")
        assert (entry.name, entry.kind, entry.size) == ("ä b.bin", "file", len(sent))
        assert "contract" in [one.name for one in await place.ls(row.id) if one.kind == "folder"]
        async with place.download(row.id, "contract/ä b.bin") as content:
            assert b"".join([chunk async for chunk in content.chunks]) == sent
        for path in ("contract/nothing", "../../etc/passwd"):
            with pytest.raises(SessionError):
                async with place.download(row.id, path):
                    pass
        with pytest.raises(SessionError):
            await place.ls(row.id, "nothing")

    @pytest.mark.asyncio
    async def test_a_cell_gives_its_outputs_and_its_end(self, place: Backend) -> None:
        if "execute" not in place.capabilities() or not self.has_kernels:
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        outputs = await self.said(place, row.id, self.prints)
        assert "contract" in "".join(one.content.get("text", "") for one in outputs if one.kind == "stream")
        assert (outputs[-1].kind, outputs[-1].content["status"]) == ("reply", "ok")
        outputs = await self.said(place, row.id, self.fails)
        assert (outputs[-1].kind, outputs[-1].content["status"]) == ("reply", "error")
        with pytest.raises(SessionError):
            await self.said(place, self.unknown_id, self.prints)

    @pytest.mark.asyncio
    async def test_a_cell_can_be_interrupted(self, place: Backend) -> None:
        if not {"execute", "interrupt"} <= {*place.capabilities()} or not self.has_kernels:
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        replies = []
        async with asyncio.timeout(SECONDS):
            async for output in place.execute(row.id, self.lasts):
                if output.kind == "stream":
                    await place.interrupt(row.id)
                replies += [output.content["status"]] if output.kind == "reply" else []
        assert replies == ["error"]
        assert (await self.said(place, row.id, self.prints))[-1].content["status"] == "ok"

    @pytest.mark.asyncio
    async def test_a_cell_can_ask_for_input(self, place: Backend) -> None:
        if not {"execute", "input"} <= {*place.capabilities()} or not self.has_kernels:
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        texts: list[str] = []
        async with asyncio.timeout(SECONDS):
            async for output in place.execute(row.id, self.asks, stdin=True):
                if output.kind == "input_request":
                    await place.input(row.id, output.run, "Ada")
                texts += [output.content["text"]] if output.kind == "stream" else []
        assert "Ada" in "".join(texts)

    @pytest.mark.asyncio
    async def test_what_a_session_prints_is_in_its_logs(self, place: Backend) -> None:
        if not {"execute", "logs"} <= {*place.capabilities()} or not (self.has_kernels and self.logs_cells):
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        await self.said(place, row.id, self.prints)
        async with asyncio.timeout(SECONDS):
            while "contract" not in await place.logs(row.id):
                await asyncio.sleep(0.05)

    @pytest.mark.asyncio
    async def test_a_restarted_session_is_the_same_without_its_variables(self, place: Backend) -> None:
        if "restart" not in place.capabilities() or not self.has_kernels:
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        executes = "execute" in place.capabilities()
        if executes:
            assert (await self.said(place, row.id, self.sets))[-1].content["status"] == "ok"
        assert (await place.restart(row.id)).id == row.id
        after = await self.usable(place, row.id)
        assert (after.name, after.resources) == (row.name, row.resources)
        if executes:
            assert (await self.said(place, row.id, self.reads))[-1].content["status"] == "error"

    @pytest.mark.asyncio
    async def test_notebooks_reach_the_kernel(self, place: Backend) -> None:
        if "connection" not in place.capabilities() or not self.has_kernels:
            return
        row = await self.usable(place, (await self.create(place, **self.with_kernel)).id)
        connection = await place.connection(row.id)
        assert connection == await place.connection(row.id), "front ends keep their addresses"
        ports = {connection.shell_port, connection.iopub_port, connection.stdin_port, connection.control_port}
        assert len(ports) == 4 and connection.key and connection.key not in repr(connection)
        assert await asyncio.to_thread(answers, connection)
        with pytest.raises(SessionError):
            await place.connection(self.unknown_id)


def answers(connection: KernelConnection) -> bool:
    """Return whether the kernel answers a front end."""
    client = BlockingKernelClient()
    info: Any = structs.asdict(connection)
    client.load_connection_info(info)
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
    finally:
        client.stop_channels()
    return True


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 64 * 1024):
        yield content[start : start + 64 * 1024]
