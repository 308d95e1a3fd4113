"""Another user of the machine who listens on a session's port is never shown to the session's user."""

from __future__ import annotations

import asyncio
from typing import Any, TextIO

import pytest

from tests.ports import free_port
from tests.server.conftest import *  # noqa: F403
from tests.server.conftest import Rest
from tests.strangers import only_root, stranger

EVIL = b"of somebody else"
TOGGLES = 200
SERVER = """
import http.server, sys, threading, time
class Evil(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", flush=True)
        self.send_response(200); self.end_headers(); self.wfile.write(b"of somebody else")
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100
    allow_reuse_address = True
print("ready", flush=True)
for turn in range(int(sys.argv[2])):
    try:
        server = Server(("127.0.0.1", int(sys.argv[1])), Evil)
    except OSError:
        time.sleep(0.002)
        continue
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    time.sleep(float(sys.argv[3]))
    server.shutdown()
    server.server_close()
    time.sleep(0.03)
print("done", flush=True)
time.sleep(60)
"""
OWN = """
import http.server, threading
class Own(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"of the session")
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
server = Server(("127.0.0.1", %d), Own)
threading.Thread(target=server.serve_forever, daemon=True).start()
"""
TOGGLING = (
    OWN.partition("server = ")[0]
    + """
import time
def toggle():
    while True:
        try:
            server = Server(("127.0.0.1", %d), Own)
        except OSError:
            time.sleep(0.002)
            continue
        threading.Thread(target=server.serve_forever, args=(0.002,), daemon=True).start()
        time.sleep(0.1)
        server.shutdown()
        server.server_close()
        time.sleep(0.004)
threading.Thread(target=toggle, daemon=True).start()
"""
)
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}


async def visit(rest: Rest, row: dict[str, Any], port: int, **headers: str) -> tuple[int, bytes]:
    """Status and page that a browser is shown."""
    answer = await rest.ask("GET", f"services/local/{row['id']}/{port}/", headers=NAVIGATION | headers)
    return answer.status_code, answer.content


@only_root
@pytest.mark.timeout(240)
def test_who_binds_first_or_toggles_is_shown_to_nobody(
    rest: Rest, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> None:
    jp_asyncio_loop.run_until_complete(_attack(rest))


async def _attack(rest: Rest) -> None:
    port = free_port()
    row = await rest.running("takeover", preopen_ports=[port])
    with stranger(SERVER, str(port), "1", "600"):
        for _ in range(3):
            status, page = await visit(rest, row, port)
            assert (status, EVIL in page) == (202, False)
            assert b"Waiting for your program" in page and b"outside of this session" in page
    shown = await _toggled(rest, row, port)
    assert len(shown) > 20
    assert not [page for page in shown if EVIL in page], f"of {len(shown)} navigations"
    await rest.run(row, OWN % port)
    assert await visit(rest, row, port) == (200, b"of the session")
    await rest.until(await rest.end(row, forced=True), "TERMINATED")
    row = await rest.running("takeover-2", preopen_ports=[port])
    await rest.run(row, TOGGLING % port)
    shown = await _toggled(rest, row, port)
    assert b"of the session" in shown
    assert not [page for page in shown if EVIL in page], f"of {len(shown)} navigations"
    await rest.end(row, forced=True)


async def _toggled(rest: Rest, row: dict[str, Any], port: int) -> list[bytes]:
    """What a waiting page is shown while another user toggles a listener on its port."""
    with stranger(SERVER, str(port), str(TOGGLES), "0.03") as other:
        done = asyncio.create_task(asyncio.to_thread(_until_done, other.said))
        waiting = [asyncio.create_task(_visit_until(done, rest, row, port)) for _ in range(3)]
        shown = [page for task in waiting for page in await task]
        assert "asked" not in done.result(), "no byte was sent to another user"
        return shown


def _until_done(said: TextIO) -> list[str]:
    lines = []
    while (line := said.readline().strip()) != "done":
        assert line, "the other user's server ended early"
        lines.append(line)
    return lines


async def _visit_until(
    done: asyncio.Task[list[str]], rest: Rest, row: dict[str, Any], port: int
) -> list[bytes]:
    shown = []
    while not done.done():
        shown.append((await visit(rest, row, port))[1])
    return shown
