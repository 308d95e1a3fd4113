"""Backends of a third party: a good one with the four methods, and bad ones."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from msgspec import structs

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.backends.base import Backend, Output, Storage
from jupyter_sessions.backends.takes import BASIC, EVERY
from jupyter_sessions.errors import BackendUnavailable, NeedsForce, SessionNotFound
from jupyter_sessions.model import TYPES, Choices, Folder, Group, Image, NameRule, SessionInfo, Size, in_group


class Toy(Backend):
    """Sessions that are nothing but rows."""

    type = "toy"
    takes = EVERY
    name_rule = NameRule(r"[a-z0-9-]{1,20}", "Use 1 to 20 lower-case letters, digits or '-'.")
    poll_seconds = 0.05

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.rows = {}

    async def list(self, query):
        rows = [
            structs.replace(row) for row in reversed(self.rows.values()) if in_group(row.status, query.status)
        ]
        return rows[query.offset :][: query.limit]

    async def get(self, id):
        if id not in self.rows:
            raise SessionNotFound(f"There is no session '{id}' on {self.title}.", field="session")
        return structs.replace(self.rows[id])

    async def create(self, spec):
        row = SessionInfo(
            backend=self.name, id=f"{self.name}.{uuid4()}", name=spec.name, image=spec.image or "toy", type=spec.type,
            status="RUNNING", status_info="", resources=format_slots(spec.resources), services=[], tag=spec.tag,
            dependencies=spec.dependencies, notebook_path=spec.notebook_path, owner=spec.owner,
            created_at=datetime.now(UTC), status_changed=datetime.now(UTC),
        )  # fmt: skip
        self.rows[row.id] = row
        return structs.replace(row)

    async def destroy(self, id, *, forced=False, recursive=False):
        row = await self.get(id)
        if row.live:
            self.rows[id] = structs.replace(row, status="TERMINATED", status_changed=datetime.now(UTC))
        return await self.get(id)


class Plain(Toy):
    """Has nothing but what each backend has."""

    type = "plain"
    type_title = "Plain Toy"
    takes = BASIC


class Forgetful(Toy):
    """Knows nothing of sessions that have ended."""

    async def destroy(self, id, *, forced=False, recursive=False):
        row = await super().destroy(id)
        del self.rows[id]
        return row


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


class Arrays(Toy):
    """Creates many sessions in one request."""

    async def create_many(self, request, count):
        return [
            await self.create(
                structs.replace(request, name=f"{request.name}-{number}", tag=f"{number} of {count}")
            )
            for number in range(1, count + 1)
        ]


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
