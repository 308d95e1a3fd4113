"""Tokens and keypairs stay where they are."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_sessions.backends import local
from jupyter_sessions.wire.access import VARIABLE, ServerInfo
from jupyter_sessions.wire.places import place

if TYPE_CHECKING:
    import pytest
    from conftest import Rest
    from jupyter_server.serverapp import ServerApp

    from jupyter_sessions.server.app import SessionsExtension

LOOK = f"import os; print(os.environ.get('{VARIABLE}'))"


async def in_a_kernel(app: ServerApp, code: str) -> str:
    """What code prints in a new kernel of the server."""
    uid = await app.kernel_manager.start_kernel(kernel_name="python3")
    client = app.kernel_manager.get_kernel(uid).client()
    client.start_channels()
    said: list[str] = []
    try:
        await client.wait_for_ready(timeout=30)
        hook = lambda message: said.append(message["content"].get("text", ""))  # noqa: E731
        await client.execute_interactive(code, timeout=30, output_hook=hook)
    finally:
        client.stop_channels()
        await app.kernel_manager.shutdown_kernel(uid, now=True)
    return "".join(said).strip()


async def test_kernels_know_the_way_and_sessions_do_not(
    rest: Rest, extension: SessionsExtension, jp_serverapp: ServerApp
) -> None:
    assert await in_a_kernel(jp_serverapp, LOOK) == str(extension._access_file)
    row = await rest.running("demo", environ={"GIVEN": "1"})
    first, *_ = await rest.run(row, LOOK)
    assert first["content"]["text"] == "None\n"
    names, *_ = await rest.run(row, "import os; print(*os.environ)")
    found = set(names["content"]["text"].split())
    assert "GIVEN" in found
    assert {name for name in found if name.startswith("JPY")} <= {"JPY_PARENT_PID", "JPY_SESSION_NAME"}
    parent, *_ = await rest.run(row, "import os; print(os.environ['JPY_PARENT_PID'])")
    assert parent["content"]["text"] == "1\n"  # Not the server's.


async def test_a_full_cycle_shows_no_secret(
    rest: Rest,
    extension: SessionsExtension,
    jp_serverapp: ServerApp,
    jp_ws_fetch: Any,
    jp_logging_stream: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    socket = await jp_ws_fetch("api", "events", "subscribe")
    async with rest.stream("GET", "events") as events:
        row = await rest.running("demo", environ={"MINE": "environ-secret"})
        seen.append(json.dumps(await rest.run(row, "print(1)")))
        paths = ("backends", "sessions", "sessions?status=all", f"sessions/local/{row['id']}/logs")
        seen += [(await rest.ask("GET", path)).text for path in paths]
        wrong = (("GET", "sessions/local/no"), ("POST", "sessions"), ("PATCH", f"sessions/local/{row['id']}"))
        seen += [(await rest.ask(method, path, {"name": 1})).text for method, path in wrong]
        await in_a_kernel(jp_serverapp, "1")
        await rest.until(await rest.end(row, forced=True), "TERMINATED")
        while "TERMINATED" not in seen[-1]:
            seen.append((await anext(events)).data)
    async with asyncio.timeout(10):
        while "TERMINATED" not in seen[-1]:
            seen.append(await socket.read_message())
    socket.close()
    assert extension._access_file is not None
    access = msgspec.json.decode(extension._access_file.read_bytes(), type=ServerInfo)
    contact = local.find()
    assert contact is not None
    logged = caplog.text + jp_logging_stream.getvalue() + (place().folder / "manager.log").read_text()
    for secret in (access.token, contact.keypair.secret_key):
        assert len(secret) > 20
        assert secret not in logged and secret not in "".join(seen)
        assert secret not in "".join(os.environ.values())
    assert "environ-secret" not in logged and "environ-secret" not in "".join(
        text for text in seen if '"op"' in text
    )
