"""Keys of three roles: what each sees, touches and makes, and what limits it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.signing import Keypair
from tests.manager.test_rest import Listener, problem
from tests.manager.world import V8, Rest, configure, until

pytestmark = [pytest.mark.asyncio, pytest.mark.in_memory]

GQL = """query($ak: String, $domain: String, $status: String) { compute_session_list(
  limit: 100, offset: 0, access_key: $ak, domain_name: $domain, status: $status, order: "name"
) { total_count items { name access_key containers { agent } } } }"""


class People:
    """The manager's own key, and four more: an admin and two users of the domain lab, one of another."""

    def __init__(self, owner: Rest) -> None:
        self.owner = owner
        self.made: dict[str, Rest] = {}

    async def add(self, who: str, **wanted: Any) -> Rest:
        answer = await self.owner.send("POST", "/admin/keys", wanted)
        assert answer.status_code == 201, answer.text
        key = answer.json()
        self.made[who] = Rest(V8, Keypair(key["access_key"], key["secret_key"]))
        return self.made[who]


@pytest_asyncio.fixture
async def people(state: Path, service: SessionService) -> AsyncIterator[People]:
    """A manager in which one session holds the only place, so that all others wait."""
    configure(state, max_sessions=1)
    await service.backend("local").capacity()
    async with Rest(V8) as owner:
        assert (await create(owner, "holder")).status_code == 201
        all_ = People(owner)
        await all_.add("admin", role="admin", domain="lab", group="staff")
        await all_.add("user", domain="lab", group="students")
        await all_.add("peer", domain="lab", group="students")
        await all_.add("stranger", domain="other")
        yield all_
        for rest in all_.made.values():
            await rest.http.aclose()


async def create(rest: Rest, name: str, **fields: Any) -> httpx.Response:
    body = {"name": name, "image": "python", "config": {"resources": {"cpu": "0.4", "mem": "128m"}}}
    return await rest.send("POST", "/session", body | {"enqueueOnly": True} | fields)


