"""Each route under all of its names."""

from __future__ import annotations

from aiohttp import web

from jupyter_sessions.manager.api.routes import all_routes


async def _one(request: web.Request) -> web.Response:
    return web.Response()


async def _other(request: web.Request) -> web.Response:
    return web.Response()


def test_what_is_of_sessions_is_of_kernels_too_unless_said_otherwise() -> None:
    listed = [
        web.get("/session/{ref}", _one),
        web.get("/kernel/{ref}", _other),
        web.get("/stream/session/{ref}/pty", _one),
        web.get("/sessions", _one),
    ]
    made = [(route.path, route.handler) for route in all_routes(listed)]
    plain = [
        ("/session/{ref}", _one),
        ("/kernel/{ref}", _other),
        ("/stream/session/{ref}/pty", _one),
        ("/sessions", _one),
        ("/stream/kernel/{ref}/pty", _one),
    ]
    assert made == plain + [("/{version:v[0-9]+}" + path, handler) for path, handler in plain]


def test_no_route_is_listed_twice() -> None:
    names = [(route.method, route.path) for route in all_routes()]
    assert len(names) == len(set(names))
