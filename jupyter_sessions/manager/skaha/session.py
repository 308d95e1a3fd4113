"""``/skaha/v1/session``: create, list, inspect, renew and delete sessions. Source: servers up to 1.4.0."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from jupyter_sessions.errors import InvalidRequest, NotFound, NotRunning
from jupyter_sessions.manager.api.auth import WHO
from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.core.changes import Hidden
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.run.logs import LogFiles
from jupyter_sessions.manager.skaha import answers, events, machine, params
from jupyter_sessions.manager.skaha.connect_urls import NOTEBOOK_SERVERS
from jupyter_sessions.manager.skaha.create import create
from jupyter_sessions.manager.skaha.images import SERVICE
from jupyter_sessions.manager.skaha.lookup import by_id, listed
from jupyter_sessions.manager.skaha.rows import Rows, matches

_NOT_FOUND = "session ID not found"


class SessionsView(web.View):
    """The sessions of a key."""

    async def post(self) -> web.Response:
        """Create a session, and answer its id."""
        record = await create(self.request)
        servers = self.request.app[NOTEBOOK_SERVERS]
        if servers.has(record):
            servers.see_to(record)
        return answers.text(f"{skaha_id(record.id)}\n")

    async def get(self) -> web.Response:
        """List the key's sessions.

        With `view=all`, list the public fields of all sessions; with `view=stats`, return the use of the machine.
        """
        asked, sessions, who = params.of_query(self.request), self.request.app[SESSIONS], self.request[WHO]
        view = asked.get("view")
        if view == "stats":
            return answers.json(machine.stats(sessions))
        rows, records = Rows(self.request), listed(sessions, who)
        if view == "all":
            found = [rows.brief(record) for record in records]
        else:
            found = [rows.full(record) for record in records if record.access_key == who.access_key]
        type_ = asked.get("type")
        if view.lower() == "interactive":
            found, type_ = [row for row in found if row["type"] != "headless"], ""
        return answers.json([row for row in found if matches(row, type_, asked.get("status"))])

    async def delete(self) -> web.Response:
        """Refuse to delete all sessions."""
        raise InvalidRequest("Cannot kill all sessions.")


class SessionView(web.View):
    """A session."""

    async def get(self) -> web.Response:
        """Return a session, or with `view` its logs or events."""
        record = self._find()
        view = params.of_query(self.request).get("view").lower()
        if view == "logs":
            return answers.text(self._logs(record) if record else "")
        if record is None:
            raise NotFound(f"{_NOT_FOUND}.")
        if view == "events":
            opening = record.usable and not self.request.app[NOTEBOOK_SERVERS].is_open(record)
            return answers.text(events.table(events.of(record, opening=opening)))
        return answers.json(Rows(self.request).full(record))

    async def post(self) -> web.Response:
        """Renew a session (`action=renew`): its lifetime starts again."""
        action = (await params.of(self.request)).get("action")
        if action.lower() != "renew":
            said = f"unrecognized action: {action}." if action else "Cannot modify an existing session."
            raise InvalidRequest(said, field="action")
        record = self._find()
        if record is None or not record.live or record.status in ("ERROR", "TERMINATING"):
            user, wanted = self.request[WHO].email.partition("@")[0], self.request.match_info["id"]
            raise InvalidRequest(f"No active job for user {user} with session ID {wanted}.")
        if record.usable:  # The lifetime of a waiting session has not begun.
            self.request.app[SESSIONS].renew(record)
        return answers.text()

    async def delete(self) -> web.Response:
        """End a session, or hide one that has ended. A missing session is not an error."""
        record, sessions = self._find(), self.request.app[SESSIONS]
        if record is None:
            return answers.text()
        if record.live:
            await sessions.terminate(record)
        else:
            sessions.machine.apply(record, Hidden())
        return answers.text()

    def _find(self) -> Record | None:
        return by_id(self.request, self.request.match_info["id"], self.request[WHO])

    def _logs(self, record: Record) -> str:
        """Return the output of a session, and of its notebook server while it runs."""
        try:
            server = self.request.app[SESSIONS].supervisor(record).service_log(SERVICE)
        except NotRunning:
            server = ""
        return LogFiles(Path(record.folder)).text() + server


class AppsView(web.View):
    """The programs of desktop sessions, which this machine does not have."""

    async def get(self) -> web.Response:
        """Return an empty list."""
        if "app" in self.request.match_info:
            raise NotFound(f"{_NOT_FOUND}.")
        return answers.json([])

    async def post(self) -> web.Response:
        """Refuse to start a program: there are no desktop sessions."""
        if "app" in self.request.match_info:
            raise InvalidRequest("Cannot modify an existing session.")
        raise NotFound("There is no desktop session with this ID.")

    async def delete(self) -> web.Response:
        """Delete nothing; as with sessions, a missing program is not an error."""
        if "app" not in self.request.match_info:
            raise InvalidRequest("Cannot kill all sessions.")
        return answers.text()


async def too_long(request: web.Request) -> web.Response:
    """Refuse a path that names nothing."""
    raise InvalidRequest(f"Invalid request: {request.path}.")