async def query(rest: Rest, text: str, **variables: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (
        await rest.send("POST", "/admin/gql", {"query": text, "variables": variables})
    ).json()
    return answer


async def listed(rest: Rest, **variables: Any) -> list[str]:
    answer = await query(rest, GQL, **variables)
    assert "errors" not in answer, answer
    found = answer["data"]["compute_session_list"]
    assert found["total_count"] == len(found["items"])
    return [item["name"] for item in found["items"] if item["name"] != "holder"]


async def test_who_sees_and_touches_what(people: People) -> None:
    owner, admin, user = people.owner, people.made["admin"], people.made["user"]
    peer, stranger = people.made["peer"], people.made["stranger"]
    ids = {}
    for name, rest in (
        ("of-owner", owner),
        ("of-admin", admin),
        ("of-user", user),
        ("of-stranger", stranger),
    ):
        made = await create(rest, name)
        assert made.status_code == 201, made.text
        ids[name] = made.json()["sessionId"]
    lab = ["of-admin", "of-user"]
    for rest, names in (
        (owner, sorted(ids)),
        (admin, lab),
        (user, ["of-user"]),
        (stranger, ["of-stranger"]),
        (peer, []),
    ):
        assert await listed(rest) == names
        for name, uid in ids.items():
            found = (await query(rest, "query($id: UUID!) { compute_session(id: $id) { name } }", id=uid))[
                "data"
            ]
            assert found == {"compute_session": {"name": name} if name in names else None}
            for ref in (uid, name):
                assert (await rest.send("GET", f"/session/{ref}")).status_code == (
                    200 if name in names else 404
                )
    for action in (
        "GET /session/{}",
        "GET /session/{}/logs",
        "GET /jupyter-sessions/sessions/{}/outputs",
        "POST /jupyter-sessions/sessions/{}/connection",
        "PATCH /session/{}",
        "DELETE /session/{}",
        "POST /session/{}/rename?name=mine",
        "POST /session/{}/interrupt",
        "POST /session/{}",
        "POST /session/{}/start-service",
    ):
        method, _, path = action.partition(" ")
        problem(
            await peer.send(method, path.format(ids["of-user"]), {} if method == "POST" else None),
            404,
            "object-not-found",
        )
    assert await listed(user) == ["of-user"], "nothing came of that"

    # Admins ask for more, users may not.
    key = user.keypair.access_key
    assert await listed(owner, ak=key) == await listed(admin, ak=key) == ["of-user"]
    assert await listed(owner, domain="other") == ["of-stranger"]
    for rest, scope in (
        (user, {"ak": peer.keypair.access_key}),
        (user, {"domain": "other"}),
        (admin, {"domain": "other"}),
    ):
        answer = await query(rest, GQL, **scope)
        assert answer["data"] == {"compute_session_list": None}
        assert answer["errors"][0]["message"].startswith("Forbidden operation.")
    agents = [
        item["containers"][0]["agent"]
        for item in (await query(owner, GQL))["data"]["compute_session_list"]["items"]
    ]
    assert all(agents)
    assert (await query(user, GQL))["data"]["compute_session_list"]["items"][0]["containers"] == [
        {"agent": None}
    ]

    deleted = await admin.send("DELETE", f"/session/{ids['of-user']}")
    assert deleted.json() == {"stats": {"status": "cancelled"}}


async def test_names_are_each_keys_own(people: People) -> None:
    user, peer = people.made["user"], people.made["peer"]
    first, second = (await create(user, "same-name")).json(), (await create(peer, "same-name")).json()
    assert first["sessionId"] != second["sessionId"]
    assert (await create(user, "same-name")).json()["sessionId"] == first["sessionId"]
    await user.send("DELETE", "/session/same-name")
    assert await listed(user, status="PENDING") == []
    assert await listed(peer, status="PENDING") == ["same-name"]
    assert (await user.send("GET", "/session/same-name/logs")).status_code == 200, "its own that ended"
    third = (await create(user, "same-name")).json()
    many = problem(
        await people.made["admin"].send("GET", "/session/same-name"), 404, "too-many-sessions-matched"
    )
    assert second["sessionId"] in many["msg"] and third["sessionId"] in many["msg"]
    await create(people.made["admin"], "same-name")
    assert (await people.made["admin"].send("GET", "/session/same-name")).status_code == 200, (
        "its own comes first"
    )
    assert (
        await user.send("POST", f"/session/{third['sessionId']}/rename", {"session_name": "other-name"})
    ).status_code == 204


async def test_on_behalf_of_others(people: People) -> None:
    owner, admin, user = people.owner, people.made["admin"], people.made["user"]
    key = user.keypair.access_key
    for number, rest in enumerate((owner, admin)):
        made = await create(rest, f"given-{number}", owner_access_key=key)
        assert made.status_code == 201, made.text
    assert await listed(user) == ["given-0", "given-1"]
    assert (await user.send("GET", "/session/given-0")).json()["groupId"] == (
        await user.send("GET", "/session/given-1")
    ).json()["groupId"]
    assert (await admin.send("GET", f"/session/given-0?owner_access_key={key}")).status_code == 200
    problem(
        await owner.send(
            "DELETE", f"/session/given-0?owner_access_key={people.made['peer'].keypair.access_key}"
        ),
        404,
        "object-not-found",
    )
    assert (await owner.send("DELETE", f"/session/given-0?owner_access_key={key}")).status_code == 200

    refused = problem(
        await create(user, "not-mine", owner_access_key=owner.keypair.access_key), 403, "generic-forbidden"
    )
    assert refused["msg"] == "Only admins can perform operations on behalf of other users."
    problem(
        await user.send("DELETE", f"/session/given-1?owner_access_key={admin.keypair.access_key}"),
        403,
        "generic-forbidden",
    )
    for other in (people.made["stranger"].keypair.access_key, owner.keypair.access_key, "AKIANOBODY"):
        problem(await create(admin, "not-mine", owner_access_key=other), 400, "invalid-api-params")
    assert await listed(owner, status="PENDING") == ["given-1"]


async def test_domains_and_groups(people: People) -> None:
    user, admin, owner = people.made["user"], people.made["admin"], people.owner
    made = (await create(user, "at-home")).json()
    ask = "query($id: UUID!) { compute_session(id: $id) { domain_name group_name group_id user_email } }"
    seen = (await query(user, ask, id=made["sessionId"]))["data"]["compute_session"]
    assert (seen["domain_name"], seen["group_name"]) == ("lab", "students")
    assert seen["user_email"] == f"{user.keypair.access_key.lower()}@localhost"
    by_group = (
        "query($g: String) { compute_session_list(limit: 9, offset: 0, group_id: $g) { items { name } } }"
    )
    assert (await query(owner, by_group, g=seen["group_id"]))["data"]["compute_session_list"]["items"] == [
        {"name": "at-home"}
    ]
    for rest, where, there in (
        (user, {"group": "staff"}, "Choose from: students."),
        (user, {"domain": "default"}, "Choose from: lab."),
        (admin, {"domain": "default"}, "Choose from: lab."),
        (admin, {"group": "none"}, "Choose from: staff, students."),
        (owner, {"domain": "nowhere"}, "Choose from: default, lab, other."),
        (owner, {"domain": "lab", "group": "none"}, "Choose from: staff, students."),
    ):
        said = problem(await create(rest, "elsewhere", **where), 400, "invalid-api-params")
        assert there in said["msg"]
    assert (await create(admin, "among-them", group="students")).status_code == 201
    assert (await create(owner, "among-them", domain="lab", group="staff")).status_code == 201
    assert "elsewhere" not in await listed(owner)


async def test_who_hears_what(people: People) -> None:
    user, peer, admin = people.made["user"], people.made["peer"], people.made["admin"]
    key = user.keypair.access_key
    async with (
        Listener(user, "/events/session") as own,
        Listener(admin, f"/events/session?ownerAccessKey={key}") as theirs,
    ):
        for listener in (own, theirs):
            assert await listener.line() == ": keep-alive"
        await create(peer, "unheard")
        await create(admin, "unheard")
        await create(user, "heard-of")
        for listener in (own, theirs):
            assert await listener.names("session_enqueued") == ["session_enqueued"]
            assert listener.events[0].json()["sessionName"] == "heard-of"
    only = "/events/session?scope=kernel&group=students"
    async with Listener(user, only) as kernels, Listener(people.made["stranger"], "/events/session") as gone:
        for listener in (kernels, gone):
            assert await listener.line() == ": keep-alive"
        await people.owner.send("DELETE", f"/admin/keys/{people.made['stranger'].keypair.access_key}")
        await create(user, "of-which-nobody-hears")
        assert await gone.names() == ["server_close"]
        for rest, name in ((peer, "unheard"), (admin, "unheard"), (people.owner, "holder")):
            await rest.send("DELETE", f"/session/{name}?forced=true")
        assert {name.partition("_")[0] for name in await kernels.names("kernel_started")} == {"kernel"}
    refused = await peer.send("GET", f"/events/session?ownerAccessKey={key}")
    problem(refused, 403, "generic-forbidden")
    problem(await peer.send("GET", "/events/session?sessionName=heard-of"), 404, "object-not-found")


async def test_limits_of_a_key(state: Path, service: SessionService) -> None:
    await service.backend("local").capacity()
    async with Rest(V8) as owner:
        people = People(owner)
        few = await people.add("few", max_sessions=1, max_slots={"cpu": "1", "mem": "1g"})
        async with few:
            for version, code in (("v5.20191215", 406), (V8, 412)):
                few.version = version
                much = await create(few, "too-much", config={"resources": {"cpu": "1.5"}})
                said = problem(much, code, "quota-exceeded")
                assert said["msg"].startswith("You asked for 1.5 CPU, but this key may have at most 1 CPU.")
            first = (await create(few, "first", enqueueOnly=False)).json()
            assert first["status"] == "RUNNING"
            second = (await create(few, "second", enqueueOnly=False, maxWaitSeconds=1)).json()
            assert second["status"] == "TIMEOUT"
            assert (
                second["statusInfo"]
                == "Waiting for another session of this key to end: it may run 1 at once."
            )
            assert (await create(owner, "others-go-on", enqueueOnly=False)).json()["status"] == "RUNNING"
            limits = (await few.send("POST", "/resource/check-presets", {"group": "default"})).json()
            assert (limits["keypair_limits"]["cpu"], limits["keypair_using"]["cpu"]) == ("1", "0.4")
            live = problem(
                await owner.send("DELETE", f"/admin/keys/{few.keypair.access_key}"), 400, "invalid-api-params"
            )
            assert "has live sessions: first, second" in live["msg"]
            await few.send("DELETE", "/session/first?forced=true")
            await until(lambda: _is(few, "second", "RUNNING"))
            await few.send("DELETE", "/session/second?forced=true")
            await until(lambda: _gone(few, "second"))
            assert (await owner.send("DELETE", f"/admin/keys/{few.keypair.access_key}")).status_code == 204
            problem(await few.send("GET", "/auth?echo=x"), 401, "auth-failed")


async def _is(rest: Rest, name: str, status: str) -> bool:
    return bool((await rest.send("GET", f"/session/{name}")).json().get("status") == status)


async def _gone(rest: Rest, name: str) -> bool:
    return (await rest.send("GET", f"/session/{name}")).status_code == 404


async def test_who_makes_keys(people: People) -> None:
    owner, admin, user = people.owner, people.made["admin"], people.made["user"]
    for rest in (admin, user):
        for method, path in (
            ("GET", "/admin/keys"),
            ("POST", "/admin/keys"),
            ("DELETE", f"/admin/keys/{user.keypair.access_key}"),
        ):
            problem(await rest.send(method, path), 403, "generic-forbidden")
        problem(await rest.send("POST", "/v8/admin/keys", {"role": "superadmin"}), 403, "generic-forbidden")
    shown = (await owner.send("GET", "/admin/keys")).text
    assert json.loads(shown)["keys"][0]["own"] is True
    assert len(json.loads(shown)["keys"]) == 5
    for rest in (owner, admin, user):
        assert rest.keypair.secret_key not in shown
    for body in (
        {"role": "king"},
        {"domain": ""},
        {"group": "a b"},
        {"max_sessions": -1},
        {"max_slots": {"cpu": "x"}},
        {"x": 1},
        {"role": 1},
    ):
        problem(await owner.send("POST", "/admin/keys", body), 400, "invalid-api-params")
    own = owner.keypair.access_key
    problem(await owner.send("DELETE", f"/admin/keys/{own}"), 400, "invalid-api-params")
    problem(await owner.send("DELETE", "/admin/keys/AKIANOBODY"), 404, "object-not-found")
    assert len((await owner.send("GET", "/admin/keys")).json()["keys"]) == 5
    roles = [(await rest.send("GET", "/auth/role")).json() for rest in (owner, admin, user)]
    assert [role["global_role"] for role in roles] == ["superadmin", "user", "user"]
    assert [role["domain_role"] for role in roles] == ["admin", "admin", "user"]
    ask = "{ keypair { user_id access_key secret_key is_active is_admin } }"
    pairs = [(await query(rest, ask))["data"]["keypair"] for rest in (owner, admin, user)]
    assert [pair["is_admin"] for pair in pairs] == [True, True, False]
    assert {pair["secret_key"] for pair in pairs} == {None}
    seen = {
        rest: (
            await query(rest, "{ keypairs { access_key } agent_list(limit: 9, offset: 0) { total_count } }")
        )
        for rest in (owner, admin, user)
    }
    assert [len(answer["data"]["keypairs"]) for answer in seen.values()] == [5, 3, 1]
    assert [answer["data"]["agent_list"] for answer in seen.values()] == [{"total_count": 1}, None, None]


@pytest.mark.real
async def test_keys_in_a_shell(state: Path, service: SessionService) -> None:
    def session(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jupyter_sessions.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    made = session(
        "keys",
        "add",
        "--role",
        "user",
        "--domain",
        "lab",
        "--group",
        "staff",
        "--max-sessions",
        "2",
        "-r",
        "mem=8g",
    )
    assert made.returncode == 0, made.stderr
    lines = dict(line.removeprefix("export ").split("=", 1) for line in made.stdout.splitlines()[1:])
    pair = Keypair(lines["BACKEND_ACCESS_KEY"], lines["BACKEND_SECRET_KEY"])
    assert (lines["BACKEND_DOMAIN"], lines["BACKEND_GROUP"]) == ("lab", "staff")
    async with Rest(V8) as owner, Rest(V8, pair) as rest:
        assert lines["BACKEND_ENDPOINT"] == rest.contact.url
        assert owner.keypair.secret_key not in made.stdout
        assert (await rest.send("GET", "/auth?echo=hi")).json() == {"authorized": "yes", "echo": "hi"}
        token = {"Authorization": f"Bearer {lines['CANFAR_TOKEN']}"}
        assert (await rest.http.get(f"{lines['CANFAR_URL']}/session", headers=token)).json() == []
    listing = session("keys", "list")
    assert "2 sessions, mem=8g" in listing.stdout
    assert pair.secret_key not in listing.stdout + session("keys", "list", "--json").stdout
    assert session("keys", "rm", pair.access_key).stdout == f"Removed the key {pair.access_key}.\n"
    again = session("keys", "rm", pair.access_key)
    assert (again.returncode, again.stdout) == (1, "")
    assert f"There is no key '{pair.access_key}'." in again.stderr
    assert session("keys", "add", "--role", "king").returncode == 2
