"""Every route of the manager, each listed once; further paths are derived from this list.

Each route also exists under an optional version prefix (``/v4/session/…``), which managers had up to 19.09, and
routes under ``/session`` or ``/stream/session`` also exist under ``/kernel`` or ``/stream/kernel`` (seed 001),
unless these have a route of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aiohttp import web

from jupyter_sessions.manager.api import (
    admin,
    apps,
    events,
    execute,
    files,
    graphql,
    history,
    kernel,
    manager,
    pty,
    resource,
    rows,
    session,
    stream,
    unsupported,
)

VERSION_PREFIX = "/{version:v[0-9]+}"
_ALIASES = {"/session": "/kernel", "/stream/session": "/stream/kernel"}

OPEN = frozenset({resource.version})
"""Handlers of requests that need no signature."""

LISTENERS = frozenset({events.session_events, events.change})
"""Handlers of long-lived requests that do not keep the manager alive."""

ROUTES = [
    web.get("/", resource.version),
    web.post("/session", session.create),
    web.post("/session/create", session.create),
    web.post("/session/_/create", session.create),
    web.get("/session/_/match", history.match),
    web.get("/session/{ref}", session.info),
    web.patch("/session/{ref}", session.restart),
    web.delete("/session/{ref}", session.destroy),
    web.post("/session/{ref}", execute.execute),
    web.post("/session/{ref}/interrupt", execute.interrupt),
    web.post("/session/{ref}/rename", session.rename),
    web.get("/session/{ref}/logs", session.logs),
    web.get("/session/{ref}/status-history", history.status_history),
    web.get("/session/{ref}/dependency-graph", history.dependency_graph),
    web.post("/session/{ref}/complete", execute.complete),
    web.post("/session/{ref}/upload", files.upload),
    web.get("/session/{ref}/download", files.download),
    web.post("/session/{ref}/download", files.download),
    web.get("/session/{ref}/download_single", files.download_single),
    web.post("/session/{ref}/download_single", files.download_single),
    web.get("/session/{ref}/files", files.files),
    web.post("/session/{ref}/start-service", apps.start_service),
    web.post("/session/{ref}/shutdown-service", apps.shutdown_service),
    web.get("/stream/session/_/events", events.session_events),
    web.get("/stream/session/{ref}/apps", apps.apps),
    web.get("/stream/session/{ref}/execute", stream.execute),
    web.get("/stream/session/{ref}/pty", pty.terminal),
    web.get("/stream/session/{ref}/tcpproxy", apps.tunnel),
    web.get("/stream/session/{ref}/httpproxy", apps.tunnel),
    web.post("/kernel", kernel.create),
    web.post("/kernel/create", kernel.create),
    web.get("/events/session", events.session_events),
    web.post("/admin/gql", graphql.gql),
    web.post("/admin/graphql", graphql.graphql),
    web.get("/admin/keys", admin.list_keys),
    web.post("/admin/keys", admin.add_key),
    web.delete("/admin/keys/{key}", admin.remove_key),
    web.get("/manager/announcement", resource.announcement),
    web.get("/manager/status", resource.status),
    web.get("/auth", resource.echo),
    web.post("/auth", resource.echo),
    web.post("/auth/test", resource.echo),
    web.get("/auth/role", resource.role),
    web.get("/config/resource-slots", resource.slot_types),
    web.get("/scaling-groups", resource.scaling_groups),
    web.get("/resource/presets", resource.presets),
    web.post("/resource/check-presets", resource.check_presets),
    web.get("/folders", resource.folders),
    web.get("/jupyter-sessions/manager", manager.manager),
    web.get("/jupyter-sessions/sessions", rows.list_rows),
    web.post("/jupyter-sessions/sessions", rows.create),
    web.get("/jupyter-sessions/sessions/{ref}/change", events.change),
    web.post("/jupyter-sessions/sessions/{ref}/connection", apps.connection),
    web.post("/jupyter-sessions/sessions/{ref}/environ", session.set_environ),
    web.get("/jupyter-sessions/sessions/{ref}/outputs", history.outputs),
    web.post("/jupyter-sessions/sessions/{ref}/renew", history.renew),
    web.get("/jupyter-sessions/sessions/{ref}/service-log", apps.service_log),
    web.post("/jupyter-sessions/sessions/{ref}/touch", history.touch),
    *(web.route("*", path, unsupported.because(reason)) for path, reason in unsupported.REASONS.items()),
]


def all_routes(listed: Iterable[web.RouteDef] = ROUTES) -> Iterator[web.RouteDef]:
    """Yield the listed routes, and the same routes under their other paths."""
    routes = list(listed)
    known = {(route.method, route.path) for route in routes}
    for route in [*routes]:
        other = _alias(route.path)
        if other and (route.method, other) not in known:
            routes.append(_moved(route, other))
    yield from routes
    yield from (_moved(route, VERSION_PREFIX + route.path) for route in routes)


def _alias(path: str) -> str | None:
    for prefix, other in _ALIASES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return other + path.removeprefix(prefix)
    return None


def _moved(route: web.RouteDef, path: str) -> web.RouteDef:
    return web.RouteDef(route.method, path, route.handler, route.kwargs)
