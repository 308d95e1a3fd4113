"""Backends of a third party that say exactly what a JSON file says, and follow it when it changes.

The file holds `rows` (fields of SessionInfo), and may hold `capacity`, `images`, `default_resources`, `choices`,
`notice`, and `error`, with which every question is answered.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from jupyter_sessions.amounts import format_slots, parse_slots
from jupyter_sessions.backends.base import Backend, Query, Storage
from jupyter_sessions.backends.notices import Notice
from jupyter_sessions.backends.signin import KEYPAIR, PASSWORD
from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.errors import BackendUnavailable, NotRunning, SessionNotFound
from jupyter_sessions.model import Amount, Choices, Event, Image, NameRule, SessionInfo, in_group

DEFAULTS = {"type": "interactive", "status_info": "", "resources": {}, "services": [], "created_at": None}


class Scripted(Backend):
    """Has the rows of its file."""

    type = "scripted"
    takes = EVERY
    name_rule = NameRule(r"\w[\w.-]{2,62}\w", "Use 4 to 64 letters, digits, '-', '_' or '.'.")
    storage = Storage(about="Files that lie in no folder are deleted.", needs_mount=True)

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.file = Path(self.options["file"])

    def said(self):
        """What the file says now."""
        told = json.loads(self.file.read_text())
        if "error" in told:
            raise BackendUnavailable(**told["error"])
        return told

    def notice(self):
        """The file's notice."""
        told = json.loads(self.file.read_text()).get("notice")
        return told and msgspec.convert(told, Notice)

    def rows(self):
        """The file's rows; ids follow from the names."""
        return [
            msgspec.convert(
                DEFAULTS | {"backend": self.name, "id": f"{self.name}-{row['name']}"} | row, SessionInfo
            )
            for row in self.said()["rows"]
        ]

    async def list(self, query):
        rows = [row for row in self.rows() if in_group(row.status, query.status)]
        return rows[query.offset :][: query.limit]

    async def get(self, id):
        for row in self.rows():
            if row.id == id:
                return row
        raise SessionNotFound(f"There is no session '{id}' on {self.title}.", field="session")

    async def watch(self):
        """Look at the file every 20 ms."""
        seen = {}
        while True:
            rows = {row.id: row for row in self.rows()}
            changed = [row for key, row in rows.items() if seen.get(key) != row]
            gone = [await self.after_end(row) for key, row in seen.items() if key not in rows]
            if changed or gone or not seen:
                yield await self.list(Query()) if not seen else changed + gone
            seen = rows
            await asyncio.sleep(0.02)

    async def create(self, spec):
        told = self.said()
        now = datetime.now(UTC).isoformat()
        row = {
            "name": spec.name,
            "image": spec.image,
            "status": "RUNNING",
            "resources": format_slots(spec.resources),
        }
        told["rows"].append(row | {"created_at": now, "status_changed": now})
        self.file.write_text(json.dumps(told))
        return self.rows()[-1]

    async def destroy(self, id, *, forced=False, recursive=False):
        return await self._become(id, "TERMINATED", status_info="user-requested")

    async def restart(self, id):
        return await self._become(id, "RESTARTING")

    async def renew(self, id):
        return await self.get(id)

    async def _become(self, id, status, **more):
        name, told = (await self.get(id)).name, self.said()
        for row in told["rows"]:
            if row["name"] == name:
                row |= {"status": status, "status_changed": datetime.now(UTC).isoformat()} | more
        self.file.write_text(json.dumps(told))
        return await self.get(id)

    async def logs(self, id):
        return ""

    async def events(self, id):
        row = await self.get(id)
        return [Event(what=row.status, when=row.status_changed)]

    def sign_in_methods(self):
        return [PASSWORD, KEYPAIR] if self.options.get("signs_in") else []

    async def images(self):
        return msgspec.convert(self.said().get("images", []), list[Image])

    async def capacity(self):
        return msgspec.convert(self.said().get("capacity", {}), dict[str, Amount])

    async def default_resources(self, asked):
        return parse_slots(self.said().get("default_resources", {}))

    async def choices(self):
        return msgspec.convert(self.said().get("choices", {}), Choices)

    async def open_service(self, id, name, base_url):
        raise NotRunning("Nothing listens: the session is only a row.")

    async def connection(self, id, owner=None, patience=0):
        raise NotRunning("There is no kernel: the session is only a row.")


class ScriptedMachine(Scripted):
    """The same, said to be the machine that Jupyter runs on."""

    type = "scripted-machine"
    image_word = "Environment"
    place = "this machine"
    on_this_machine = True
    first_come = True
    storage = Storage()
