"""The OpenAPI file and the panel's types: made of handlers and models, and what the server really does."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from jsonschema import ValidationError
from openapi_spec_validator import validate
from walking import routes

from jupyter_sessions import errors
from jupyter_sessions.server.bodies import Problem
from jupyter_sessions.server.handlers import RootHandler, UnknownHandler
from jupyter_sessions.server.openapi import document, files, typescript
from jupyter_sessions.server.openapi.__main__ import main
from jupyter_sessions.wire.access import SCHEME, ServerInfo
from jupyter_sessions.wire.identity import own_identity
from tests.manager.world import contact
from tests.server.described import ROOT

if TYPE_CHECKING:
    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension


@pytest.fixture
def kernel(extension: SessionsExtension) -> dict[str, str]:
    """The header that kernels of the server send."""
    assert extension._access_file is not None
    access = msgspec.json.decode(extension._access_file.read_bytes(), type=ServerInfo)
    return {"Authorization": f"{SCHEME} {access.token}"}


@pytest.mark.parametrize("path", files.files(), ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    assert written == files.files()[path], f"Run `.venv/bin/{files.COMMAND}` and commit {path.name}."


def test_the_command_writes_all_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, types = tmp_path / "openapi.yaml", tmp_path / "src" / "types.ts"
    monkeypatch.setattr(files, "OPENAPI", document)
    monkeypatch.setattr(files, "TYPES", types)
    with pytest.raises(SystemExit, match="in a checkout"):
        main()
    assert not document.exists()
    types.parent.mkdir()
    main()
    assert {path: path.read_text(encoding="utf-8") for path in (types, document)} == files.files()


def test_the_document_is_openapi() -> None:
    validate(document.document())


def test_errors_are_described() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    said = [kind("Wrong.", hint="Mend it.", field="name", data={"id": 1}) for kind in kinds]
    assert len(said) > 15
    for error in said:
        told = error.to_wire()
        assert msgspec.to_builtins(Problem(**told)) == told


async def test_every_route_is_described_and_no_other(rest: Rest, extension: SessionsExtension) -> None:
    described = rest.described
    found: dict[str, set[str]] = {}
    for route in routes(extension.serverapp.web_app):
        if not route.ours or route.handler in (UnknownHandler, RootHandler):
            continue
        path = described.path_of(route.path[route.path.index(ROOT) :])
        assert path, f"{route.path} is not described"
        # Jupyter itself answers OPTIONS, for all of its routes, and a WebSocket begins with GET.
        own = {method for method in route.methods() if method != "options" or route.proxied}
        found[path] = found.get(path, set()) | own
    told = {
        path: item.keys() - {"parameters", "description"}
        for path, item in described.document["paths"].items()
    }
    assert found == told


async def test_the_server_answers_with_the_document(rest: Rest, kernel: dict[str, str]) -> None:
    for headers in ({}, kernel):
        response = await rest.ask("GET", "openapi.yaml", headers=headers)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/yaml")
        assert yaml.safe_load(response.text) == document.document()


def operations(rest: Rest) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path with real names, and description of all operations but those of services."""
    for path, item in rest.described.document["paths"].items():
        for method in item.keys() - {"parameters", "description"}:
            if not path.startswith(f"{ROOT}/services/"):
                yield method.upper(), re.sub(r"\{\w+\}", "local", path), item[method]


async def test_bodies_have_the_fields_that_are_described(rest: Rest, kernel: dict[str, str]) -> None:
    count = 0
    for method, path, operation in operations(rest):
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        fields = rest.described.document["components"]["schemas"][name]["properties"]
        headers = kernel if operation.get("security") == [{"kernel": []}] else {}
        status, said = await rest.refused(method, path, {"9": 1}, headers=headers)
        assert (status, said["hint"]) == (400, f"Choose from: {', '.join(fields)}."), (method, path)
        count += 1
    assert count == 10


async def test_who_may_call_is_described(rest: Rest, kernel: dict[str, str]) -> None:
    for method, path, operation in operations(rest):
        callers = {name for way in operation.get("security", []) for name in way}
        if not callers:
            continue
        headers = {} if callers == {"kernel"} else kernel
        status, said = await rest.refused(method, path, {}, headers=headers)
        assert status == 403 and "kernels" in said["message"].lower(), (method, path, said)


