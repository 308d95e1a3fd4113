"""A service as small as can be that does one odd thing per path; run as a process of its own.

`python tiny_service.py (--socket PATH | --port N) [--delay SECONDS]`

It is reached under `/…/services/<backend>/<id>/<service>/<what>` or, by the manager's Skaha face, under
`/…/notebook/<id>/<what>`; `what` picks the function below.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import WSMsgType, web

MIB = b"\x5a" * (1 << 20)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SEEN: list[str] = []
GONE: list[str] = []
NEXT = asyncio.Event()


def facts(request: web.Request, body: bytes = b"") -> dict[str, object]:
    """All that arrived with a request."""
    return {
        "method": request.method,
        "target": request.raw_path,
        "headers": [[name.decode("latin1"), value.decode("latin1")] for name, value in request.raw_headers],
        "body": body.decode("latin1"),
    }


async def echo(request: web.Request) -> web.StreamResponse:
    """What was asked, as JSON."""
    return web.json_response(facts(request, await request.read()))


async def seen(request: web.Request) -> web.StreamResponse:
    """Everything that ever arrived."""
    return web.json_response(SEEN)


async def gone(request: web.Request) -> web.StreamResponse:
    """Paths whose client left before the end."""
    return web.json_response(GONE)


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: one at once, one when `next` is asked for, then silence until the client leaves."""
    NEXT.clear()
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    try:
        await answer.write(b"data: one\n\n")
        await NEXT.wait()
        await answer.write(b"data: two\n\n")
        await asyncio.sleep(60)
    except (asyncio.CancelledError, ConnectionError):
        GONE.append("events")
        raise
    return answer


async def next_event(request: web.Request) -> web.StreamResponse:
    """Lets `events` go on."""
    NEXT.set()
    return web.json_response(None)


async def chunks(request: web.Request) -> web.StreamResponse:
    """A chunked answer in three pieces."""
    answer = web.StreamResponse()
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    for piece in (b"a", b"bc", b"def"):
        await answer.write(piece)
        await asyncio.sleep(0.05)
    return answer


async def gzipped(request: web.Request) -> web.StreamResponse:
    """A compressed answer."""
    body = gzip.compress(b"hello " * 1000, mtime=0)
    return web.Response(body=body, headers={"Content-Encoding": "gzip"}, content_type="text/plain")


async def big(request: web.Request) -> web.StreamResponse:
    """`mib` MiB of the letter Z."""
    count = int(request.query["mib"])
    answer = web.StreamResponse(headers={"Content-Length": str(count * len(MIB))})
    await answer.prepare(request)
    for _ in range(count):
        await answer.write(MIB)
    return answer


async def upload(request: web.Request) -> web.StreamResponse:
    """Length and digest of the body; `pause` seconds before it is read."""
    await asyncio.sleep(float(request.query.get("pause", 0)))
    digest, length = hashlib.sha256(), 0
    async for piece in request.content.iter_any():
        digest.update(piece)
        length += len(piece)
    framing = {key: request.headers.get(key) for key in ("Content-Length", "Transfer-Encoding")}
    return web.json_response({"length": length, "sha256": digest.hexdigest(), **framing})


