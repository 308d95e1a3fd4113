"""Services of sessions on a Backend.AI manager, through sockets of this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jupyter_sessions.backends.backendai.connection import Reached
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.backendai.tunnels import Tunnels, check_service
from jupyter_sessions.backends.parsing import understood
from jupyter_sessions.model import Endpoint


class ManagerServices(Reached):
    """The methods of a backend for services."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._tunnels = Tunnels()

    async def open_service(self, id: str, name: str, base_url: str) -> Endpoint:
        """Return a socket of this machine that leads to a service. Errors: NotFound listing the services, NoRoom."""
        client = await self.client()
        answer: dict[str, Any] = {}
        if (await client.dialect()).ours:  # Others say nothing of where their services see themselves.
            answer = await self._ask_for_service(client, id, name, {"again": False})
        socket = await self._tunnels.open(client, id, name, {"again": False} if answer else None)
        inner = answer.get("base_url")
        at_root = bool(answer.get("at_root", inner is None))
        return Endpoint(socket, at_root=at_root, base_url=inner, headers=answer.get("headers") or {})

    async def start_service(
        self, id: str, name: str, base_url: str, arguments: Mapping[str, str], *, forced: bool = False
    ) -> None:
        """Start a service: managers of others do it when somebody connects, with the arguments that they allow."""
        client = await self.client()
        if (await client.dialect()).ours:
            await self._ask_for_service(client, id, name, {**arguments, "forced": forced})
        else:
            await check_service(client, id, name, arguments)
            await self._tunnels.open(client, id, name, arguments)

    async def _ask_for_service(
        self, client: ManagerClient, id: str, name: str, arguments: Mapping[str, object]
    ) -> dict[str, Any]:
        body = {"app": name, "arguments": json.dumps(arguments)}
        answer = await client.request("POST", f"/session/{quote(id)}/start-service", json=body)
        with understood(client.who):
            return dict(answer)

    async def stop_service(self, id: str, name: str) -> None:
        """End a service. Source: `/session/{ref}/shutdown-service` of managers 23.09 to 26.8."""
        body = {"service_name": name}
        await (await self.client()).request("POST", f"/session/{quote(id)}/shutdown-service", json=body)
