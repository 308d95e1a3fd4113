"""The files that are made of handlers and models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_sessions.server.openapi import files, typescript


@pytest.mark.parametrize("path", files.files(), ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    assert written == files.files()[path], f"Run `.venv/bin/{files.COMMAND}` and commit {path.name}."


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
