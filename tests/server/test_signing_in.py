"""Backends are added and signed in to while the server runs, and what is secret stays in it.

The backends are this machine's own manager, by its address: it takes keypairs as Backend.AI does, and tokens
below /skaha.
"""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jupyter_core.paths import jupyter_config_dir

from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import Unauthorized
from jupyter_sessions.service import NewBackend, SessionService, user_backends_file
from jupyter_sessions.wire.access import SCHEME, ServerInfo
from jupyter_sessions.wire.places import Contact
from tests.manager.world import contact
from tests.ports import free_port

if TYPE_CHECKING:
    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension

pytestmark = pytest.mark.in_memory

WRONG = "wrong-secret-0123456789"


@pytest.fixture
def jupyter_sessions_config() -> dict[str, Any]:
    """One backend that an administrator has set."""
    return {
        "backends": {"theirs": {"type": "skaha", "url": "http://127.0.0.1:9/skaha", "token": "their-token"}}
    }


@pytest.fixture
def manager(rest: Rest, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Contact:
    """The manager, with one session."""
    jp_asyncio_loop.run_until_complete(rest.create("shown", backend="local"))
    return contact()


async def described(rest: Rest, name: str) -> dict[str, Any]:
    """What faces are told of a backend."""
    answer = await rest.json("GET", f"backends?backend={name}")
    return dict(answer["backends"][0])


async def add(rest: Rest, name: str, kind: str, url: str, **more: Any) -> dict[str, Any]:
    """Add a backend."""
    return dict(
        await rest.json("POST", "backends", {"name": name, "type": kind, "url": url, **more}, status=201)
    )


async def done(rest: Rest, method: str, path: str, asked: Any = None) -> None:
    """A request that has no more to say."""
    response = await rest.ask(method, path, asked)
    assert (response.status_code, response.content) == (204, b""), response.text


def body(method: str, remember: bool = False, **values: str) -> dict[str, Any]:
    """A request to sign in."""
    return {"method": method, "values": values, "remember": remember}


async def test_a_backend_is_added_signed_in_to_out_of_and_removed(
    rest: Rest,
    extension: SessionsExtension,
    manager: Contact,
    jp_logging_stream: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    keypair, seen = manager.keypair, list[str]()
    assert [kind["type"] for kind in (await rest.json("GET", "backends"))["types"]] == ["backendai", "skaha"]
    made = await add(rest, "lab", "backendai", manager.url, title="The lab")
    assert made["name"] == "lab" and made["found"].startswith("A manager of jupyter_sessions, API v")
    file = Path(jupyter_config_dir()) / user_backends_file.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["lab"] == {
        "type": "backendai",
        "endpoint": manager.url,
        "endpoint_type": "api",
        "title": "The lab",
    }
    lab = await described(rest, "lab")
    assert (lab["title"], lab["refused"], lab["removable"], lab["health"]["ok"]) == (
        "The lab",
        True,
        True,
        False,
    )
    assert [method["name"] for method in lab["sign_in"]["methods"]] == ["keypair"]
    assert "`jupyter session login lab`" in lab["health"]["message"] and lab["storage"]["needs_mount"]

    wrong = body("keypair", access_key=keypair.access_key, secret_key=WRONG)
    status, said = await rest.refused("POST", "backends/lab/sign-in", wrong)
    assert status == 401 and "signature" in said["message"].lower(), said
    seen.append(json.dumps(said))
    assert not (await described(rest, "lab"))["sign_in"]["signed_in"]
    right = body("keypair", access_key=keypair.access_key, secret_key=keypair.secret_key)
    await done(rest, "POST", "backends/lab/sign-in", right)
    listing = await rest.json("GET", "sessions?backend=lab")
    assert [row["name"] for row in listing["sessions"]] == ["shown"] and not listing["errors"]
    lab = await described(rest, "lab")
    assert (lab["sign_in"]["signed_in"], lab["sign_in"]["who"], lab["refused"]) == (
        True,
        keypair.access_key,
        False,
    )
    assert extension.service is not None
    seen += [
        repr(vars(extension.service.backends["lab"])),
        repr(extension.service.backends["lab"].signed_in_credentials()),
    ]
    for path in ("backends", "sessions", "sessions?status=all", "defaults"):
        seen.append((await rest.ask("GET", path)).text)

    await done(rest, "DELETE", "backends/lab/sign-in")
    listing = await rest.json("GET", "sessions?backend=lab")
    assert "access_key" in listing["errors"]["lab"]
    await done(rest, "DELETE", "backends/lab")
    assert "lab" not in [one["name"] for one in (await rest.json("GET", "backends"))["backends"]]
    seen += [caplog.text, jp_logging_stream.getvalue()]
    for secret in (WRONG, keypair.secret_key, manager.bearer()):
        assert secret not in "".join(seen)


async def test_a_token_is_remembered_and_read_again(
    rest: Rest, extension: SessionsExtension, manager: Contact, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await add(rest, "sky", "skaha", f"{manager.url}/skaha/v1")
    assert made["found"] == "Skaha, API v0 and v1"
    status, said = await rest.refused("POST", "backends/sky/sign-in", body("token", token=WRONG))
    assert status == 401 and said["message"].startswith("This token is not valid here."), said
    assert WRONG not in caplog.text
    token = manager.bearer()
    await done(rest, "POST", "backends/sky/sign-in", body("token", remember=True, token=f" {token}\n"))
    assert extension.service is not None
    file = extension.service.backends["sky"].credential_store.path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert (await described(rest, "sky"))["sign_in"]["remembered"] and token not in caplog.text

    async with rest.stream(
        "GET", "events"
    ) as events:  # Another process signs in anew, and those who look are told.
        other = SessionService(JupyterSessions())
        with pytest.raises(Unauthorized, match="not valid here"):
            await other.sign_in("sky", Credentials("token", {"token": "AKXX.no"}), remember=True)
        file.write_bytes(file.read_bytes().replace(token.encode(), b"AKXX.no"))
        extension.service.feed.watch(extension.service.backends["sky"])
        async with asyncio.timeout(15):
            while "sky" not in (await rest.json("GET", "sessions"))["errors"]:
                await asyncio.sleep(0.1)
        await other.sign_in("sky", Credentials("token", {"token": token}), remember=True)
        await other.close()
        async with asyncio.timeout(15):
            while '"backend"' not in (await anext(events)).data:
                pass
            while (listing := await rest.json("GET", "sessions?backend=sky"))["errors"]:
                await asyncio.sleep(0.1)
    assert [row["name"] for row in listing["sessions"]] == ["shown"], listing
    file.chmod(0o644)
    async with asyncio.timeout(40):
        while "chmod 600" not in str((await rest.json("GET", "sessions?status=all"))["errors"]):
            await asyncio.sleep(0.2)


async def test_what_another_process_adds_is_there_at_once(rest: Rest, manager: Contact) -> None:
    other = SessionService(JupyterSessions())
    async with rest.stream("GET", "events") as events:
        await other.add_backend(NewBackend(name="lab", type="backendai", url=manager.url))
        async with asyncio.timeout(15):
            while '"lab"' not in (await anext(events)).data:
                pass
    assert (await described(rest, "lab"))["removable"]
    await other.remove_backend("lab")
    await other.close()
    async with asyncio.timeout(15):
        while "lab" in [one["name"] for one in (await rest.json("GET", "backends"))["backends"]]:
            await asyncio.sleep(0.1)


async def test_what_cannot_be_added_or_signed_in_to(
    rest: Rest, manager: Contact, extension: SessionsExtension
) -> None:
    async def refused(**wanted: Any) -> tuple[int, str, str]:
        asked = {"name": "lab", "type": "backendai", "url": manager.url} | wanted
        status, said = await rest.refused("POST", "backends", asked)
        return status, said.get("field", ""), f"{said['message']} {said.get('hint', '')}"

    for wanted, status, field, words in (
        ({"name": "theirs"}, 409, "name", "of the configuration already"),
        ({"name": "local"}, 409, "name", "already"),
        ({"name": "a b"}, 400, "name", "cannot be the name"),
        ({"type": "local"}, 400, "type", "Choose from: backendai, skaha"),
        ({"url": "ftp://x"}, 400, "url", "no address"),
        ({"url": f"http://ada:{WRONG}@127.0.0.1/"}, 400, "url", "more than an address"),
        ({"options": {"type": "skaha"}}, 400, "type", "by itself"),
        ({"options": {"endpoint_type": "web"}}, 400, "endpoint_type", "Use api or session"),
        ({"options": {"timeout": "soon"}}, 400, "timeout", "seconds above 0"),
        ({"options": {"timeout": -1}}, 400, "timeout", "seconds above 0"),
        ({"options": {"secret_key": WRONG}}, 400, "secret_key", "Sign in once"),
        ({"url": f"http://127.0.0.1:{free_port()}"}, 503, "", "cannot be reached"),
        ({"url": f"{manager.url}/nothing"}, 502, "url", "no Backend.AI manager"),
        ({"type": "skaha"}, 502, "url", "is no Skaha server"),
    ):
        found = await refused(**wanted)
        assert (found[0], found[1]) == (status, field) and words in found[2], found
        assert WRONG not in found[2]
    assert not (Path(jupyter_config_dir()) / user_backends_file.FILE).exists()
    status, said = await rest.refused("DELETE", "backends/theirs")
    assert status == 403 and "part of the configuration" in said["message"]
    for given, field in (
        (body("password", username="a", password=WRONG), "method"),
        (body("token"), "token"),
        (body("token", token=f"{WRONG} {WRONG}"), "token"),
        (body("token", token=WRONG, more="x"), "values"),
        ({"method": "token", "values": {"token": 1}}, "values"),
    ):
        status, said = await rest.refused("POST", "backends/theirs/sign-in", given)
        assert (status, said["field"]) == (400, field) and WRONG not in json.dumps(said)
    status, said = await rest.refused("POST", "backends/local/sign-in", body("token", token="x"))
    assert status == 400 and "needs no credentials" in said["hint"]


async def test_kernels_may_not_sign_in(rest: Rest, extension: SessionsExtension) -> None:
    assert extension._access_file is not None
    access = msgspec.json.decode(extension._access_file.read_bytes(), type=ServerInfo)
    scoped = {"Authorization": f"{SCHEME} {access.token}"}
    for method, path in (
        ("POST", "backends"),
        ("DELETE", "backends/theirs"),
        ("POST", "backends/theirs/sign-in"),
        ("DELETE", "backends/theirs/sign-in"),
    ):
        status, said = await rest.refused(method, path, body("token", token="x"), headers=scoped)
        assert status == 403 and "Kernels may not" in said["message"]


CONFIG = """
version: 2
active: {{authentication: srcnet, server: sky}}
authentication: {{srcnet: {{mode: oidc, token: {{access: "{token}"}}, expiry: {{access: {expires}}}}}}}
servers: {{sky: {{idp: srcnet, url: "{url}", version: v1}}}}
"""


async def test_access_that_expires_is_warned_of_and_renewed_by_a_file(
    rest: Rest, manager: Contact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    url = f"{manager.url}/skaha"

    def write(days: float) -> None:
        """As the vendor's client renews it."""
        file, new = tmp_path / ".canfar" / "config.yaml", tmp_path / "new"
        file.parent.mkdir(exist_ok=True)
        expires = time.time() + days * 86400
        new.write_text(CONFIG.format(token=manager.bearer(), expires=expires, url=url))
        new.replace(file)

    async def listed(until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while not until(found := dict(await rest.json("GET", "sessions?backend=sky"))):
                await asyncio.sleep(0.1)
        return found

    write(2)
    await add(rest, "sky", "skaha", url)
    first = await listed(lambda found: bool(found["sessions"]))
    assert first["errors"] == {} and first["expiries"]["sky"]["renew"] == "canfar login"
    service = SessionService(JupyterSessions())
    asked = parse("ps --backend sky")
    result = await perform(service, asked, print)
    assert result.warnings == ["Your access to sky expires in 2 days. `canfar login` renews it."]
    assert "expires in 2 days" in result._repr_mimebundle_()["text/html"]
    await service.close()

    write(-1)
    now = await listed(lambda found: bool(found["errors"]))
    assert "The token for sky expired at" in now["errors"]["sky"] and "`canfar login`" in now["errors"]["sky"]
    assert [row["name"] for row in now["sessions"]] == ["shown"]  # As last seen.
    sky = await described(rest, "sky")
    assert sky["refused"] and sky["sign_in"]["expires"] < datetime.now(UTC).isoformat()

    write(30)
    now = await listed(lambda found: not found["errors"])
    assert [row["name"] for row in now["sessions"]] == ["shown"]
    assert (await described(rest, "sky"))["health"]["ok"]
