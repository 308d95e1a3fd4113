"""What the vendor's variables say, also where there is no keypair among them."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jupyter_sessions.backends.backendai import BackendAI, credentials
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import BackendTimeout, BackendUnavailable, InvalidRequest
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests.backends.small_manager import SmallManager, serving

Variables = pytest.MonkeyPatch


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Variables]:
    """Those of a keypair."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    for name in ("ACCESS", "SECRET"):
        monkeypatch.setenv(f"BACKEND_{name}_KEY", name[0])
    yield monkeypatch


@pytest.mark.asyncio
async def test_a_web_server_without_a_password_is_found_and_asks_for_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://one")
    assert "backendai" not in SessionService(JupyterSessions()).backends
    monkeypatch.setenv("BACKEND_ENDPOINT_TYPE", "session")
    service = SessionService(JupyterSessions())
    found = service.backends["backendai"]
    assert [method.name for method in found.sign_in_state().methods] == ["password"]
    listing = await service.list(backend="backendai")
    assert "lacks username, password. Sign in." in listing.errors["backendai"]
    await service.close()


@pytest.mark.asyncio
async def test_sessions_are_made_as_the_variables_say(variables: Variables) -> None:
    manager = SmallManager()
    bodies = []

    async def create(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return await manager.make(request)

    manager.create = create
    async with serving(manager) as url:
        variables.setenv("BACKEND_ENDPOINT", url)
        variables.setenv("BACKEND_DOMAIN", "physics")
        variables.setenv("BACKEND_GROUP", "lasers")
        variables.setenv("BACKEND_VFOLDER_MOUNTS", "data,models")
        options = BackendAI.options_from_environment()
        assert options is not None
        lab = BackendAI("lab", **options)
        assert not lab.storage.needs_mount, "there is no need to warn"
        await lab.create(normalized(SessionSpec(backend="lab", name="one-1", image="python")))
        await lab.create(
            normalized(
                SessionSpec(
                    backend="lab", name="two-2", image="python", group="other", mounts=["data", "mine"]
                )
            )
        )
        await lab.close()
    assert [(body["domain"], body["group"], body["config"]["mounts"]) for body in bodies] == [
        ("physics", "lasers", ["data", "models"]),
        ("physics", "other", ["data", "mine", "models"]),
    ]
    assert BackendAI("lab", endpoint="https://elsewhere").storage.needs_mount


@pytest.mark.asyncio
async def test_answers_may_take_as_long_as_the_variables_say(variables: Variables) -> None:
    async with serving(SmallManager()) as url:
        variables.setenv("BACKEND_ENDPOINT", url)
        variables.setenv("BACKEND_READ_TIMEOUT", "0.0001")
        lab = BackendAI("lab")
        with pytest.raises((BackendTimeout, BackendUnavailable)):
            await lab.list(Query())
        variables.setenv("BACKEND_READ_TIMEOUT", "0")
        assert await lab.list(Query()) == []
        variables.setenv("BACKEND_CONNECTION_TIMEOUT", "2.5")
        assert (await lab.client())._http.timeout.connect == 2.5
        await lab.close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SKIP_SSLCERT_VALIDATION", "perhaps"),
        ("CONNECTION_TIMEOUT", "soon"),
        ("READ_TIMEOUT", "-1"),
        ("READ_TIMEOUT", "inf"),
    ],
)
def test_what_a_variable_cannot_be_is_named(variables: Variables, variable: str, value: str) -> None:
    variables.setenv("BACKEND_ENDPOINT", "https://one")
    variables.setenv(f"BACKEND_{variable}", value)
    with pytest.raises(
        InvalidRequest, match=f"'{value}' cannot be the {variable.lower()} of the backend 'lab'"
    ):
        credentials.find({}, "lab")


@pytest.mark.asyncio
async def test_a_certificate_of_nobody_is_taken_only_if_asked_to(
    variables: Variables, tmp_path: Path
) -> None:
    server = TestServer(SmallManager().app(), scheme="https")
    await server.start_server(ssl=_self_signed(tmp_path / "self.pem"))
    try:
        variables.setenv("BACKEND_ENDPOINT", str(server.make_url("")).rstrip("/"))
        for said in ("", "no"):
            variables.setenv("BACKEND_SKIP_SSLCERT_VALIDATION", said)
            lab = BackendAI("lab")
            with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await lab.list(Query())
            await lab.close()
        variables.setenv("BACKEND_SKIP_SSLCERT_VALIDATION", "yes")
        lab = BackendAI("lab")
        assert (await lab.probe()).startswith("Backend.AI 25.5")
        assert await lab.list(Query()) == []
        socket = await (await lab.client()).websocket("/session/s1/tcpproxy", {"app": "one"})
        assert socket is not None
        await socket.close()
        await lab.close()
    finally:
        await server.close()


def _self_signed(path: Path) -> ssl.SSLContext:
    """A server's certificate for loopback that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(host, critical=False)
        .sign(key, hashes.SHA256())
    )
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(made.public_bytes(form) + key.private_bytes(form, kind, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
