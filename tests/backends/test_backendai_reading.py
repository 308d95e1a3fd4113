"""What managers of all ages answer, and where their addresses and keys are found."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from jupyter_sessions.backends.backendai import BackendAI, convert, credentials
from jupyter_sessions.backends.backendai.catalog import capacity_of, images_of
from jupyter_sessions.backends.backendai.problems import decoded, error_of
from jupyter_sessions.backends.backendai.reading import mapping_of, slots_of, text_of, time_of
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, NotSupported, Unauthorized
from jupyter_sessions.model import Amount, SessionSpec
from jupyter_sessions.service import SessionService


@pytest.mark.parametrize(
    "said",
    [
        "{'cpu': Decimal('1'), 'mem': Decimal('134217728')}",
        '{"cpu": "1", "mem": "134217728"}',
        {"cpu": 1, "mem": "134217728"},
    ],
)
def test_amounts_are_read_alike(said: object) -> None:
    assert slots_of(said) == {"cpu": "1", "mem": "128m"}


@pytest.mark.parametrize("said", [None, "None", "", "null", "no object", "__import__('os')", "[" * 10**4, 7])
def test_what_is_none_is_none(said: object) -> None:
    assert mapping_of(said) == {}
    assert slots_of(said) == {}
    assert text_of("None") == ""


def test_times() -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    for said in ("2024-01-02 03:04:05+00:00", "2024-01-02T03:04:05", "2024-01-02T04:04:05+01:00"):
        assert time_of(said) == moment
    assert time_of("None") is None and time_of("soon") is None


def test_what_has_no_field_is_kept() -> None:
    row = convert.session_of({"id": "i", "priority": 10, "queue_position": 3, "abusing_reports": []}, "lab")
    assert row.extra == {"priority": 10, "queue_position": 3}


def test_capacity_without_limits_is_that_of_the_resource_groups() -> None:
    """As 25.5.2 answers an administrator."""
    none = {"cpu": "Infinity", "mem": "Infinity"}
    said = {
        "keypair_limits": none,
        "keypair_using": {"mem": "6576668672", "cpu": "7"},
        "keypair_remaining": none,
        "scaling_group_remaining": {"mem": "126567317504", "cpu": "22"},
        "group_limits": {"cpu": "NaN", "mem": "NaN"},
        "group_remaining": {"cpu": "NaN", "mem": "NaN"},
    }
    assert capacity_of(said)["cpu"] == Amount(total="29", free="22")
    limited = said | {"keypair_limits": {"cpu": "10"}, "keypair_remaining": {"cpu": "3"}}
    assert capacity_of(limited)["cpu"] == Amount(total="10", free="3")


def test_images_of_the_managers_own_use_are_left_out() -> None:
    image = {"registry": "r", "name": "n", "tag": "t", "resource_limits": [{"key": "mem", "min": "1g"}]}
    system = {**image, "name": "x", "labels": [{"key": "ai.backend.role", "value": "SYSTEM"}]}
    (found,) = images_of([image, image, system])
    assert (found.name, found.resources) == ("r/n:t", {"mem": "1g"})


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (503, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, "", "Try again after "),
        (302, {"Location": "https://sso.example.org/"}, "", "sends on to https://sso.example.org/"),
        (418, {}, '{"type": "https://api.backend.ai/probs/new-thing", "title": "Tea."}', "Tea."),
        (400, {}, "[]", "answered 400 without saying why"),
    ],
)
@pytest.mark.asyncio
async def test_errors(status: int, headers: dict[str, str], body: str, words: str) -> None:
    response = httpx.Response(status, headers=headers, text=body)
    said, _ = await decoded(response)
    assert words in str(error_of(response, said, "lab"))


def test_old_versions_have_their_own_spelling() -> None:
    spec = normalized(SessionSpec(name="n", image="i", cluster_size=2))
    body = convert.create_body(spec, Dialect(version="v4.20190615"))
    assert (body["clientSessionToken"], body["config"]["clusterSize"]) == ("n", 2)
    assert body.keys().isdisjoint({"name", "clusterSize", "clusterMode"})
    body = convert.create_body(spec, Dialect())
    assert (body["name"], body["clusterSize"], body["config"]) == ("n", 2, {})


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKEND_ENDPOINT", raising=False)
    file = tmp_path / "env.sh"
    file.write_text("# mine\nexport BACKEND_ACCESS_KEY='A'\nBACKEND_SECRET_KEY=S # secret\nPATH=x\n")
    options = {"endpoint": "https://one, https://two/", "credentials": str(file)}
    login = credentials.find(options, "lab")
    assert (login.endpoints, login.access_key, login.secret_key) == (["https://one", "https://two"], "A", "S")
    assert "'S'" not in repr(login)
    file.write_text("export BACKEND_ACCESS_KEY=B\nexport BACKEND_SECRET_KEY=T\n")
    assert credentials.find(options, "lab").access_key == "B"
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://two")
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "E")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "E")
    assert credentials.find({"endpoint": "https://two"}, "lab").access_key == "E"
    for wrong, words in (
        ({"endpoint": "https://three"}, "lacks access_key, secret_key"),
        ({"endpoint": "two"}, "'two' of the backend 'lab' is no address"),
        (
            {"endpoint": "two", "access_key": "A", "secret_key": "S"},
            "'two' of the backend 'lab' is no address",
        ),
        ({"endpoint": "https://two", "endpoint_type": "web"}, "endpoint_type"),
        ({"endpoint": "https://two", "endpoint_type": "session"}, "lacks username, password"),
        ({"endpoint": "https://two", "credentials": str(tmp_path / "no")}, "cannot be read"),
    ):
        with pytest.raises((InvalidRequest, Unauthorized), match=words):
            credentials.find(wrong, "lab")


def test_the_environment_makes_a_backend(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://one")
    assert "backendai" not in SessionService(JupyterSessions()).backends
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "E")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "E")
    assert "backendai" in SessionService(JupyterSessions()).backends
    configured = JupyterSessions(backends={"lab": {"type": "backendai", "endpoint": "https://one/"}})
    assert [*SessionService(configured).backends] == ["local", "lab"]


@pytest.mark.asyncio
async def test_a_manager_that_restarts_nothing_does_not_offer_it() -> None:
    lab = BackendAI("lab", endpoint="https://one", access_key="A", secret_key="S")
    assert "restart" in lab.capabilities()
    client = await lab.client()
    client._dialect = Dialect(release=(26, 9))
    with pytest.raises(NotSupported, match="cannot restart sessions"):
        await lab.restart("i")
    assert "restart" not in lab.capabilities()
    await lab.close()
