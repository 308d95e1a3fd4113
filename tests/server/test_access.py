"""Who may do what: every route of the server is tried with every kind of credentials."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from jupyter_server.auth import Authorizer
from walking import UNSAFE, UPGRADE, Route, routes

from jupyter_sessions.wire.access import SCHEME, VARIABLE, ServerInfo

if TYPE_CHECKING:
    from conftest import Rest
    from jupyter_server.serverapp import ServerApp

    from jupyter_sessions.server.app import SessionsExtension

pytestmark = pytest.mark.in_memory


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any]) -> dict[str, Any]:
    """With JupyterLab and terminals, so that there are all routes that people have."""
    jp_server_config["ServerApp"]["jpserver_extensions"] |= {
        "jupyterlab": True,
        "jupyter_server_terminals": True,
    }
    return jp_server_config


@pytest.fixture
def access(extension: SessionsExtension) -> ServerInfo:
    """What the 0600 file says."""
    assert extension._access_file is not None
    return msgspec.json.decode(extension._access_file.read_bytes(), type=ServerInfo)


@pytest.fixture
def scoped(access: ServerInfo) -> dict[str, str]:
    """The header with the scoped token."""
    return {"Authorization": f"{SCHEME} {access.token}"}


class Door:
    """Knocks at routes without the server's token."""

    def __init__(self, rest: Rest) -> None:
        self._client = rest.client
        self._root = rest.base_url

    async def knock(
        self, route: Route, method: str, headers: dict[str, str] | None = None, query: str = ""
    ) -> int:
        """The status; 401 for a redirect to the login page, 0 if there is no answer (a fault of JupyterLab's)."""
        path = route.path.removeprefix("/a%40b/")
        sent = {**(UPGRADE if route.socket else {}), **(headers or {})}
        if method in UNSAFE:
            sent |= {"Content-Type": "application/json", "Content-Length": "0"}
        timeout = httpx.Timeout(2).as_dict()
        request = httpx.Request(
            method.upper(), f"{self._root}{path}{query}", headers=sent, extensions={"timeout": timeout}
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError:
            return 0
        try:
            if response.is_redirect and "/login?" in response.headers["Location"]:
                return 401
            return response.status_code
        finally:
            await response.aclose()

    async def cookies(self, token: str) -> dict[str, str]:
        """The cookies of a browser that has logged in."""
        response = await self._client.get(f"{self._root}api/me", headers={"Authorization": f"token {token}"})
        page = await self._client.send(httpx.Request("GET", f"{self._root}login"))
        return dict(response.cookies) | dict(page.cookies)


@pytest.fixture
def door(rest: Rest) -> Iterator[Door]:
    """Knocks without credentials."""
    rest.client.cookies.clear()
    return Door(rest)


def ours(app: ServerApp) -> list[tuple[Route, str]]:
    """All our routes with each of their methods but OPTIONS, which Jupyter answers to all, with headers alone."""
    found = [route for route in routes(app.web_app) if route.ours]
    assert len(found) >= 12
    return [
        (route, method)
        for route in found
        for method in route.methods()
        if method != "options" or route.proxied
    ]


async def test_nobody_comes_in_without_credentials(door: Door, jp_serverapp: ServerApp) -> None:
    answers = {(r.path, method): await door.knock(r, method) for r, method in ours(jp_serverapp)}
    assert {key: status for key, status in answers.items() if status not in (401, 403)} == {}


async def test_a_cookie_alone_changes_nothing(door: Door, jp_serverapp: ServerApp) -> None:
    cookies = await door.cookies(jp_serverapp.identity_provider.token)
    assert any(name.startswith("username-") for name in cookies)
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    unsafe = [(route, method) for route, method in ours(jp_serverapp) if method in UNSAFE]
    answers = {(r.path, method): await door.knock(r, method, sent) for r, method in unsafe}
    assert set(answers.values()) == {403}, answers
    sent |= {"X-XSRFToken": cookies["_xsrf"]}
    answers = {(r.path, m): await door.knock(r, m, sent) for r, m in unsafe if not r.proxied}
    refused = [path for (path, _), status in answers.items() if status in (401, 403)]
    assert [path.rpartition("/")[2] for path in refused] == ["connection"], answers  # No page gets a key.


class Deny(Authorizer):
    """Allows nobody anything."""

    def is_authorized(self, *args: object) -> bool:
        """Never."""
        return False


async def test_what_an_authorizer_denies_is_denied(
    door: Door, jp_serverapp: ServerApp, scoped: dict[str, str]
) -> None:
    jp_serverapp.web_app.settings["authorizer"] = Deny(parent=jp_serverapp)
    own = {"Authorization": f"token {jp_serverapp.identity_provider.token}"}
    for credentials in (own, scoped):
        answers = {
            (r.path, method): await door.knock(r, method, credentials) for r, method in ours(jp_serverapp)
        }
        if (
            credentials is own
        ):  # The address of nothing is told to people who may know, and is all they learn.
            answers = {key: status for key, status in answers.items() if status not in (404, 405)}
        assert {key: status for key, status in answers.items() if status not in (401, 403)} == {}


async def test_the_scoped_token_opens_our_routes_but_no_services(
    door: Door, jp_serverapp: ServerApp, scoped: dict[str, str]
) -> None:
    """Nor those by which people add backends and sign in to them."""
    for route, method in ours(jp_serverapp):
        status = await door.knock(route, method, scoped)
        of_people = "/backends" in route.path and method != "get"
        assert (status in (401, 403)) == (route.proxied or of_people), (route, method, status)


async def test_the_scoped_token_opens_nothing_else(
    door: Door, jp_serverapp: ServerApp, scoped: dict[str, str]
) -> None:
    # JupyterLab's route for licenses never answers who is refused: nobody awaits its handler's `finish`.
    foreign = [
        route
        for route in routes(jp_serverapp.web_app)
        if not (route.ours or inspect.iscoroutinefunction(route.handler.finish))
    ]
    paths = " ".join(route.path for route in foreign)
    for part in (
        "contents",
        "kernels",
        "sessions",
        "terminals",
        "config",
        "events",
        "shutdown",
        "lab",
        "files",
    ):
        assert part in paths
    opened = {}
    for route in foreign:
        for method in route.methods():
            alone, status = await door.knock(route, method), await door.knock(route, method, scoped)
            if status != alone or (status not in (401, 403) and not route.is_open(method)):
                opened[route.path, method] = (alone, status)
    assert {key: value for key, value in opened.items() if value[1] not in (0, 404, 405)} == {}
    assert await door.knock(Route(foreign[0].handler, "/a%40b/api/contents"), "get", scoped) == 403


async def test_the_scoped_token_is_good_in_its_own_scheme_only(
    door: Door, jp_serverapp: ServerApp, access: ServerInfo, scoped: dict[str, str]
) -> None:
    rest = [(route, method) for route, method in ours(jp_serverapp) if not route.proxied]
    for route, method in rest:
        assert await door.knock(route, method, query=f"?token={access.token}") in (401, 403)
        for scheme in ("token", "Bearer", "Basic", SCHEME.upper()):
            assert await door.knock(route, method, {"Authorization": f"{scheme} {access.token}"}) in (
                401,
                403,
            )
        assert await door.knock(route, method, {"Authorization": f"{SCHEME} {access.token}x"}) in (401, 403)
        assert await door.knock(route, method, scoped | {"Host": "evil.example"}) == 403


async def test_the_file_is_private_and_goes_with_the_server(
    rest: Rest,
    extension: SessionsExtension,
    access: ServerInfo,
    jp_runtime_dir: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    (file,) = jp_runtime_dir.glob("jupyter_sessions-server-*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.environ[VARIABLE] == str(file)
    assert (
        access.url == rest.base_url.replace("127.0.0.1", "localhost")
        and access.server.alive()
        and len(access.token) >= 40
    )
    assert access.token not in repr(access)
    await extension.stop_extension()
    assert not file.exists() and VARIABLE not in os.environ
