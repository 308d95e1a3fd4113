"""The schema file and what answers it: no field is without the other."""

from __future__ import annotations

import pytest
from graphql import GraphQLObjectType, build_schema, validate_schema

from jupyter_sessions.manager.api.fields import FIELDS
from jupyter_sessions.manager.api.graphql import SDL, schema
from jupyter_sessions.manager.api.queries import QUERIES


def _fields(name: str) -> set[str]:
    kind = schema().type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    return {*kind.fields}


def test_the_file_is_valid() -> None:
    assert validate_schema(build_schema(SDL)) == []


def test_every_query_is_answered() -> None:
    assert _fields("Query") == {*QUERIES}


@pytest.mark.parametrize("name", [*FIELDS])
def test_every_field_of_a_session_is_answered(name: str) -> None:
    assert _fields(name) == {*FIELDS[name]}
