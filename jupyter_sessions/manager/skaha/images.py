"""This machine's environments as images: ``local/jupyter/NAME:TAG``.

Clients of CANFAR take ids of three parts, add ``:latest`` where a tag is missing, and put the name of
their own registry before an id of two parts (canfar 1.5.2); all of these are understood.
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
    """An environment: its id here, the name it is asked for by elsewhere, and what it can be used for."""

    id: str
    name: str
    aliases: frozenset[str]
    types: list[str]
    digest: str

    def row(self) -> dict[str, object]:
        """What the list of images says."""
        return {"id": self.id, "types": self.types, "digest": self.digest}


class ImageCatalog:
    """All environments that the manager sees."""

    def __init__(self, specs: Specs) -> None:
        self.all = [_offer(image, specs) for image in specs.images()]

    @classmethod
    def here(cls) -> ImageCatalog:
        """Those of now."""
        return cls(Specs.lately())

    def find(self, wanted: str) -> CatalogImage:
        """The environment of that id. Errors: InvalidRequest with the list."""
        plain = wanted.removeprefix(_OTHER_PROJECT) if wanted.startswith(_OTHER_PROJECT) else wanted
        full = plain if "/" in plain else _PROJECT + plain
        for offer in self.all:
            if full in offer.aliases:
                return offer
        there = ", ".join(offer.id for offer in self.all) or "none"
        raise InvalidRequest(
            f"There is no image '{wanted}' here.", hint=f"There are: {there}.", field="image"
        )

    def id_of(self, record: Record) -> str:
        """What a session's environment is called here."""
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
