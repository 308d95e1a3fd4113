"""Thousands of hostile requests to every route: no failure of the manager, and nothing comes of what is refused.

The routes are those of the manager's own table, so that each new one is tried as soon as it is listed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from aiohttp import WSCloseCode, WSMsgType, WSServerHandshakeError, web
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_sessions.manager.core.columns import COLUMNS
from tests.manager.hostile import ANY, CALM, ROUTES, SKAHA, TEXT, Attack, Target, attacked, attacks, words
from tests.manager.world import Rest

EACH = 25
"""Requests to each route, under each of its names: thousands in all."""

REFUSED = -1
"""Stands for the code of a WebSocket that was not opened."""

STREAMS = [
    route for route in ROUTES if route.path.startswith("/stream/session/") and "apps" not in route.path
]
LIST = """query($filter: String, $order: String) {
  compute_session_list(limit: 5, offset: 0, filter: $filter, order: $order) { total_count items { id } } }"""
TOKENS = [*COLUMNS, *"()[],&|!", "==", "!=", "<", ">=", "in", "is", "isnot", "like", "ilike", "contains"]
VALUES = [
    '"x"',
    '"%_[*?"',
    '"2026-01-01"',
    '"\\ud800"',
    '"',
    "1",
    "-9e999",
    "9" * 40,
    "null",
    "true",
    "é",
    "\0",
    "--",
    "';",
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.mark.timeout(600)
def test_every_route(target: Target) -> None:
    assert len([*ROUTES, *SKAHA]) * EACH > 2000
    for route in [*ROUTES, *SKAHA]:

        @settings(CALM, max_examples=EACH)
        @given(attack=attacks(target.holder, [route]))
        def strike(attack: Attack) -> None:
            target.strike(attack)

        strike()


@pytest.mark.timeout(300)
def test_the_language_of_filters_and_orders(target: Target) -> None:
    tokens = st.lists(st.sampled_from([*TOKENS, *VALUES]), max_size=12).map(" ".join)
    plain = st.builds("{} {} {}".format, *(st.sampled_from(some) for some in (TOKENS, TOKENS, VALUES)))
    orders = st.lists(st.sampled_from([*COLUMNS, "+name", "-id", "", "x"]), max_size=4).map(",".join)

    @settings(CALM, max_examples=500)
    @given(filter=tokens | plain | TEXT, order=st.just("") | orders | TEXT)
    def ask(filter: str, order: str) -> None:
        body = {"query": LIST, "variables": {"filter": filter, "order": order}}
        target.strike(Attack("", "POST", "/admin/graphql", json.dumps(body).encode()))

    ask()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("route", STREAMS, ids=lambda route: route.path.rpartition("/")[2])
def test_first_messages(target: Target, route: web.RouteDef) -> None:
    """Whatever comes first on a WebSocket, it is answered or closed with a reason."""
    fields = st.dictionaries(
        st.sampled_from([*words(route), "type", "code", "rows", "chars"]), ANY, max_size=4
    )
    kinds = st.sampled_from(["stdin", "resize", "ping", "query", "batch", "x"])
    objects = st.builds(lambda body, kind: json.dumps({"type": kind} | body), fields, kinds)
    where = route.path.replace("{ref}", target.holder) + "?app=nothing"

    @settings(CALM, max_examples=60)
    @given(
        messages=st.lists(
            objects | TEXT | st.binary(max_size=20) | st.just("[" * 50_000), min_size=1, max_size=3
        )
    )
    def say(messages: list[str | bytes]) -> None:
        before = target.use()[0]
        code = asyncio.run(_closed(where, messages))
        assert code != WSCloseCode.INTERNAL_ERROR
        counted = target.use()[0] - before
        assert counted == 0 if code == REFUSED else 1 <= counted <= len(messages)

    say()
    info = target.send("GET", f"/session/{target.holder}").json()
    assert info["status"] == "RUNNING"
    assert f"ERROR GET {route.path[:15]}" not in (target.state / "manager.log").read_text()


async def _closed(where: str, messages: list[str | bytes]) -> int | None:
    """The code with which the manager closes, None if it goes on listening, or REFUSED."""
    rest = Rest()
    try:
        async with rest, asyncio.timeout(20), rest.socket(where) as socket:
            for message in messages:
                await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
            while True:
                answer = await socket.receive(timeout=0.1)
                if answer.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
                    return socket.close_code
    except TimeoutError:
        return None
    except WSServerHandshakeError as refused:
        assert refused.status < 500
        return REFUSED
    except ConnectionError:
        pass  # It has been closed before all was said.
    return None
