"""Where credentials are kept, when they expire, and that they are read again when they change."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.credential_store import CredentialStore
from jupyter_sessions.backends.signin import KEYPAIR, TOKEN, Credentials, SignIn, checked, without_secrets
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.backends.skaha.credentials import find, token_end
from jupyter_sessions.errors import InvalidRequest, Unauthorized

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HERE, GIVEN = "https://here", Credentials("token", {"token": "the-token"})


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's data folder."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "data"


def jwt(expires: datetime) -> str:
    """A token that says when it expires."""
    parts = [{"alg": "none"}, {"sub": "ada", "exp": expires.timestamp()}]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        + ".x"
    )


def write_certificate(path: Path, expires: datetime, password: str = "") -> None:
    """A certificate with its key, as a proxy certificate is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ada")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires - timedelta(days=30))
        .not_valid_after(expires)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    lock = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    secret = key.private_bytes(form, serialization.PrivateFormat.PKCS8, lock)
    path.write_bytes(made.public_bytes(form) + secret)


def test_what_is_kept_in_memory_is_in_no_file(data: Path) -> None:
    ring = CredentialStore("a/b")
    ring.keep(GIVEN, HERE, remember=False)
    assert ring.get(HERE) == GIVEN and ring.get("https://elsewhere") is None
    assert not ring.remembered() and not data.exists()
    assert CredentialStore("a/b").get(HERE) is None
    ring.forget()
    assert ring.get(HERE) is None
    assert "the-token" not in repr(GIVEN)


def test_a_file_is_the_users_alone_and_seen_by_other_processes(data: Path) -> None:
    ring, other = CredentialStore("a/b"), CredentialStore("a/b")
    ring.keep(GIVEN, HERE, remember=True)
    assert [path.name for path in (data / "jupyter_sessions" / "signed_in").iterdir()] == ["a%2Fb.json"]
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ring.path.parent.stat().st_mode) == 0o700
    assert other.get(HERE) == GIVEN and other.remembered() and other.get("https://elsewhere") is None
    newer = Credentials("token", {"token": "another"})
    ring.keep(newer, HERE, remember=True)
    assert other.get(HERE) == newer
    other.keep(GIVEN, HERE, remember=False)  # Not to be remembered: the file goes, too.
    assert other.get(HERE) == GIVEN and ring.get(HERE) is None
    ring.keep(newer, HERE, remember=True)
    assert other.get(HERE) == newer
    other.forget()
    assert ring.get(HERE) is None and not ring.path.exists()


@pytest.mark.parametrize("flaw", ["no JSON", "no text", "readable by all", "a link"])
def test_a_file_that_cannot_be_trusted_is_named_and_quoted_nowhere(data: Path, flaw: str) -> None:
    ring = CredentialStore("lab")
    ring.keep(GIVEN, HERE, remember=True)
    if flaw == "no JSON":
        ring.path.write_text('{"where": "the-token')
    elif flaw == "no text":
        ring.path.write_bytes(ring.path.read_bytes().replace(b"https", b"\xff"))
    elif flaw == "readable by all":
        ring.path.chmod(0o640)
    else:
        ring.path.rename(data / "elsewhere")
        ring.path.symlink_to(data / "elsewhere")
    with pytest.raises(Unauthorized) as caught:
        ring.get(HERE)
    assert str(ring.path) in caught.value.message and "the-token" not in str(caught.value)


def test_a_file_that_cannot_be_removed_is_named(data: Path) -> None:
    ring = CredentialStore("lab")
    ring.path.mkdir(parents=True)
    with pytest.raises(InvalidRequest, match="cannot be removed") as caught:
        ring.forget()
    assert str(ring.path) in caught.value.message


def test_what_was_kept_for_another_way_to_sign_in_is_none(data: Path) -> None:
    options = {"endpoint": HERE, "access_key": "configured", "secret_key": "x"}
    lab = BackendAI("lab", **options)
    lab.credential_store.keep(
        Credentials("keypair", {"access_key": "A", "secret_key": "S"}), HERE, remember=True
    )
    assert lab.sign_in_state().who == "A"
    lab = BackendAI("lab", **options, endpoint_type="session")
    assert lab.signed_in_credentials() is None and not lab.sign_in_state().signed_in
    for values in ({"access_key": "A"}, {"access_key": "A", "secret_key": "S", "endpoint": "https://x"}):
        lab = BackendAI("lab", **options)
        lab.credential_store.keep(Credentials("keypair", values), HERE, remember=True)
        assert lab.signed_in_credentials() is None and not lab.sign_in_state().signed_in


