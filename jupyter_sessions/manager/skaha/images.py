"""This machine's environments as images: ``local/jupyter/NAME:TAG``.

CANFAR's clients expect ids of three parts, add ``:latest`` where a tag is missing, and put the name of their own
registry before an id of two parts (canfar 1.5.2); all these forms are accepted.
"""

from __future__ import annotations

import hashlib

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.model import Image
from jupyter_sessions.wire.environment import Specs

REGISTRY = "local"
SERVICE = "jupyter"
"""The service that a notebook session opens."""

_PROJECT = f"{REGISTRY}/jupyter/"
_OTHER_PROJECT = "images.canfar.net/jupyter/"


class CatalogImage(msgspec.Struct, frozen=True):
    """An environment: its id in the Skaha API, its name elsewhere, and the session types it supports."""

    id: str
    name: str
    aliases: frozenset[str]
    types: list[str]
    digest: str

    def row(self) -> dict[str, object]:
        """Return the entry in the list of images."""
        return {"id": self.id, "types": self.types, "digest": self.digest}


class ImageCatalog:
    """All environments that the manager can see."""

    def __init__(self, specs: Specs) -> None:
        self.all = [_offer(image, specs) for image in specs.images()]

    @classmethod
    def here(cls) -> ImageCatalog:
        """Return the current environments."""
        return cls(Specs.lately())

    def find(self, wanted: str) -> CatalogImage:
        """Return the environment with an id. Errors: InvalidRequest with the list of images."""
        plain = wanted.removeprefix(_OTHER_PROJECT) if wanted.startswith(_OTHER_PROJECT) else wanted
        full = plain if "/" in plain else _PROJECT + plain
        for offer in self.all:
            if full in offer.aliases:
                return offer
        there = ", ".join(offer.id for offer in self.all) or "none"
        raise InvalidRequest(
            f"There is no image '{wanted}' here.", hint=f"Choose from: {there}.", field="image"
        )

    def id_of(self, record: Record) -> str:
        """Return the image id of a session's environment."""
        return next((offer.id for offer in self.all if offer.name == record.image), record.image)


def _offer(image: Image, specs: Specs) -> CatalogImage:
    names = [image.name, *image.aliases]
    best = next((name for name in image.aliases if ":" in name), image.name)
    _, launch = specs.resolve(image.name, cwd="/", environ={})
    types = ["notebook", "headless"] if SERVICE in launch.services else ["headless"]
    digest = hashlib.sha256(msgspec.json.encode([image.name, launch.argv, launch.env])).hexdigest()
    aliases = {_PROJECT + name for name in names} | {_tagged(name) for name in names}
    return CatalogImage(_tagged(best), image.name, frozenset(aliases), types, f"sha256:{digest}")


def _tagged(name: str) -> str:
    return _PROJECT + (name if ":" in name else f"{name}:latest")
