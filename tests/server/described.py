"""The OpenAPI file as a judge of answers: whether they are what it says, with no field that it does not know."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator

from jupyter_sessions.server.handlers import OPENAPI

ROOT = "/jupyter-sessions"
SERVICES = f"{ROOT}/services/"


class Described:
    """The file, and which answers were compared with it: operation and status, or the name of an event."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
        self.seen: set[tuple[str, str]] = set()
        self._components = copy.deepcopy(self.document["components"])
        for schema in self._components["schemas"].values():
            schema["additionalProperties"] = False

    def path_of(self, path: str) -> str:
        """The path of the file that a request's path is one of, "" if there is none."""
        matches = (known for known in self.document["paths"] if re.fullmatch(_pattern(known), path))
        return next(matches, "")

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What the file says of a request, if anything."""
        found: dict[str, Any] | None = self.document["paths"].get(self.path_of(path), {}).get(method.lower())
        return found

    def check(self, response: httpx.Response) -> None:
        """Compare an answer with what the file says of it."""
        path = _path(response)
        if path.startswith(SERVICES):
            return
        operation = self.operation(response.request.method, path)
        name = "Problem" if operation is None else self._model(operation, response)
        if name:
            self.fits(name, response.json())
        if operation is not None:
            self.seen.add((operation["operationId"], str(response.status_code)))

    def _model(self, operation: dict[str, Any], response: httpx.Response) -> str:
        """The model of an answer's body, "" if there is no JSON to come."""
        answers = operation["responses"]
        content = answers.get(str(response.status_code), {"content": {"application/json": None}}).get(
            "content"
        )
        if content is None:
            assert not response.content, response.text
            return ""
        kind = response.headers["Content-Type"]
        assert kind in content, (kind, content)
        if str(response.status_code) not in answers:
            return "Problem"
        if kind != "application/json":
            return ""
        names = [_name(one) for one in content[kind]["schema"].get("anyOf", [content[kind]["schema"]])]
        return names[0] if len(names) == 1 else _listing(response)

    def check_event(self, response: httpx.Response, name: str, data: str) -> None:
        """Compare an event with what the file says of its stream."""
        operation = self.operation(response.request.method, _path(response))
        assert operation is not None
        events = operation["responses"]["200"]["content"]["text/event-stream"]["x-events"]
        if name == "server_close":
            assert data == "{}"
        else:
            self.fits(_name(events[name]), json.loads(data))
        self.seen.add((operation["operationId"], name))

    def fits(self, model: str, value: object) -> None:
        """Fail unless a value is one of the model."""
        schema = {"$ref": f"#/components/schemas/{model}", "components": self._components}
        checker = Draft202012Validator.FORMAT_CHECKER
        Draft202012Validator(schema, format_checker=checker).validate(value)


def _path(response: httpx.Response) -> str:
    whole = response.request.url.raw_path.decode().partition("?")[0]
    return whole[whole.index(ROOT) :]


def _pattern(path: str) -> str:
    parts = (
        ".*" if part == "{path}" else "[^/]+" if part[:1] == "{" else re.escape(part)
        for part in path.split("/")
    )
    return "/".join(parts)


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _listing(response: httpx.Response) -> str:
    """Which of its answers a list is: the schema of one of them fits the others, too."""
    if "changes" in response.json():
        return "SessionChanges"
    return "SessionFields" if "fields" in response.request.url.params else "SessionList"
