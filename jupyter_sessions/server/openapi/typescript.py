"""Generate TypeScript interfaces of the models, formatted like prettier does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from jupyter_sessions.server.openapi.schemas import Schema

WIDTH = 80
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def module(schemas: Mapping[str, Schema], head: str) -> str:
    """Return a module that exports an interface for each schema, with `head` as its first comment."""
    return "\n".join([f"// {head}\n", *(_interface(name, schema) for name, schema in schemas.items())])


def name_of(schema: str) -> str:
    """Return the name of a model's interface, for example `ISession` for `SessionInfo`."""
    return f"I{schema.removesuffix('Info')}"


def _interface(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    lines = [*_comment(schema.get("description", "")), f"export interface {name_of(name)} {{"]
    for field, kind in schema["properties"].items():
        lines += _field(field if field in required else f"{field}?", _type(kind))
    return "\n".join([*lines, "}", ""])


def _comment(text: str) -> Iterator[str]:
    """Return a TSDoc comment, with paragraphs wrapped regardless of their own line breaks."""
    if not text:
        return
    yield "/**"
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield " *"
        yield from textwrap.wrap(paragraph, WIDTH, initial_indent=" * ", subsequent_indent=" * ")
    yield " */"


def _field(name: str, kind: str) -> Iterator[str]:
    line = f"  {name}: {kind};"
    if len(line) <= WIDTH or not kind.endswith(")[]"):
        yield line
        return
    union = kind[1:-3]
    yield f"  {name}: ("
    if len(union) + 4 <= WIDTH:
        yield f"    {union}"
    else:
        yield from (f"    | {part}" for part in union.split(" | "))
    yield "  )[];"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return name_of(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(map(_type, schema["anyOf"])))
    if "enum" in schema:
        return " | ".join(f"'{value}'" for value in schema["enum"])
    if schema.get("type") == "array":
        item = _type(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if schema.get("type") == "object":
        return f"Record<string, {_type(schema.get('additionalProperties', {}))}>"
    return _SIMPLE.get(schema.get("type", ""), "unknown")