def test_what_is_typed_is_checked_and_never_quoted() -> None:
    assert checked([TOKEN], Credentials("token", {"token": " x\n"})).values == {"token": "x"}
    for values in ({}, {"token": ""}, {"token": "a\nb"}, {"token": "secret ä"}, {"token": "x" * 70_000}):
        with pytest.raises(InvalidRequest) as caught:
            checked([TOKEN], Credentials("token", values))
        assert caught.value.field == "token" and (values.get("token") or "?") not in str(caught.value)
    given = Credentials("keypair", {"access_key": "AKEY", "secret_key": "the-secret"})
    error = without_secrets(
        Unauthorized("AKEY:the-secret is wrong", data={"is": "the-secret"}), given, [KEYPAIR]
    )
    assert (error.message, error.data, str(error)) == ("AKEY:… is wrong", None, "AKEY:… is wrong")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=3, seconds=1), ""),
        (timedelta(days=3), "expires in 3 days. `canfar login` renews it."),
        (timedelta(hours=25), "in 2 days."),
        (timedelta(hours=24), "in 24 hours."),
        (timedelta(minutes=61), "in 2 hours."),
        (timedelta(minutes=60), "in 60 minutes."),
        (timedelta(seconds=1), "in 1 minute."),
        (timedelta(0), ""),
        (timedelta(days=-1), ""),
    ],
)
def test_people_are_warned_before_access_expires(left: timedelta, words: str) -> None:
    state = SignIn(expires=NOW + left, renew="canfar login")
    said = state.warning("the lab", NOW)
    assert words in said if words else said == ""
    assert state.expired(NOW) == (left <= timedelta())
    assert SignIn().warning("the lab", NOW) == "" and not SignIn().expired(NOW)


def test_tokens_say_when_they_expire() -> None:
    assert token_end(jwt(NOW)) == NOW
    for other in ("AKEY.0123abc", "a.b.c", "a.e30.c", "a.bnVsbA.c", ""):
        assert token_end(other) is None


@pytest.mark.asyncio
async def test_an_expired_token_says_so_before_anybody_is_asked(data: Path) -> None:
    lab = Skaha("lab", url="http://127.0.0.1:9/skaha", token=jwt(NOW - timedelta(days=3650)))
    with pytest.raises(Unauthorized, match="The token for lab expired at 2016-"):
        await lab.list(Query())
    state = lab.sign_in_state()
    assert state.expires and state.expires.year == 2016 and state.renew == "jupyter session login lab"


def test_a_certificate_is_read_again_when_it_is_replaced(data: Path, tmp_path: Path) -> None:
    file = tmp_path / ".ssl" / "cadcproxy.pem"
    file.parent.mkdir()
    write_certificate(file, NOW)
    lab = Skaha("lab", url="https://lab/skaha")
    first = find(lab.options, {})
    assert (first.expires, first.renew, lab.sign_in_state().expires) == (NOW, "canfar login cadc", NOW)
    assert first.tls() and find(lab.options, {}) == first
    replaced = tmp_path / "new.pem"
    write_certificate(replaced, NOW)
    os.utime(replaced, ns=(file.stat().st_mtime_ns,) * 2)
    os.replace(replaced, file)  # As long, as old, and valid for as long.
    assert find(lab.options, {}) != first
    write_certificate(file, NOW + timedelta(days=30))
    assert lab.sign_in_state().expires == NOW + timedelta(days=30)