async def test_answers_are_as_described(
    rest: Rest, extension: SessionsExtension, kernel: dict[str, str], toys: Path
) -> None:
    """Each operation is done once. `Rest` compares each answer and event with the file."""
    hello = await rest.json("GET", "/jupyter-sessions")
    row = await rest.running("demo")
    place, since = f"sessions/local/{row['id']}", await rest.json("GET", "sessions")
    async with rest.stream("GET", "events") as events:
        assert (await anext(events)).name == "hello"
        assert (await rest.json("PATCH", place, {"name": "other"}))["name"] == "other"
        assert (await anext(events)).name == "sessions"
    await rest.json("GET", f"sessions?epoch={since['epoch']}&since={since['rev']}")
    await rest.json("GET", "sessions?fields=name,status")
    await rest.json("GET", place)
    path = f"{place}/execute"
    async with rest.stream("POST", path, {"code": "print(input('name? '))", "stdin": True}) as events:
        async for event in events:
            if event.name == "output" and event.json()["kind"] == "input_request":
                await rest.ask("POST", f"{place}/input", {"run": event.json()["run"], "text": "Ada"})
    for name in ("logs", "events", "outputs", "outputs?heads=true&last=1"):
        await rest.json("GET", f"{place}/{name}")
    await rest.ask("POST", f"{place}/interrupt")
    await rest.ask("PUT", f"{place}/files/content?path=hello", content=b"hello")
    await rest.json("GET", f"{place}/files")
    await rest.ask("GET", f"{place}/files/content?path=hello")
    owner = msgspec.to_builtins(own_identity())
    await rest.json("POST", f"{place}/connection", {"owner": owner}, headers=kernel)
    await rest.json("POST", f"{place}/services/jupyter", status=202)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    await rest.ask("POST", f"{place}/services/jupyter", headers=form)
    await rest.json("GET", f"{place}/services")
    await rest.json("GET", f"{place}/services/jupyter/log")
    await rest.ask("DELETE", f"{place}/services/jupyter")
    await rest.json("GET", "kernels/none")
    made = await rest.json("POST", "kernelspecs", {"session": "other"}, status=201)
    await rest.ask("DELETE", f"kernelspecs/{made['name']}")
    await rest.json("GET", "defaults")
    keypair, lab = contact().keypair, {"name": "lab", "type": "backendai", "url": contact().url}
    await rest.json("POST", "backends", lab, status=201)
    values = {"access_key": keypair.access_key, "secret_key": keypair.secret_key}
    await rest.ask("POST", "backends/lab/sign-in", {"method": "keypair", "values": values})
    await rest.json("GET", "backends")
    await rest.ask("DELETE", "backends/lab/sign-in")
    await rest.ask("DELETE", "backends/lab")
    await rest.ask("GET", "openapi.yaml")
    await rest.ask("POST", "backends/local/takeover")
    extension.service.backends["arrays"] = importlib.import_module("toy_sessions").Arrays("arrays")
    jobs = {"backend": "arrays", "name": "job", "replicas": 2}
    names = [one["name"] for one in (await rest.json("POST", "replicas", jobs, status=202))["sessions"]]
    assert names == ["job-1", "job-2"]
    await rest.until(await rest.end(row), "TERMINATED")
    await rest.json("DELETE", place)
    assert hello["protocol"] == int(rest.described.document["info"]["version"])
    told = {
        (operation["operationId"], status)
        for _, _, operation in operations(rest)
        for status, answer in operation["responses"].items()
        if status != "default" and "text/event-stream" not in answer.get("content", {})
    }
    streamed = {("getEvents", "hello"), ("getEvents", "sessions"), ("postExecute", "output")}
    assert told | streamed | {("postExecute", "server_close")} == rest.described.seen


async def test_what_is_not_described_is_noticed(rest: Rest) -> None:
    about = await rest.json("GET", "/jupyter-sessions")
    rest.described.fits("About", about)
    for wrong in ({**about, "more": 1}, {**about, "protocol": "1"}, {"version": "1"}):
        with pytest.raises(ValidationError):
            rest.described.fits("About", wrong)


def test_interfaces_say_what_may_be_absent_and_what_may_be_null() -> None:
    types = files.TYPES.read_text(encoding="utf-8")
    body = dict(re.findall(r"export interface (\w+) \{\n(.*?)\n\}", types, re.S))
    assert "  backend?: string | null;" in body["ISessionSpec"]  # What a request may leave out,
    assert "  cwd?: string;" in body["ISession"]  # what an answer leaves out if it is not set,
    assert "  created_at: string | null;" in body["ISession"]  # what it does not,
    assert "  is_default: boolean;" in body["IBackend"]  # and what an answer always has.
    assert "  op: 'put';\n  session: ISession;" in body["ISessionPut"]


def test_interfaces_look_as_prettier_formats_them() -> None:
    choice = {"anyOf": [{"$ref": f"#/components/schemas/{'Long' * 5}{number}"} for number in range(4)]}
    schema = {
        "description": "Says something.\n\nSays more.",
        "properties": {"few": {"enum": ["a", "b"]}, "many": {"type": "array", "items": choice}},
        "required": ["few"],
    }
    assert typescript.module({"OneInfo": schema}, "Head") == (
        "// Head\n\n/**\n * Says something.\n *\n * Says more.\n */\nexport interface IOne {\n"
        "  few: 'a' | 'b';\n  many?: (\n"
        + "".join(f"    | I{'Long' * 5}{number}\n" for number in range(4))
        + "  )[];\n}\n"
    )
