"""`POST /admin/gql` and `/admin/graphql`: queries about sessions and more. Source: seed 002, managers 23.09 to 26.8."""

from __future__ import annotations

import logging
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import web
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    VariableDefinitionNode,
    build_schema,
    execute_sync,
    get_named_type,
    is_non_null_type,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import VariablesInAllowedPositionRule

from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.manager.api.auth import WHO
from jupyter_sessions.manager.api.context import QueryContext
from jupyter_sessions.manager.api.fields import FIELDS, spelled
from jupyter_sessions.manager.api.problems import graphql_problem
from jupyter_sessions.manager.api.queries import QUERIES
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of
from jupyter_sessions.manager.api.versions import is_legacy
from jupyter_sessions.manager.core.record import Record

log = logging.getLogger("jupyter_sessions")

SDL = Path(__file__).with_name("schema.graphql").read_text()
"""The schema, read on import: by the first query, the package may have been replaced or removed."""
_TOKENS = 2000
_LONGEST = 50_000
_READ_ONLY = (
    "GraphQL is read-only here: use `jupyter session keys` for keys, and the configuration for all else."
)
_IDS = frozenset({"UUID", "ID", "String"})


async def gql(request: web.Request) -> web.Response:
    """Answer POST /admin/gql with ``{"data", "errors"?}``, always with status 200."""
    return answer((await _ask(request, seed=False)).formatted)


async def graphql(request: web.Request) -> web.Response:
    """Answer POST /admin/graphql with bare data, spelled as in seed 002 up to v5; an invalid query is a 400."""
    result = await _ask(request, seed=is_legacy(request))
    if result.errors:
        return graphql_problem([error.formatted for error in result.errors])
    return answer(result.data)


async def _ask(request: web.Request, *, seed: bool) -> ExecutionResult:
    """Return the result of a query. Errors: InvalidRequest for a body without a query."""
    body = await body_of(request)
    text, variables = body.get("query"), body.get("variables") or {}
    if not isinstance(text, str):
        raise InvalidRequest(
            "The query is missing, or is no text.", field="query", data={"query": "is required"}
        )
    if not isinstance(variables, dict):
        raise InvalidRequest("The value of 'variables' must be an object.", field="variables")
    name = body.get("operation_name") or body.get("operationName")
    try:
        document = _read(text)
        if isinstance(document, list):
            return ExecutionResult(None, document)
        result = execute_sync(
            schema(),
            document,
            context_value=QueryContext(request.app[SESSIONS], request[WHO], seed),
            variable_values=variables,
            operation_name=None if name is None else str(name),
            field_resolver=_resolve,
        )
        _hide(result.errors or [])
        return result
    except RecursionError:
        raise InvalidRequest("The query is nested too deeply.", field="query") from None


def _hide(errors: list[GraphQLError]) -> None:
    """Log unexpected errors, and hide their details from the client."""
    for error in errors:
        cause = error.original_error
        if cause is not None and not isinstance(cause, GraphQLError | SessionError):
            log.error("GraphQL %s", error.path, exc_info=cause)
            error.message = "The manager failed; see its log."


@lru_cache(maxsize=64)
def _read(text: str) -> DocumentNode | list[GraphQLError]:
    """Return a query that may be executed, or its errors; cached, because clients repeat their queries."""
    if len(text) > _LONGEST:
        return [GraphQLError(f"A query has at most {_LONGEST} characters.")]
    try:
        document = parse(text, max_tokens=_TOKENS)
    except GraphQLError as error:
        return [error]
    operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    if any(operation.operation is not OperationType.QUERY for operation in operations):
        return [GraphQLError(_READ_ONLY)]
    return validate(schema(), document, _RULES) or document


class _AnyId(VariablesInAllowedPositionRule):
    """Allows a variable of type UUID, ID or String where another of these is expected (seed 002)."""

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_: Any) -> None:
        """Leave such variables to the resolvers, which parse the id themselves."""
        others = set()
        usages = self.context.get_recursive_variable_usages(operation)
        for usage in usages:
            name = usage.node.name.value
            if name in self.var_def_map and not _both_ids(self.var_def_map[name], usage.type):
                others.add(name)
        self.var_def_map = {name: self.var_def_map[name] for name in others}
        super().leave_operation_definition(operation)


def _both_ids(given: VariableDefinitionNode, wanted: Any) -> bool:
    node = given.type.type if isinstance(given.type, NonNullTypeNode) else given.type
    name = getattr(getattr(node, "name", None), "value", "")
    filled = isinstance(given.type, NonNullTypeNode) or given.default_value is not None
    wanted_name = getattr(get_named_type(wanted), "name", "")
    return name in _IDS and wanted_name == "UUID" and (filled or not is_non_null_type(wanted))


_RULES = [_AnyId if rule is VariablesInAllowedPositionRule else rule for rule in specified_rules]


@cache
def schema() -> GraphQLSchema:
    """Return the GraphQL schema from the file in this folder.

    A test validates the file, so that the manager need not at its start.
    """
    made = build_schema(SDL, assume_valid_sdl=True)
    uuid = made.type_map["UUID"]
    if isinstance(uuid, GraphQLScalarType):
        uuid.parse_value = _uuid  # type: ignore[method-assign]
    return made


def _uuid(value: Any) -> str:
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise GraphQLError(f"'{str(value)[:60]}' is not a UUID.") from None


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    context: QueryContext = info.context
    if isinstance(source, Record):
        value = FIELDS[info.parent_type.name][info.field_name](source, context)
        return spelled(info.field_name, value) if context.seed else value
    if isinstance(source, dict):
        value = source.get(info.field_name)
        return spelled(info.field_name, value) if context.seed and "cluster_role" in source else value
    if source is None:
        ids = {name: _uuid(args[name]) for name in ("id", "session_id", "group_id") if args.get(name)}
        try:
            return QUERIES[info.field_name](context, **args | ids)
        except SessionError as error:
            raise GraphQLError(str(error)) from None
    return getattr(source, info.field_name, None)
