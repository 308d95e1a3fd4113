"""Sessions on a Backend.AI manager."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec

from jupyter_sessions.backends.backendai import convert
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.base import Backend, Output, Query
from jupyter_sessions.errors import InvalidRequest, SessionNotFound
from jupyter_sessions.model import (
    DEAD,
    RUNNING,
    STATUSES,
    Amount,
    Image,
    NameRule,
    SessionInfo,
    SessionSpec,
    parse_statuses,
)
from jupyter_sessions.wire.signing import Keypair
from jupyter_sessions.wire.sse import Patient, ServerEvent

PAGE = 100
_EVENT_SECONDS = 3600.0
_BURST_SECONDS = 0.02
_LIST = """query($limit: Int!, $offset: Int!, $status: String) {
  compute_session_list(limit: $limit, offset: $offset, status: $status) { items { %s } total_count }
}"""
_INFO = "query($id: UUID!) { compute_session(id: $id) { %s } }"
_IMAGES = "query { images { name humanized_name tag registry } }"


class BackendAI(Backend):
    """A Backend.AI manager, reached with a keypair.

    Options: `endpoint` (URL), `access_key`, `secret_key`.
    """

    type = "backendai"
    name_rule = NameRule(
        r"(?=.{4,64}$)\w[\w.-]*\w",
        "Use 4 to 64 letters, digits, '.', '_' or '-', beginning and ending with a letter, digit or '_'.",
    )
    page_size = PAGE
    more_fields = ""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._client: ManagerClient | None = None

    async def client(self) -> ManagerClient:
        """The connection to the manager, made on first use."""
        if self._client is None:
            missing = [key for key in ("endpoint", "access_key", "secret_key") if not self.options.get(key)]
            if missing:
                raise InvalidRequest(
                    f"The backend '{self.name}' lacks {', '.join(missing)}.",
                    hint="Add them to its configuration.",
                )
            keypair = Keypair(str(self.options["access_key"]), str(self.options["secret_key"]))
            self._client = ManagerClient(str(self.options["endpoint"]), keypair, who=self.title)
        return self._client

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Sessions, page by page."""
        client = await self.client()
        rows: list[SessionInfo] = []
        wanted = query.limit
        while True:
            size = self.page_size if wanted is None else min(self.page_size, wanted - len(rows))
            variables: dict[str, object] = {
                "limit": size,
                "offset": query.offset + len(rows),
                "status": _statuses(query.status),
            }
            data = await client.query(_LIST % (convert.LIST_FIELDS + self.more_fields), variables)
            page = data["compute_session_list"]
            rows += [convert.session_of(item, self.name) for item in page["items"]]
            if not page["items"] or len(rows) in (wanted, page["total_count"] - query.offset):
                return rows

    async def get(self, id: str) -> SessionInfo:
        """One session. Errors: SessionNotFound."""
        client = await self.client()
        data = await client.query(_INFO % (convert.INFO_FIELDS + self.more_fields), {"id": id})
        item = data.get("compute_session")
        if item is None:
            hint = "List the sessions to see which there are."
            raise SessionNotFound(f"There is no session '{id}' on {self.title}.", hint=hint, field="session")
        return convert.session_of(item, self.name)

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Ask for a session, or for the live one of that name and image."""
        return await self._create(spec, None)

    async def _create(self, spec: SessionSpec, launch: object) -> SessionInfo:
        client = await self.client()
        answer = await client.request("POST", "/session", json=convert.create_body(spec, launch))
        row = await self.get(str(answer.get("sessionId") or answer["sessId"]))
        row.reused = not answer.get("created", True)
        return row

    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End or cancel a session."""
        flags = {"forced": forced, "recursive": recursive}
        params = {name: "true" for name, on in flags.items() if on}
        await (await self.client()).request("DELETE", f"/session/{quote(id)}", params=params or None)
        return await self.get(id)

    async def restart(self, id: str) -> SessionInfo:
        """Restart a session; returns when it runs again."""
        await (await self.client()).request("PATCH", f"/session/{quote(id)}", wait=120)
        return await self.get(id)

    async def rename(self, id: str, name: str) -> SessionInfo:
        """Call a session otherwise."""
        self.name_rule.check(name)
        await (await self.client()).request("POST", f"/session/{quote(id)}/rename", params={"name": name})
        return await self.get(id)

    async def logs(self, id: str) -> str:
        """What a session printed."""
        answer = await (await self.client()).request("GET", f"/session/{quote(id)}/logs")
        return str(answer["result"]["logs"])

    async def images(self) -> builtins.list[Image]:
        """The images of the manager."""
        found = (await (await self.client()).query(_IMAGES, {}))["images"] or []
        names = {
            f"{item['registry']}/{item['name']}:{item['tag']}": item["humanized_name"] or "" for item in found
        }
        return [Image(name=name, title=title) for name, title in sorted(names.items())]

    async def capacity(self) -> dict[str, Amount]:
        """Totals, and what is free."""
        answer = await (await self.client()).request(
            "POST", "/resource/check-presets", json={"group": "default"}
        )
        return convert.capacity_of(answer)

    async def execute(self, id: str, code: str, *, stdin: bool = False) -> AsyncIterator[Output]:
        """Run code; its messages as they come."""
        client, path = await self.client(), f"/session/{quote(id)}"
        options = {"messages": True, "stdin": stdin}
        body: dict[str, Any] = {"mode": "query", "code": code, "runId": None, "options": options}
        while True:
            result = (await client.request("POST", path, json=body, wait=30))["result"]
            run = str(result["runId"])
            for item in result["console"] or []:
                yield _output(item, run)
            if result["status"] == "finished":
                yield Output(kind="reply", content=result.get("reply") or _reply(result), run=run)
                return
            body = {"mode": "continue", "code": "", "runId": run, "options": options}

    async def interrupt(self, id: str) -> None:
        """Interrupt what runs."""
        await (await self.client()).request("POST", f"/session/{quote(id)}/interrupt")

    async def input(self, id: str, run: str, text: str) -> None:
        """Answer a run that waits for input."""
        body = {"mode": "input", "code": text, "runId": run, "options": {"messages": True}}
        await (await self.client()).request("POST", f"/session/{quote(id)}", json=body)

    async def watch(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """Rows as their events come; first all that live."""
        client = await self.client()
        async with client.events({"sessionName": "*", "scope": "*"}) as events:
            live = {row.id: row for row in await self.list(Query())}
            yield [*live.values()]
            async for uids in _bursts(events):
                rows = [row for uid in uids if (row := await self._after_event(uid, live.get(uid)))]
                live |= {row.id: row for row in rows}
                for row in rows:
                    if not row.live:
                        live.pop(row.id)
                yield rows

    async def _after_event(self, uid: str, known: SessionInfo | None) -> SessionInfo | None:
        try:
            return await self.get(uid)
        except SessionNotFound:
            return await self.after_end(known) if known else None

    async def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def _statuses(group: str) -> str | None:
    """A status group as the comma list that managers understand."""
    if group == "all":
        return None
    groups = {"live": set(STATUSES) - DEAD, "running": RUNNING, "dead": DEAD}
    return ",".join(sorted(groups[group] if group in groups else parse_statuses(group)))


def _output(item: builtins.list[Any], run: str) -> Output:
    kind, payload = item
    if kind == "jupyter":
        return Output(kind=payload["msg_type"], content=payload["content"], run=run)
    if kind in ("stdout", "stderr"):
        return Output(kind="stream", content={"name": kind, "text": payload}, run=run)
    mime, data = payload if kind == "media" else ("text/html" if kind == "html" else "text/plain", payload)
    return Output(kind="display_data", content={"data": {mime: data}, "metadata": {}}, run=run)


def _reply(result: dict[str, Any]) -> dict[str, Any]:
    if not result.get("exitCode"):
        return {"status": "ok"}
    why = f"exit code {result['exitCode']}"
    return {"status": "error", "ename": "CellFailed", "evalue": why, "traceback": [why]}


async def _bursts(events: AsyncIterator[ServerEvent]) -> AsyncIterator[builtins.list[str]]:
    """The ids of sessions with events; those that come together are given together, each once."""
    coming = Patient(events)
    ended = False
    try:
        while not ended:
            uids = dict[str, None]()
            wait = _EVENT_SECONDS
            try:
                while (event := await coming.next(wait)) is not None:
                    uids |= dict.fromkeys(_session_ids(event.data))
                    wait = _BURST_SECONDS
            except StopAsyncIteration:
                ended = True
            if uids:
                yield [*uids]
    finally:
        await coming.close()


def _session_ids(data: str) -> builtins.list[str]:
    try:
        uid = msgspec.json.decode(data).get("sessionId")
    except (msgspec.DecodeError, AttributeError):
        return []
    return [str(uid)] if uid else []
