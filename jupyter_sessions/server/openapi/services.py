"""The description of service ports, whose requests and answers are the services' own."""

from __future__ import annotations

from typing import Any

_ABOUT = """\
Every request below this path is passed to the service and streamed both ways; a GET may become a WebSocket. `path` may
hold slashes. Where other people's pages share the server's origin, a key precedes the backend: `~KEY/`."""
_METHODS = ("get", "head", "options", "post", "put", "patch", "delete")


def _operation(method: str) -> dict[str, Any]:
    return {
        "operationId": f"{method}OfService",
        "summary": f"Pass {method.upper()} to a service of a session.",
        "responses": {
            "503": {
                "description": "The service does not listen yet.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
            "default": {
                "description": "The service's own answer, or a `Problem`, which browsers get as a page."
            },
        },
    }


SERVICES: dict[str, Any] = {
    "/services/{backend}/{id}/{service}/{path}": {
        "description": _ABOUT,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in ("backend", "id", "service", "path")
        ],
        **{method: _operation(method) for method in _METHODS},
    }
}
"""The paths of services."""
