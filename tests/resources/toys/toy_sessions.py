"""Backends of a third party: a good one with the four methods, and bad ones."""

import asyncio

from msgspec import structs

from jupyter_sessions.backends.base import Output, Storage
from jupyter_sessions.backends.takes import BASIC
from jupyter_sessions.errors import BackendUnavailable, NeedsForce
from jupyter_sessions.model import TYPES, Choices, Folder, Group, Image, Size
from jupyter_sessions.testing.toys import Arrays as Arrays
from jupyter_sessions.testing.toys import Forgetful as Forgetful
from jupyter_sessions.testing.toys import Toy


class Plain(Toy):
    """Has nothing but what each backend has."""

    type = "plain"
    type_title = "Plain Toy"
    takes = BASIC


class Choosy(Toy):
    """Has much to choose from, deletes files that lie in no folder, and ends nothing but by force."""

    type = "choosy"
    types = (*TYPES, "notebook", "desktop")
    storage = Storage(about="Files that lie in no folder are deleted.", needs_mount=True)

    async def images(self):
        return [Image(name="lab/desk:1", types=["notebook", "desktop"]), Image(name="lab/job:1")]

    async def choices(self):
        big = {"cpu": "8", "mem": "64g", "cuda.device": "2"}
        return Choices(
            sizes=[
                Size(name="small", resources={"cpu": "1", "mem": "1536m"}),
                Size(name="big", resources=big, shared_memory="1g", fits=False),
            ],
            groups=[Group(name="cpu-nodes", most={"cpu": "4"}, longest=3600), Group(name="gpu-nodes")],
            projects=["astro", "default"],
            folders=[
                Folder(name=".config", automatic=True),
                Folder(name="catalogues", read_only=True),
                Folder(name="data"),
            ],
        )

    async def create(self, spec):
        row = await super().create(spec)
        row = structs.replace(row, status="PREPARING", mounts=spec.mounts)
        self.rows[row.id] = row
        return structs.replace(row)

    async def destroy(self, id, *, forced=False, recursive=False):
        if not forced:
            raise NeedsForce(f"{self.title} does not end what it prepares.", hint="End it by force.")
        return await super().destroy(id)


class Breaking(Toy):
    """Loses its connection whenever something is run; a session called `dies` does not outlive that."""

    async def execute(self, id, code, *, stdin=False):
        if self.rows[id].name == "dies":
            await self.destroy(id)
        raise BackendUnavailable(f"{self.title} broke off the connection.", hint="Try again.")
        yield


class Silent(Toy):
    """Says nothing when the kernel dies that runs something; `stops` at once, the others live on without an answer."""

    async def execute(self, id, code, *, stdin=False):
        yield Output(kind="stream", content={"name": "stdout", "text": "begun"})
        if code == "dies":
            await self.destroy(id)
        if code == "restarts":
            asyncio.get_running_loop().call_later(0.3, self.restarted, id)
        if code != "stops":
            await asyncio.sleep(3600)

    def restarted(self, id):
        self.rows[id] = structs.replace(self.rows[id], restarts=1)


class Hanging(Toy):
    """Never answers."""

    async def list(self, query):
        await asyncio.sleep(3600)


class Raising(Toy):
    """Has a bug."""

    async def list(self, query):
        raise ValueError("the toy is broken")

    def sign_in_state(self):
        raise KeyError("username")


class Unmakeable(Toy):
    """Cannot be made."""

    def __init__(self, name, **options):
        raise KeyError("no such option")


NUMBER = 7
