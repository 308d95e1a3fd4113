"""The seeds' examples as a person sends them: curl, and a signer in a dozen lines of shell and openssl."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_sessions.backends import local
from tests.conftest import need
from tests.manager.test_seeds import CREATE, QUERY
from tests.manager.world import configure, contact
from tests.waiting import wait_until

V4, V5, V6, V7 = "v4.20190615", "v5.20191215", "v6.20200815", "v7.20230615"
# As the Backend.AI manual on authentication says it, for requests whose body is not signed.
CURL = r"""
sign() { printf '%s' "$2" | openssl dgst -sha256 -mac HMAC -macopt "$1" | sed 's/.* //'; }
host=${ENDPOINT#http://} date=$(date -u +%Y-%m-%dT%H:%M:%S+00:00) nothing=$(printf '' | sha256sum | cut -d' ' -f1)
day=$(sign "key:$SECRET_KEY" "${date:0:4}${date:5:2}${date:8:2}")
key=$(sign "hexkey:$day" "$host")
text="$1
$2
$date
host:$host
content-type:application/json
x-backendai-version:$VERSION
$nothing"
signature=$(sign "hexkey:$key" "$text")
exec curl --silent --noproxy '*' --request "$1" "$ENDPOINT$2" --data-binary "$3" \
  --header "Date: $date" --header "Content-Type: application/json" --header "X-BackendAI-Version: $VERSION" \
  --header "Authorization: BackendAI signMethod=HMAC-SHA256, credential=$ACCESS_KEY:$signature" \
  --write-out '\n%{http_code}'
"""
CREATE_000 = CREATE.replace(
    '"config"',
    '''"enqueueOnly": false,
  "maxWaitSeconds": 0,
  "reuseIfExists": true,
  "domain": "default",
  "group": "default",
  "config"''',
)
INFO_000 = """domainName groupId userId image lang architecture registry tag containerId occupiedSlots occupiedShares
  environ status statusInfo statusData age creationTime terminationTime numQueriesExecuted lastStat""".split()


class Answer(msgspec.Struct, frozen=True):
    """What curl printed."""

    code: int
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in it."""
        return dict(json.loads(self.text))


Curl = Callable[..., Answer]


@pytest.fixture
def curl(state: Path) -> Iterator[Curl]:
    """Sends a signed request to a manager with the folders of the examples and one GPU, if only in name."""
    need("curl", "the examples are sent with it")
    need("openssl", "the examples are signed with it")
    folders = {name: str(state.parent / name) for name in ("mydata", "mypkgs")}
    for folder in folders.values():
        Path(folder).mkdir()
    configure(state, gpus=["GPU-a"], folders=folders)
    asyncio.run(asyncio.to_thread(local.start))
    found = contact()
    env = os.environ | {
        "ENDPOINT": found.url,
        "ACCESS_KEY": found.keypair.access_key,
        "SECRET_KEY": found.keypair.secret_key,
    }

    def send(method: str, target: str, body: str = "", version: str = V5) -> Answer:
        words = ["bash", "-c", CURL, "curl", method, target, body]
        done = subprocess.run(
            words, env=env | {"VERSION": version}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        text, _, code = done.stdout.rpartition("\n")
        return Answer(int(code), text)

    yield send


def test_seed_000(curl: Curl) -> None:
    made = curl("POST", "/session", CREATE_000)
    assert made.code == 201, made.text
    body = made.body
    assert {"sessId", "sessionName", "status", "servicePorts", "created"} <= body.keys()
    assert (body["sessionName"], body["status"], body["created"]) == ("mysession-01", "RUNNING", True)
    assert {"name": "jupyter", "protocol": "http"}.items() <= body["servicePorts"][0].items()
    for version, code in ((V4, 200), (V5, 200), (V6, 201), (V7, 201)):
        again = curl("POST", "/session/create", CREATE_000, version)
        assert (again.code, again.body["created"], again.body["sessId"]) == (code, False, body["sessId"])
    refused = curl("POST", "/session", CREATE_000.replace("true", "false"))
    assert (refused.code, refused.body["type"].rpartition("/")[2]) == (400, "session-already-exists")

    for ref in ("mysession-01", body["sessId"]):
        info = curl("GET", f"/session/{ref}").body
        assert {*INFO_000} <= info.keys()
        assert (info["tag"], info["status"], info["domainName"]) == ("example-tag", "RUNNING", "default")
        assert json.loads(info["occupiedSlots"]) == {"cpu": "2", "mem": str(4 * 1024**3), "cuda.device": "1"}
        assert json.loads(info["environ"]) == {"MYCONFIG": "XXX"}
    restarted = curl("PATCH", "/session/mysession-01")
    assert (restarted.code, restarted.text) == (204, "")
    assert curl("GET", "/session/mysession-01").body["age"] > info["age"]

    ended = curl("DELETE", "/session/mysession-01")
    assert (ended.code, ended.text) == (204, "")
    wait_until(lambda: curl("GET", "/session/mysession-01").body["status"] == "TERMINATED", why=lambda: ended)
    assert curl("GET", "/session/mysession-01").body["terminationTime"]
    assert curl("GET", "/session/mysession-01", version=V7).code == 404
    assert curl("GET", "/session/none-such").code == 404
    much = CREATE_000.replace('"2"', '"2000"')
    assert [curl("POST", "/session", much, version).code for version in (V5, V7)] == [406, 412]
    waiting = curl("POST", "/session", CREATE_000.replace('"enqueueOnly": false', '"enqueueOnly": true'), V7)
    assert (waiting.code, waiting.body["status"], waiting.body["servicePorts"]) == (201, "PENDING", [])
    last = curl("DELETE", "/session/mysession-01?forced=true", version=V7)
    assert (last.code, "status" in last.body["stats"]) == (200, True)


def test_seed_002(curl: Curl) -> None:
    three = CREATE_000.replace('"clusterSize": 1', '"clusterSize": 3').replace('"cuda.devices": "1"', "")
    three = three.replace('"2"', '"0.1"').replace('"4g",', '"128m"')
    made = curl("POST", "/session", three)
    assert made.code == 201, made.text
    variables = {"limit": 10, "offset": 0, "ak": contact().keypair.access_key, "status": "RUNNING"}
    found = curl("POST", "/admin/graphql", json.dumps({"query": QUERY, "variables": variables}))
    assert (found.code, list(found.body), found.body["compute_session_list"]["total_count"]) == (
        200,
        ["compute_session_list"],
        1,
    )
    (item,) = found.body["compute_session_list"]["items"]
    main, *others = item.pop("containers")
    assert "@" in item.pop("user_email") and datetime.fromisoformat(item.pop("status_updated"))
    assert item == {
        "id": made.body["sessId"],
        "name": "mysession-01",
        "type": "interactive",
        "status": "RUNNING",
        "status_info": None,
    }
    assert main == {"id": item["id"], "role": "master", "agent": main["agent"]}
    assert [one["role"] for one in others] == ["slave", "slave"]
    assert len({item["id"], *(one["id"] for one in others)}) == 3
    for other in ({"ak": "AKIANOBODYHASTHISONE"}, {"status": "TERMINATED"}):
        body = json.dumps({"query": QUERY, "variables": variables | other})
        none = curl("POST", "/admin/graphql", body)
        assert none.body["compute_session_list"] == {"total_count": 0, "items": []}


def test_seed_001(curl: Curl) -> None:
    made = curl("POST", "/v4/kernel/create", CREATE, V4)
    assert made.code == 201, made.text
    assert (made.body["kernelId"], made.body["created"]) == ("mysession-01", True)
    again = curl("POST", "/kernel", CREATE, V4)
    assert (again.code, again.body["created"]) == (200, False)
    info = curl("GET", "/kernel/mysession-01", version=V4).body
    assert {"lang", "age", "memoryLimit", "numQueriesExecuted", "cpuCreditUsed"} <= info.keys()
    assert info["memoryLimit"] == 4 * 1024**2
    assert curl("PATCH", "/kernel/mysession-01", version=V4).code == 204
    assert curl("DELETE", "/kernel/mysession-01", version=V4).code == 204
    assert curl("DELETE", "/kernel/none-such", version=V4).code == 404
