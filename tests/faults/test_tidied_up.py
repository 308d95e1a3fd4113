"""Somebody empties /tmp, or deletes the manager's files: it makes them again, and sessions go on."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

import pytest

from jupyter_sessions.manager.core.record import socket_folder
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import place
from tests.kernels.clients import connect, shell
from tests.manager.world import contact, kill_manager, managers, reach, run, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]
SECONDS = 5
"""Within which all is there again."""


async def test_the_socket_folder_goes(service: SessionService, state: Path) -> None:
    """As when /tmp is emptied: nothing is lost, and nobody notices."""
    row = await run(service, "stays")
    before, link = contact(), place().run_folder()
    with shell(await connect(service, row)) as front:
        await asyncio.to_thread(front.run, "x = 41")
        remove(link)
        assert await says(service, row, "print(x + 1)") == "42", "the other address was not tried"
        assert (await asyncio.to_thread(front.run, "print(x)")).text == "41\n"
        await until(lambda: Path(before.socket).is_socket(), SECONDS)
        await _reaches(row.id)
        with shell(await connect(service, row)) as another:
            assert (await asyncio.to_thread(another.run, "print(x)")).text == "41\n"
    assert contact() == before
    remove(link)
    await kill_manager()
    assert await says(service, row, "print(x)") == "41", "the next manager does not find the kernel"
    await service.restart("local", row.id)
    assert await says(service, row, "print(6 * 7)") == "42"
    assert len(managers(state)) == 1


async def _reaches(id: str) -> None:
    """Wait until the session's own sockets are at their path again."""
    await until(lambda: [*place().run_folder().glob(f"{socket_folder(id)}/f-*")], SECONDS)


async def test_the_contact_file_goes(service: SessionService, state: Path) -> None:
    row = await run(service, "stays")
    before = contact()
    for damage in (Path.unlink, lambda path: path.write_text("{")):
        damage(place().contact_file)
        began = time.monotonic()
        assert await says(service, row, "print(6 * 7)") == "42"
        assert contact() == before
        assert time.monotonic() - began < SECONDS
    await until(lambda: managers(state) == [before.identity.pid])


async def test_the_manager_s_own_socket_goes(service: SessionService) -> None:
    row = await run(service, "stays")
    socket = Path(contact().socket)
    socket.unlink()
    assert await says(service, row, "print(6 * 7)") == "42", "the other address was not tried"
    await until(socket.is_socket, SECONDS)
    other = SessionService(service.config)
    assert await says(other, row, "print(6 * 7)") == "42"
    await other.close()


@pytest.mark.parametrize("whose", ["k", "f"], ids=["kernel", "notebooks"])
async def test_a_session_whose_sockets_go_says_what_helps(service: SessionService, whose: str) -> None:
    """Who is connected goes on; a restart makes them again."""
    row = await run(service, "deaf")
    with shell(await connect(service, row)) as front:
        await asyncio.to_thread(front.run, "x = 41")
        for path in place().run_folder().glob(f"*/{whose}-*"):
            path.unlink()
        row = await reach(service, row, "RUNNING_DEGRADED")
        assert row.status_info.startswith("its sockets were deleted:") and "restart" in row.status_info
        assert (await asyncio.to_thread(front.run, "print(x)")).text == "41\n"
    assert await says(service, row, "print(x)") == "41"
    await service.restart("local", row.id)
    assert (await service.get("local", row.id)).status == "RUNNING"
    with shell(await connect(service, row)) as another:
        assert (await asyncio.to_thread(another.run, "print(6 * 7)")).text == "42\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
async def test_another_user_is_quicker(service: SessionService, state: Path) -> None:
    """Who makes a folder at the path of the sockets gets nothing of it: they move."""
    row = await run(service, "moves")
    await says(service, row, "x = 41")
    link = place().run_folder()
    identity = contact().identity
    remove(link)
    link.mkdir(mode=0o755)
    os.chown(link, 65534, 65534)
    await until(lambda: not identity.alive())
    assert await says(service, row, "print(x)") == "41"
    assert Path(contact().socket).parent != link
    shutil.rmtree(link)
