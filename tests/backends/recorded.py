"""A Skaha server that answers as servers of several ages were seen to."""

from __future__ import annotations

from typing import Any

from aiohttp import web

NOW = {
    "id": "hjko98yg",
    "userid": "ada",
    "runAsUID": "1000",
    "runAsGID": "1000",
    "supplementalGroups": [7],
    "image": "images.canfar.net/skaha/astroml:25.01",
    "type": "notebook",
    "status": "Running",
    "name": "demo",
    "startTime": "2026-08-06T12:00Z",
    "expiryTime": "2026-08-10T12:00:00Z",
    "connectURL": "https://host/session/notebook/hjko98yg/lab/tree/arc/home/ada?token=hjko98yg",
    "requestedRAM": "4.29",
    "requestedCPUCores": "0.500",
    "requestedGPUCores": "0",
    "ramInUse": "0.35",
    "isFixedResources": True,
}
OLD = {
    "id": "ikvp1jtp",
    "userid": "ada",
    "image": "images.canfar.net/skaha/terminal:1.1.1",
    "type": "headless",
    "status": "Succeeded",
    "name": "job-1",
    "startTime": "2024-01-02T03:04:05Z",
    "expiryTime": "2024-01-16T03:04:05Z",
    "connectURL": "not-applicable",
    "requestedRAM": "16G",
    "requestedCPUCores": "2",
    "requestedGPUCores": "<none>",
    "coresInUse": "<none>",
    "gpuUtilization": "<none>",
}
BARE = {
    "id": "a0000000",
    "status": "Pending",
    "type": "carta",
    "name": "view",
    "image": "x",
    "isFixedResources": False,
}


IMAGES = {"h/p/n:1": ["notebook", "headless"], "h/p/c:1": ["carta"], "h/p/j:1": ["headless"]}
EVENTS = """\
TYPE      REASON      MESSAGE                                      FIRST-TIME             LAST-TIME
Normal    Scheduled   Successfully assigned skaha/a to node-1      2026-08-06T12:00:00Z   2026-08-06T12:00:00Z
Warning   Failed      Failed to pull image "x": not found          2026-08-06T12:00:04Z   2026-08-06T12:01:00Z
Normal    Pulling     Pulling image "x"                            <none>                 <none>
"""


class Recorded:
    """Answers as told, and remembers what was asked. `answers` are other ones, as to "GET session", and such a one it `cuts`."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.events = EVENTS
        self.makes = True
        self.cuts = ""
        self.sessions: list[dict[str, Any]] = [NOW, OLD, BARE]
        self.asked: list[web.Request] = []
        self.answer: web.Response | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.answer is not None:
            return self.answer
        if self.makes and request.method == "POST" and request.path.endswith("/session"):
            self.sessions.append({**BARE, "id": "newone00", "name": request.query["name"].lower()})
        if self.cuts == f"{request.method} {request.path.rpartition('/')[2]}" and request.transport:
            request.transport.abort()
        if other := self.answers.get(f"{request.method} {request.path.rpartition('/')[2]}"):
            return web.Response(status=other[0], text=other[1])
        if request.path.endswith("/session") and request.method == "POST":
            return web.Response(text="newone00\n")
        if request.path.endswith("/session") and request.query.get("view") == "stats":
            cores = {
                "requestedCPUCores": 3,
                "cpuCoresAvailable": 10.5,
                "maxCPUCores": {"cpuCores": 8, "withRam": "96G"},
            }
            return web.json_response({"cores": cores, "ram": {"requestedRAM": "10G", "ramAvailable": "64G"}})
        if request.path.endswith("/session") and request.query.get("view") == "all":
            other = {"userid": "bob", "type": "desktop", "status": "Running", "startTime": NOW["startTime"]}
            own = [{key: row[key] for key in other if key in row} for row in self.sessions]
            return web.json_response([*own, other])
        if request.path.endswith("/session"):
            return web.json_response(self.sessions)
        if request.path.endswith("/image"):
            return web.json_response(
                [{"id": name, "types": types, "digest": "sha256:0"} for name, types in IMAGES.items()]
            )
        found = [row for row in self.sessions if request.path.endswith(f"/session/{row['id']}")]
        if request.query.get("view") == "logs":
            return web.Response(text="a line\n" if found else "")
        if request.query.get("view") == "events":
            known = found and found[0]["status"] != "Pending"
            return web.Response(text=self.events) if known else web.Response(status=404)
        if request.method == "POST":
            return self._renewed(request, found[0] if found else None)
        return (
            web.json_response(found[0]) if found else web.Response(status=404, text="session ID not found\n")
        )

    def _renewed(self, request: web.Request, row: dict[str, Any] | None) -> web.Response:
        if row is None or row["status"] not in ("Pending", "Running"):
            uid = request.path.rpartition("/")[2]
            return web.Response(status=400, text=f"No active job for user ada with session ID {uid}\n")
        self.sessions[self.sessions.index(row)] = {**row, "expiryTime": "2026-08-14T12:00:00Z"}
        return web.Response()
