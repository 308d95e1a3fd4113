"""JSON Schemas of the models in requests and answers.

A field of a request may be left out if it has a default. A field of an answer may be absent only if its model leaves
out defaults; such a field is never null. Models of requests are those that forbid unknown fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

import msgspec
from msgspec import structs

Schema = dict[str, Any]
Models = dict[str, type[msgspec.Struct]]

_NULL = {"type": "null"}
REFERENCE = "#/components/schemas/{name}"


def reference(model: type[msgspec.Struct]) -> Schema:
    """Return the reference to a model's schema."""
    return {"$ref": REFERENCE.format(name=model.__name__)}


def parameter(kind: Any) -> Schema:
    """Return the schema of a query parameter."""
    return msgspec.json.schema(kind)


def schemas(roots: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Return the schemas of these models and of all models in them, by name."""
    models: Models = {}
    for root in roots:
        _collect(root, models)
    _, components = msgspec.json.schema_components(models.values(), ref_template=REFERENCE)
    return {name: _refined(models[name], components[name]) for name in sorted(components)}


def _collect(hint: Any, models: Models) -> None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if models.setdefault(hint.__name__, hint) is not hint:
            raise ValueError(f"Two models are named {hint.__name__}")
        for field in structs.fields(hint):
            _collect(field.type, models)
    for part in get_args(hint):
        _collect(part, models)


def _refined(model: type[msgspec.Struct], schema: Schema) -> Schema:
    """Mark the fields of an answer that are always present, and leave out what goes without saying."""
    config = model.__struct_config__
    del schema["title"]
    schema["description"] = inspect.cleandoc(model.__doc__ or "")
    for field in schema["properties"].values():
        _sort_kinds(field)
    if config.forbid_unknown_fields:
        return schema
    for field in schema["properties"].values():
        if "default" in field and not config.omit_defaults:
            del field["default"]
        elif field.get("default", ...) is None:
            del field["default"]
            _never_null(field)
    if not config.omit_defaults:
        schema["required"] = [*schema["properties"]]
    return schema


def _sort_kinds(schema: Schema) -> None:
    """Put null last in unions: msgspec's order of types depends on its version."""
    if "anyOf" in schema:
        schema["anyOf"].sort(key=_NULL.__eq__)
    for part in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, dict):
            _sort_kinds(part)


def _never_null(field: Schema) -> None:
    kinds = [kind for kind in field.pop("anyOf", []) if kind != _NULL]
    field.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})
