"""A server whose configuration cannot be used says so wherever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Rest


@pytest.fixture
def jupyter_sessions_config() -> dict[str, Any]:
    """A memory size that is none."""
    return {"default_resources": {"mem": "lots"}}


async def test_routes_and_services_say_what_is_wrong(rest: Rest) -> None:
    for path in ("sessions", "defaults", "services/local/x/jupyter/"):
        status, said = await rest.refused("GET", path)
        assert (status, said["reason"]) == (400, "InvalidRequest"), said
        assert "'lots' is not an amount of memory" in said["message"]
    page = await rest.ask("GET", "services/local/x/jupyter/", headers={"Accept": "text/html"})
    assert page.status_code == 400 and "is not an amount of memory" in page.text
