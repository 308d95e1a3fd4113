"""The examples of seeds 001 and 002 as they are printed, but for trailing commas in JSON and image names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from jupyter_sessions.manager.api.versions import ADVERTISED
from jupyter_sessions.service import SessionService
from tests.manager.test_rest import problem
from tests.manager.world import V5, V8, Rest, configure, until

pytestmark = [pytest.mark.asyncio, pytest.mark.in_memory]

CREATE = """{
  "image": "python",
  "clientSessionToken": "mysession-01",
  "config": {
    "clusterSize": 1,
    "environ": {
      "MYCONFIG": "XXX"
    },
    "mounts": ["mydata", "mypkgs"],
    "resources": {
      "cpu": "2",
      "mem": "4g",
      "cuda.devices": "1"
    }
  },
  "tag": "example-tag"
}"""

QUERY = """query(
     $limit: Int!,
     $offset: Int!,
     $ak: String,
     $status: String,
   ) {
     compute_session_list(
       limit: $limit,
       offset: $offset,
       access_key: $ak,
       status: $status,
     ) {
       total_count
       items {
         id
         name
         type
         user_email
         status
         status_info
         status_updated
         containers {
           id
           role
           agent
         }
       }
     }
   }"""


@pytest_asyncio.fixture
async def rest(state: Path, service: SessionService) -> AsyncIterator[Rest]:
    """A manager with one GPU, if only in name, and the folders of the examples."""
    folders = {name: str(state.parent / name) for name in ("mydata", "mypkgs")}
    for folder in folders.values():
        Path(folder).mkdir()
    configure(state, gpus=["GPU-a"], folders=folders)
    await service.backend("local").capacity()
    async with Rest(V5) as made:
        yield made


@pytest.mark.real
async def test_kernels_as_seed_001_says(rest: Rest) -> None:
    made = await rest.send("POST", "/kernel", CREATE.encode())
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["kernelId"], body["status"], body["created"]) == ("mysession-01", "RUNNING", True)
    assert all({"name", "protocol"} <= port.keys() for port in body["servicePorts"])
    for path in ("/kernel", "/kernel/create", "/v4/kernel/create", "/session/create", "/v5/session"):
        again = await rest.send("POST", path, CREATE.encode())
        assert (again.status_code, again.json()["created"]) == (200, False)
        assert again.json().get("kernelId") == ("mysession-01" if "kernel" in path else None)

    other = await rest.send("POST", "/kernel", json.loads(CREATE) | {"image": "/usr/bin/env"})
    said = problem(other, 400, "kernel-already-exists")
    assert "kernel already exists" in said["title"].lower()
    assert said["data"]["existingSessionId"] == body["sessionId"]

    rest.version = V8  # At /kernel the version changes nothing.
    info = (await rest.send("GET", "/kernel/mysession-01")).json()
    assert (info["lang"], info["memoryLimit"], info["tag"]) == ("python3", 4 * 1024**2, "example-tag")
    assert all(isinstance(info[name], int) for name in ("age", "numQueriesExecuted", "cpuCreditUsed"))
    assert info["cpuCreditUsed"] > 0
    assert (await rest.send("POST", "/kernel", CREATE.encode())).status_code == 200
    run = await rest.send(
        "POST", "/v2/kernel/mysession-01", {"mode": "query", "code": "1 + 1", "runId": None}
    )
    assert run.json()["result"]["runId"]
    assert (await rest.send("PATCH", "/kernel/mysession-01")).status_code == 204
    after = (await rest.send("GET", "/kernel/mysession-01")).json()
    assert after["age"] > info["age"]
    assert after["cpuCreditUsed"] >= info["cpuCreditUsed"]
    assert after["numQueriesExecuted"] > info["numQueriesExecuted"]
    much = json.loads(CREATE) | {"clientSessionToken": "too-much", "config": {"resources": {"cpu": 99999}}}
    problem(await rest.send("POST", "/kernel", much), 406, "quota-exceeded")
    assert (await rest.send("DELETE", "/kernel/mysession-01")).status_code == 204
    problem(await rest.send("GET", "/kernel/none-such"), 404, "kernel-not-found")
    await until(lambda: _ended(rest))

    nameless = await rest.send("POST", "/kernel", {"lang": "python", "enqueueOnly": True})
    assert (nameless.status_code, nameless.json()["status"]) == (201, "PENDING")
    assert nameless.json()["kernelId"].startswith("kernel-")
    assert (await rest.send("DELETE", f"/kernel/{nameless.json()['kernelId']}")).status_code == 204


async def _ended(rest: Rest) -> bool:
    return bool((await rest.send("GET", "/kernel/mysession-01")).json()["status"] == "TERMINATED")


async def test_the_query_of_seed_002(rest: Rest) -> None:
    made = (await rest.send("POST", "/session", CREATE.encode())).json()
    key = rest.keypair.access_key
    request = {"query": QUERY, "variables": {"limit": 10, "offset": 0, "ak": key, "status": "RUNNING"}}
    answer = await rest.send("POST", "/admin/graphql", request)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    (item,) = body["compute_session_list"]["items"]
    assert body.keys() == {"compute_session_list"}
    assert body["compute_session_list"]["total_count"] == 1
    fields = "id name type user_email status status_info status_updated containers"
    assert list(item) == fields.split(), "in the order in which they were asked for"
    assert (item["id"], item["name"], item["type"]) == (made["sessionId"], "mysession-01", "interactive")
    assert item["status_info"] is None
    assert "@" in item["user_email"]
    assert item["containers"][0]["id"] == item["id"], "the master's id is the session's"
    assert item["containers"][0]["role"] == "master"
    assert item["containers"][0]["agent"]

    rest.version = V8
    today = (await rest.send("POST", "/admin/graphql", request)).json()["compute_session_list"]["items"][0]
    wrapped = (await rest.send("POST", "/admin/gql", request)).json()
    assert today == wrapped["data"]["compute_session_list"]["items"][0]
    assert (today["type"], today["containers"][0]["role"]) == ("INTERACTIVE", "main")


async def test_the_rest_of_seed_002(rest: Rest) -> None:
    """The other queries of its schema, with the arguments as it declares them."""
    made = []
    for number in range(3):
        body = {"image": "python", "clientSessionToken": f"row-{number}", "enqueueOnly": True}
        made.append((await rest.send("POST", "/session", body)).json()["sessId"])

    async def ask(query: str, **variables: Any) -> Any:
        answer = await rest.send("POST", "/admin/graphql", {"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        return answer.json()

    for field in ("compute_session", "compute_sesssion"):
        one = await ask(f"query($id: UUID!) {{ {field}(id: $id) {{ name created_user_uuid }} }}", id=made[1])
        assert one == {field: {"name": "row-1", "created_user_uuid": None}}
    for kind in ("UUID!", "ID!", "String!"):
        query = f'query($s: {kind}) {{ compute_container_list(limit: 10, offset: 0, session_id: $s, role: "master")'
        listed = await ask(query + " { total_count items { id session_id role hostname } } }", s=made[0])
        (item,) = listed["compute_container_list"]["items"]
        assert (item["id"], item["session_id"], item["role"]) == (made[0], made[0], "master")
    listed = await ask("query($s: UUID!) { compute_containers(session_id: $s) { id role } }", s=made[0])
    assert listed == {"compute_containers": [{"id": made[0], "role": "master"}]}
    assert UUID(item["id"])
    one = await ask(
        "query($id: UUID!) { compute_container(id: $id) { id role } }", id=made[2].replace("-", "")
    )
    assert one == {"compute_container": {"id": made[2], "role": "master"}}
    ordered = """query($key: String, $asc: Boolean, $group: String) { compute_session_list(
      limit: 2, offset: 1, order_key: $key, order_asc: $asc, group_id: $group) { total_count items { name } } }"""
    for asc, names in ((True, ["row-1", "row-2"]), (False, ["row-1", "row-0"]), (None, ["row-1", "row-2"])):
        listed = (await ask(ordered, key="name", asc=asc))["compute_session_list"]
        assert listed == {"total_count": 3, "items": [{"name": name} for name in names]}
    everything = (
        "{ compute_session_list(limit: 1, offset: 0) { items { %s containers { %s } dependencies { id } } } }"
    )
    found = await ask(everything % (SESSION_FIELDS, CONTAINER_FIELDS))
    assert found["compute_session_list"]["items"][0]["type"] == "interactive"

    wrong = await rest.send("POST", "/admin/graphql", {"query": "{ nothing }"})
    assert "Cannot query field 'nothing'" in problem(wrong, 400, "graphql-error")["data"][0]["message"]
    refused = '{ compute_session_list(limit: 1, offset: 0, filter: "zzz == 1") { total_count } }'
    for body in ({"query": refused}, {"query": refused.replace("filter", "order")}):
        assert "There is no field" in (await rest.send("POST", "/admin/graphql", body)).json()["msg"]
    wrapped = (await rest.send("POST", "/admin/gql", {"query": refused})).json()
    assert wrapped["data"] == {"compute_session_list": None}
    change = {"query": 'mutation { create_keypair(user_id: "me") { ok } }'}
    assert (
        "`jupyter session keys` for keys"
        in (await rest.send("POST", "/admin/gql", change)).json()["errors"][0]["message"]
    )
    many = " ".join(f"a{n}: compute_sessions {{ id }}" for n in range(150))
    for text in (
        many,
        "{" + many * 9 + "}",
        "{ compute_session(id: 5) { id } }",
        '{ compute_session(id: ["x"]) { id } }',
    ):
        assert (await rest.send("POST", "/admin/gql", {"query": text})).json()["errors"], text[:80]


SESSION_FIELDS = """id name type tag image registry cluster_template domain_name group_name group_id user_email
  user_id access_key created_user_email created_user_uuid status status_changed status_info created_at terminated_at
  startup_command result resource_opts scaling_group service_ports mounts occupied_slots num_queries"""
CONTAINER_FIELDS = """id role hostname session_id image registry status status_changed status_info created_at
  terminated_at agent container_id resource_opts occupied_slots live_stat last_stat"""


async def test_versions(rest: Rest) -> None:
    """From the header, else the path, else v5; signed with v5.20191215, an empty one, or what the header says."""
    made = {"name": "once", "image": "python", "enqueueOnly": True}
    assert (await rest.send("POST", "/session", made)).status_code == 201

    async def code(path: str, version: str | None, signed: str) -> int:
        rest.version = signed
        request = rest.request("POST", path, made)
        del request.headers["X-BackendAI-Version"]
        if version is not None:
            request.headers["X-BackendAI-Version"] = version
        return (await rest.http.send(request)).status_code

    assert await code("/session", None, V5) == await code("/session", None, "") == 200
    assert await code("/session", None, V8) == 401, "that is not what was signed"
    for path, version, status in (
        ("/session", "v4.20190615", 200),
        ("/session", "v5.20191215", 200),
        ("/session", "v6.20200815", 201),
        ("/session", "v9.20250722", 201),
        ("/session", "v10.20300101", 201),
        ("/session", "nonsense", 200),
        ("/v4/session", "v8.20240915", 201),
        ("/v5/session/_/create", "v5.20191215", 200),
    ):
        assert await code(path, version, version) == status, (path, version)
    assert await code("/v8/session", None, V5) == 201
    assert await code("/v4/session", None, V5) == 200
    rest.version = V8
    hello = await rest.http.get("/v8/")
    assert hello.json()["version"] == ADVERTISED, "open under a version, too"
    assert (await rest.http.get("/v8/session/once")).status_code == 401
    problem(await rest.send("GET", "/v/session/once"), 404, "url-not-found")
    await rest.send("DELETE", "/session/once?forced=true")


async def test_what_is_told_of_and_what_is_refused(rest: Rest) -> None:
    told = {path: (await rest.send("GET", path)).json() for path in TOLD}
    assert told["/manager/announcement"] == {"enabled": False, "message": ""}
    assert told["/manager/status"]["status"] == "running"
    assert told["/scaling-groups?group=default"] == {"scaling_groups": [{"name": "default"}]}
    assert told["/config/resource-slots"] == {"cpu": "count", "cuda.device": "count", "mem": "bytes"}
    assert [folder["name"] for folder in told["/folders"]] == ["mydata", "mypkgs"]
    assert told["/resource/presets"] == {"presets": []}
    assert told["/auth/role"]["global_role"] == "superadmin"
    for method, path in REFUSED:
        said = problem(await rest.send(method, path), 501, "not-implemented")
        assert len(said["hint"]) > 20
    problem(await rest.send("GET", "/auth"), 400, "invalid-api-params")
    people = (
        "{ user_list(limit: 9, offset: 0) { total_count items { role groups { name } } } domains { name } }"
    )
    told = (await rest.send("POST", "/admin/gql", {"query": people})).json()["data"]
    assert told["user_list"] == {
        "total_count": 1,
        "items": [{"role": "superadmin", "groups": [{"name": "default"}]}],
    }
    assert told["domains"] == [{"name": "default"}]
    agent = "{ agent_list(limit: 9, offset: 0) { items { status available_slots mem_cur_bytes compute_containers { id } } } }"
    (item,) = (await rest.send("POST", "/admin/gql", {"query": agent})).json()["data"]["agent_list"]["items"]
    assert item["status"] == "ALIVE"
    assert json.loads(item["available_slots"])["cuda.device"] == "1"
    assert item["mem_cur_bytes"] > 0
    images = "{ images { name registry architecture aliases labels { key value } resource_limits { key min max } } }"
    listed = (await rest.send("POST", "/admin/gql", {"query": images})).json()["data"]["images"]
    limits = next(image["resource_limits"] for image in listed if "python" in image["aliases"])
    assert limits == [{"key": "cpu", "min": "0.01", "max": None}, {"key": "mem", "min": "64m", "max": None}]


TOLD = """/manager/announcement /manager/status /scaling-groups?group=default /config/resource-slots /folders
  /resource/presets /auth/role""".split()
REFUSED = [
    ("POST", "/folders"),
    ("DELETE", "/folders/mine"),
    ("GET", "/template/session"),
    ("POST", "/auth/authorize"),
    ("GET", "/resource/usage/month"),
    ("POST", "/v8/services"),
]
