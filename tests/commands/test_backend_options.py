"""What a backend does nothing with is refused in one place, and neither offered nor explained for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from jupyter_sessions.backends.takes import BASIC, EVERY, WORDS
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.commands.completion import complete
from jupyter_sessions.commands.grammar import Help, verbs
from jupyter_sessions.commands.result import Text
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import NotSupported
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

GIVEN: dict[str, object] = {
    "cluster_size": 2,
    "cluster_mode": "multi-node",
    "mounts": ["data"],
    "mount_map": {"data": "there"},
    "preopen_ports": [8080],
    "resource_opts": {"shmem": "64m"},
    "dependencies": ["first"],
    "priority": 3,
    "idle_timeout": 60,
    "time_limit": "1h",
    "kernel_arguments": ["--quiet"],
}


@pytest.fixture
def service(toys: Path) -> SessionService:
    backends = {name: {"type": name} for name in ("toy", "plain")}
    return SessionService(
        JupyterSessions(backends=backends, enabled_backends=[*backends], default_backend="toy")
    )


async def test_each_field_that_a_backend_does_not_take_is_refused_in_a_sentence(
    service: SessionService,
) -> None:
    for field in sorted(EVERY - BASIC):
        spec = SessionSpec(name="mine", backend="plain", **{field: GIVEN.get(field, "some")})
        with pytest.raises(NotSupported) as caught:
            await service.create(spec)
        assert str(caught.value) == f"Plain Toy does not take {WORDS[field]}. Leave it out."
        assert caught.value.field == field
    assert (await service.list()).sessions == []


async def test_what_asks_for_nothing_is_not_refused(service: SessionService) -> None:
    spec = SessionSpec(name="mine", backend="plain", idle_timeout=0, time_limit=0, environ={"A": "b"})
    assert (await service.create(spec)).name == "mine"


async def test_every_field_is_either_taken_by_all_or_can_be_refused() -> None:
    service_does = (
        "backend name image preset type resources reuse_if_exists enqueue_only max_wait_seconds "
        "replicas cwd owner notebook_path secrets notify"
    ).split()
    assert EVERY | {*service_does} == {field.name for field in structs.fields(SessionSpec)}


async def test_help_and_completion_offer_what_the_backend_takes(service: SessionService) -> None:
    others = ("--tag", "--mount", "--depends", "--time-limit", "--project", "--cluster-size")
    for backend, offered in (("plain", False), ("toy", True)):
        result = await perform(service, parse(f"create -b {backend} --help"), print)
        assert isinstance(result, Text)
        completed = await complete(service, ["create", "--backend", backend], "--")
        for option in others:
            assert (f"{option} " in result.text()) is offered, option
            assert (option in completed) is offered, option
        assert "--env " in result.text() and "--env" in completed and "--cpu" in completed
    assert "--tag" in await complete(service, ["create"], "--")
    with pytest.raises(Help, match="--tag"):
        parse("create --help")
    assert verbs()["create"].format_help().count("--tag")


async def test_what_backends_are_is_told_by_their_classes(service: SessionService) -> None:
    plain, toy = [(await service.describe(name))[0] for name in ("plain", "toy")]
    assert (plain.title, toy.title) == ("Plain Toy", "toy")
    assert plain.takes == sorted(BASIC) and toy.takes == sorted(EVERY)
    with pytest.raises(Help, match=r"type of backend: backendai or skaha"):
        parse("backend add --help")
    with pytest.raises(Help) as caught:
        parse("create --help")
    said = " ".join(str(caught.value).split())
    assert "desktop, carta, contributed, firefly (Skaha (CANFAR))" in said
    assert set(await complete(service, ["create", "--type"], "")) >= {"batch", "headless", "desktop"}
    assert set(await complete(service, ["backend", "add", "--kind"], "")) == {"backendai", "skaha"}
