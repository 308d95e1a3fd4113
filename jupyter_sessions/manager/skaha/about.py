"""What clients may choose from: ``/skaha/v1/context``, ``image`` and ``repository``. Source: servers up to 1.4.0."""

from __future__ import annotations

from aiohttp import web

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.auth import WHO
from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.skaha import answers, machine, params
from jupyter_sessions.manager.skaha.create import ELSEWHERE, KINDS
from jupyter_sessions.manager.skaha.images import REGISTRY, ImageCatalog


class ContextView(web.View):
    """The amounts to choose from."""

    async def get(self) -> web.Response:
        """Return the amounts to choose from."""
        return answers.json(machine.context(self.request.app[SESSIONS], self.request[WHO]))


class ImagesView(web.View):
    """The environments to choose from."""

    async def get(self) -> web.Response:
        """Return all environments, or those for one type of session."""
        kind = params.of_query(self.request).get("type").lower()
        if kind and kind not in KINDS and kind not in ELSEWHERE:
            raise InvalidRequest(f"unknown type: {kind}.", field="type")
        found = [offer for offer in ImageCatalog.here().all if not kind or kind in offer.types]
        return answers.json([offer.row() for offer in found])


class RepositoriesView(web.View):
    """The registries of images."""

    async def get(self) -> web.Response:
        """Return this machine as the only registry."""
        return answers.json([REGISTRY])