def test_a_key_that_wants_a_password_is_refused_and_nobody_is_asked(data: Path, tmp_path: Path) -> None:
    write_certificate(tmp_path / "locked.pem", NOW, password="sesame")
    code = (
        "import sys; from jupyter_sessions.backends.skaha.credentials import SkahaLogin\n"
        "SkahaLogin(root='https://lab', certificate=sys.argv[1]).tls()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "locked.pem")]
    ran = subprocess.run(command, input="sesame\n", capture_output=True, text=True, start_new_session=True)
    assert "Unauthorized: The certificate" in ran.stderr and "cannot be used" in ran.stderr
    assert "pass phrase" not in ran.stderr + ran.stdout


@pytest.mark.asyncio
async def test_what_was_tried_at_one_address_is_never_kept_for_another(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor's variables may be set anew while somebody signs in."""
    asked: list[str] = []

    async def listed(request: web.Request) -> web.Response:
        asked.append(request.headers["Authorization"])
        monkeypatch.setenv("CANFAR_URL", "https://elsewhere/skaha")
        return web.json_response([])

    app = web.Application()
    app.router.add_get("/skaha/v1/session", listed)
    async with TestServer(app) as server:
        url = str(server.make_url("/skaha"))
        monkeypatch.setenv("CANFAR_URL", url)
        lab = Skaha("lab")
        with pytest.raises(InvalidRequest, match="has changed in the meantime"):
            await lab.sign_in(GIVEN)
    assert (
        asked == ["Bearer the-token"]
        and lab.signed_in_credentials() is None
        and lab.signed_in_credentials(url) is None
    )


def test_credentials_are_those_for_the_address_that_is_asked(data: Path) -> None:
    ring = CredentialStore("lab")
    ring.keep(GIVEN, f"{HERE}/skaha", remember=False)
    assert find({"url": f"{HERE}/skaha/v1"}, {}, ring.get).token == "the-token"
    with pytest.raises(Unauthorized, match="Nobody is signed in"):
        find({"url": "https://elsewhere/skaha"}, {}, ring.get)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["backendai", "skaha"])
async def test_who_signs_in_or_out_breaks_off_nothing_that_is_under_way(data: Path, kind: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.json_response({"version": "v8.20240315", "manager": "24.3.0"})

    app = web.Application()
    app.router.add_get("/{path:.*}", slow)
    async with TestServer(app) as server:
        url = str(server.make_url("/skaha"))
        lab = BackendAI("lab", endpoint=url) if kind == "backendai" else Skaha("lab", url=url)
        (method, *_) = lab.sign_in_methods()
        one, two = (
            Credentials(method.name, {field.name: each for field in method.fields}) for each in ("1", "2")
        )
        lab.credential_store.keep(one, url, remember=False)
        client, *others = await asyncio.gather(*(lab.client() for _ in range(5)))
        assert all(other is client for other in others)
        work = client.dialect() if isinstance(client, ManagerClient) else client.text("GET", "/session")
        asked = asyncio.create_task(work)
        await begun.wait()
        lab.credential_store.keep(two, url, remember=False)
        assert await lab.client() is not client
        await lab.sign_out()
        go_on.set()
        assert await asked
        await lab.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client._http.get(url)


@pytest.mark.asyncio
async def test_a_password_that_is_refused_is_not_tried_again(data: Path) -> None:
    """Web servers block whoever is refused ten times. Source of the answers: web server 25.5.2."""
    tried: list[str] = []

    async def enter(request: web.Request) -> web.Response:
        tried.append((await request.json())["password"])
        good = len(tried) > 1  # It has been set anew there.
        wrong = {"type": "https://api.backend.ai/probs/auth-failed", "details": "Wrong"}
        return web.json_response({"authenticated": good, "data": {} if good else wrong})

    async def version(request: web.Request) -> web.Response:
        return web.json_response({"version": "v8.20240315", "manager": "24.3.0"})

    async def listed(request: web.Request) -> web.Response:
        return web.json_response({"data": {"compute_session_list": {"items": [], "total_count": 0}}})

    app = web.Application()
    app.router.add_post("/server/login", enter)
    app.router.add_get("/func/", version)
    app.router.add_post("/func/admin/{path:.*}", listed)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        lab = BackendAI("lab", endpoint=url, endpoint_type="session", username="ada", password="the-password")
        for _ in range(3):
            with pytest.raises(Unauthorized, match="did not let you in: Wrong"):
                await lab.list(Query())
        assert tried == ["the-password"]
        await lab.sign_in(Credentials("password", {"username": "ada", "password": "the-password"}))
        assert await lab.list(Query()) == [] and len(tried) == 3
        await lab.close()
