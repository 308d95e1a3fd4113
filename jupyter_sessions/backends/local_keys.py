"""The keys of this machine's manager."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.key_administration import KeyAdministration


class LocalKeys(KeyAdministration):
    """Keys that a manager of this package makes; `client` leads to the manager."""

    @abstractmethod
    async def client(self) -> ManagerClient:
        """Return the connection to the manager."""

    @abstractmethod
    async def client_environment(self) -> dict[str, str]:
        """Return what the vendors' clients read."""

    async def keys(self) -> builtins.list[dict[str, Any]]:
        """Return the keys of the manager."""
        answer = await (await self.client()).request("GET", "/admin/keys")
        return list(answer["keys"])

    async def add_key(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make a key."""
        return dict(await (await self.client()).request("POST", "/admin/keys", json=wanted))

    async def remove_key(self, access_key: str) -> None:
        """Forget a key that has no live sessions."""
        await (await self.client()).request("DELETE", f"/admin/keys/{quote(access_key, safe='')}")

    async def key_environment(self, made: Mapping[str, Any]) -> dict[str, str]:
        """Return the variables that the clients of Backend.AI and CANFAR read. Source: backend.ai-client 23.9.10, canfar 1.5.2."""
        there = await self.client_environment()
        lines = {name: there[name] for name in ("BACKEND_ENDPOINT", "BACKEND_ENDPOINT_TYPE")} | {
            "BACKEND_ACCESS_KEY": str(made["access_key"]),
            "BACKEND_SECRET_KEY": str(made["secret_key"]),
            "BACKEND_DOMAIN": str(made["domain"]),
            "BACKEND_GROUP": str(made["group"]),
        }
        if url := there.get("CANFAR_URL"):
            lines |= {"CANFAR_URL": url, "CANFAR_TOKEN": str(made["token"])}
        return lines