async def mirror(request: web.Request) -> web.StreamResponse:
    """The body, sent back while it still arrives."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    async for piece in request.content.iter_any():
        await answer.write(piece)
    return answer


async def early(request: web.Request) -> web.StreamResponse:
    """A refusal before the body has been read."""
    return web.Response(status=413, text="too much")


async def redirect(request: web.Request) -> web.StreamResponse:
    """A redirect to another path of the service."""
    raise web.HTTPFound("echo?from=redirect")


async def status(request: web.Request) -> web.StreamResponse:
    """An answer without a body, with the status in `code`."""
    return web.Response(status=int(request.query["code"]), headers={"ETag": '"v1"'})


async def ranged(request: web.Request) -> web.StreamResponse:
    """Ten bytes, of which a range may be asked."""
    body = b"0123456789"
    part = request.http_range
    if part.start is None:
        return web.Response(body=body, headers={"Accept-Ranges": "bytes"})
    first, last = part.start, min(part.stop or len(body), len(body))
    headers = {"Content-Range": f"bytes {first}-{last - 1}/{len(body)}"}
    return web.Response(status=206, body=body[first:last], headers=headers)


async def answer_with(request: web.Request) -> web.StreamResponse:
    """An answer with the header fields that `fields` lists as JSON pairs."""
    answer = web.Response(text=request.query.get("text", "ok"))
    for name, value in json.loads(request.query["fields"]):
        if name.lower() in ("server", "date", "content-type"):
            answer.headers[name] = value
        else:
            answer.headers.add(name, value)
    return answer


async def cut(request: web.Request) -> web.StreamResponse:
    """Half an answer, with or without a length, then nothing but a closed connection."""
    headers = {"Content-Length": "1000000"} if "length" in request.query else {}
    answer = web.StreamResponse(headers=headers)
    await answer.prepare(request)
    await answer.write(b"half")
    await asyncio.sleep(0.1)
    assert request.transport is not None
    request.transport.abort()
    return answer


async def odd_upgrade(request: web.Request) -> web.StreamResponse:
    """An upgrade that nobody asked for."""
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 101 Odd\r\nUpgrade: odd\r\nConnection: upgrade\r\n\r\n")
    await asyncio.sleep(0.2)
    return await hang_up(request)


async def hang_up(request: web.Request) -> web.StreamResponse:
    """No answer at all."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def socket(request: web.Request) -> web.StreamResponse:
    """A WebSocket that echoes; `close CODE REASON`, `ping`, `cut` and `flood N` do as they say."""
    ws = web.WebSocketResponse(
        protocols=("v2.tiny", "v1.tiny"), max_msg_size=0, autoping=False, autoclose=False
    )
    await ws.prepare(request)
    while not ws.closed:
        message = await ws.receive()
        if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
            GONE.append("lost")
            break
        if message.type == WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        elif message.type == WSMsgType.PING:
            GONE.append(f"ping {message.data.decode()}")
            await ws.pong(message.data)
        elif message.type == WSMsgType.PONG:
            await ws.send_str(f"pong {message.data.decode()}")
        elif message.type == WSMsgType.CLOSE:
            GONE.append(f"close {message.data} {message.extra}")
            await ws.close(code=message.data or 1000)
        elif not await obey(ws, request, message.data):
            break
    return ws


async def obey(ws: web.WebSocketResponse, request: web.Request, text: str) -> bool:
    """Do what a text message says; False ends the WebSocket."""
    verb, _, rest = text.partition(" ")
    if verb == "close":
        code, _, reason = rest.partition(" ")
        await ws.close(code=int(code), message=reason.encode())
        return False
    if verb == "cut":
        assert request.transport is not None
        request.transport.abort()
        return False
    if verb == "ping":
        await ws.ping(rest.encode())
    elif verb == "sleep":
        await asyncio.sleep(float(rest))
    elif verb == "flood":
        for _ in range(int(rest)):
            await ws.send_bytes(MIB)
    elif verb == "facts":
        await ws.send_json(facts(request))
    else:
        await ws.send_str(text)
    return True


WHAT: dict[str, Handler] = {
    "": echo,
    "answer": answer_with,
    "big": big,
    "chunks": chunks,
    "cut": cut,
    "early": early,
    "echo": echo,
    "events": events,
    "next": next_event,
    "gone": gone,
    "gzip": gzipped,
    "hangup": hang_up,
    "mirror": mirror,
    "odd": odd_upgrade,
    "ranged": ranged,
    "redirect": redirect,
    "seen": seen,
    "socket": socket,
    "status": status,
    "upload": upload,
}


async def dispatch(request: web.Request) -> web.StreamResponse:
    """Pick the function by the first part of the path after the service's name."""
    path = request.raw_path.partition("?")[0]
    parts = [part for part in path.partition("/services/")[2].split("/") if not part.startswith("~")]
    what = parts[3:]
    if path.startswith("/jupyter-sessions-"):  # The path that the manager gives it.
        what = path.split("/")[2:]
    if what[:1] not in (["seen"], ["gone"]):
        SEEN.append(json.dumps(facts(request)))
    handler = WHAT.get(unquote(what[0]) if what else "", echo)
    return await handler(request)


async def serve(arguments: argparse.Namespace) -> None:
    """Listen until killed."""
    app = web.Application(client_max_size=1 << 40, handler_args={"max_field_size": 1 << 16})
    app.router.add_route("*", "/{path:.*}", dispatch)
    runner = web.AppRunner(app, handler_cancellation=True, max_field_size=1 << 17)
    await runner.setup()
    await asyncio.sleep(arguments.delay)
    if arguments.socket:
        await web.UnixSite(runner, arguments.socket).start()
    else:
        await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket")
    parser.add_argument("--port", type=int)
    parser.add_argument("--delay", type=float, default=0)
    asyncio.run(serve(parser.parse_args()))
