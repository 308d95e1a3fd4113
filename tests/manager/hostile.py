"""Hostile requests to every route of the manager, made from the table of routes itself.

What a route reads is looked up in the source of its handler, so that a new one is tried as soon as it is
listed. `Target` sends them to a manager with one running session, the *holder*, and sees to it that what
is refused changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx
import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from jupyter_sessions.backends import local, local_manager
from jupyter_sessions.manager.api import request as create_request
from jupyter_sessions.manager.api.routes import VERSION_PREFIX, all_routes
from jupyter_sessions.manager.skaha import routes as skaha
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import STATE_VARIABLE, Contact, place
from jupyter_sessions.wire.signing import Keypair, headers_for
from tests.conftest import end_everything
from tests.in_memory import manager
from tests.manager.world import V5, V8, configure

JSON = "application/json"
HOLDER = "holder"
ONCE = httpx.Limits(max_keepalive_connections=0)
"""No connection is used twice: after some of these requests it is closed."""
CALM = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WORDS = ["", "0", "-1", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 40, "4g", "0.5", "true", "null", "²"]
SHAPES = [
    "a\0b",
    "A=B",
    "../..",
    "/etc/passwd",
    "%2F",
    "%00",
    "{cwd}",
    "*",
    "_",
    "é" * 300,
    "\U0001f4a3",
    "'\"<&",
]
LONG = ["x" * 5000, "/a" * 2000, "[" * 3000]
TEXT = st.text(max_size=30) | st.sampled_from([*WORDS, *SHAPES, "python3", HOLDER])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NO_JSON = [
    b"",
    b"[]",
    b"null",
    b'"x"',
    b"{",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"name": "\xff"}',
    b'{"name": "\\ud800"}',
    b'{"a": 1, "a": 2}',
    b"\xef\xbb\xbf{}",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'{"code": "' + b"x" * 100_000,
]
KINDS = [
    JSON,
    "",
    "text/plain",
    "multipart/form-data",
    "multipart/mixed; boundary=x",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=x",
    "é",
]
VERSIONS = [V5, V8, "", "v0", "v" + "9" * 30, "v8", "8", "v-1.x", "v4.20190315"]
BREAKS = [
    {"Authorization": "BackendAI signMethod=HMAC-SHA256, credential=a:b"},
    {"Authorization": "BackendAI " + "=," * 500},
    {"Authorization": "BackendAI signMethod=HMAC-SHAKE_128, credential=a:b"},
    {"Authorization": "Bearer x.y"},
    {"Authorization": "\xff"},
    {"Date": "never"},
    {"Date": "0001-01-01T00:00:00+23:59"},
    {"Date": "9999-12-31T23:59:59-23:59"},
    {"Date": "Mon, 32 Foo 99999 25:61:61 +9999"},
    {"Date": "\xff"},
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "deflate"},
    {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"},
    {"Cookie": "a=" + "b" * 4000},
    {"X-BackendAI-Version": "\xe9"},
    {"Range": "bytes=9-1", "If-Range": "\x80"},
    {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "99"},
]
LEAKS = re.compile(r'Traceback|File "|\.py\b.{0,3}line|site-packages|\.py:\d')


class Attack(NamedTuple):
    """A request; `route` is the path as the table has it, and `headers` may break the signature."""

    route: str
    method: str
    target: str
    content: bytes = b""
    kind: str = JSON
    version: str = V5
    headers: dict[str, str] = {}


ROUTES = [route for route in all_routes() if not route.path.startswith(VERSION_PREFIX)]
SKAHA = [route for route in skaha.ROUTES if isinstance(route, web.RouteDef)]
_PLAIN = {"slashes": "/", "end": "", "version": "v1"}
"""What stands in the paths of the Skaha face where not the request's own words do."""


def words(route: web.RouteDef) -> list[str]:
    """The names that a handler may look for: all short words in quotes in its module."""
    sources = [inspect.getsource(inspect.getmodule(route.handler) or create_request)]
    if route.path in ("/session", "/kernel"):
        sources.append(inspect.getsource(create_request))
    return sorted({word for source in sources for word in re.findall(r'"(\w{2,30})"', source)}) or ["x"]


def bodies(route: web.RouteDef) -> st.SearchStrategy[bytes]:
    """Bodies with the right names and the wrong values, with more of the same name, and none at all."""
    fields = st.dictionaries(st.sampled_from(words(route)), ANY, max_size=4)
    nested = st.builds(
        lambda outer, name, inner: outer | {name: inner}, fields, st.sampled_from(words(route)), fields
    )
    objects = (fields | nested).map(lambda body: json.dumps(body | {"enqueueOnly": True}).encode())
    return objects | st.sampled_from(NO_JSON) | st.binary(max_size=30)


def forms() -> st.SearchStrategy[bytes]:
    """Multipart forms with one file each, well-formed or nearly."""
    name = TEXT.map(lambda text: quote(text, safe="")) | TEXT.filter(
        lambda text: not set(text) & set('\r\n\0"')
    )
    line = st.sampled_from(
        [
            'form-data; name="src"; filename="{}"',
            "form-data; name=src; filename*=utf-8''{}",
            "form-data; name=src; filename*=nonsense''{}",
            'form-data; filename="{}',
            "{}",
        ]
    )
    end = st.sampled_from([b"\r\n--x--\r\n", b"\r\n--x", b"", b"\r\n--x\r\n\r\n--x--"])
    more = st.sampled_from(
        [b"", b"Content-Type: multipart/mixed; boundary=y\r\n", b"Content-Encoding: gzip\r\n"]
    )

    def form(name: str, line: str, more: bytes, end: bytes) -> bytes:
        disposition = line.format(name).encode(errors="replace")
        return b"--x\r\nContent-Disposition: " + disposition + b"\r\n" + more + b"\r\ndata" + end

    return st.builds(form, name, line, more, end)


def attacks(holder: str, routes: list[web.RouteDef] = ROUTES) -> st.SearchStrategy[Attack]:
    """Requests to any of the routes; `holder` is the id of a session that is to live on."""
    return st.sampled_from(routes).flatmap(lambda route: _attacks(route, holder))


def _attacks(route: web.RouteDef, holder: str) -> st.SearchStrategy[Attack]:
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] if route.method == "*" else [route.method]
    refs = TEXT | st.sampled_from(LONG)
    ends = {"DELETE", "PATCH"} & set(methods)
    refs = refs.filter(lambda ref: ref != HOLDER) if ends else st.just(holder) | refs
    queries = st.dictionaries(st.sampled_from(words(route)) | TEXT, TEXT, max_size=3)
    form = "upload" in route.path
    return st.builds(
        lambda method, ref, prefix, query, content, kind, version, headers: Attack(
            route.path, method, _target(route.path, ref, prefix, query), content, kind, version, headers
        ),
        st.sampled_from(methods),
        refs,
        st.just("") | st.sampled_from(["", "/v4", "/v" + "9" * 30] if route in ROUTES else [""]),
        st.just({}) | queries,
        forms() if form else bodies(route),
        st.just("multipart/form-data; boundary=x") if form else st.just(JSON) | st.sampled_from(KINDS),
        st.sampled_from(VERSIONS),
        st.just({}) | st.just({}) | st.sampled_from(BREAKS),
    )


def _target(path: str, ref: str, prefix: str, query: dict[str, str]) -> str:
    word = quote(ref, safe="", errors="replace")
    filled = re.sub(r"\{([a-z]+)\d*(:[^}]*)?\}", lambda part: _PLAIN.get(part[1], word), path)
    return prefix + filled + (f"?{urlencode(query, errors='replace')}" if query else "")


class Target:
    """A manager whose only session that may run does; others can but wait."""

    def __init__(self, state: Path) -> None:
        self.state = state
        configure(state, max_sessions=1, folders={"data": str(state)})
        self.contact: Contact = local.start()
        self.http = httpx.Client(base_url=self.contact.url, timeout=15, trust_env=False, limits=ONCE)
        wanted = {"name": HOLDER, "image": "python", "config": {"resources": {"cpu": "0.1"}}}
        made = self.send("POST", "/session", msgspec.json.encode(wanted))
        assert made.json()["status"] == "RUNNING", made.text
        self.holder: str = made.json()["sessionId"]
        deadline = time.monotonic() + 10
        while self.rows()[0][2] != "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.02)  # Another process may see a little later what the manager has written.
        self._seen, self._use = self.fingerprint(), self.use()

    def send(
        self,
        method: str,
        target: str,
        content: bytes = b"",
        version: str = V5,
        *,
        kind: str = JSON,
        headers: dict[str, str] | None = None,
        keypair: Keypair | None = None,
    ) -> httpx.Response:
        """The answer to a signed request; of one that does not end, the beginning."""
        request = self.http.build_request(method, target, content=content)
        signed = headers_for(
            keypair or self.contact.keypair,
            method=method,
            target=request.url.raw_path.decode(),
            host=request.headers["Host"],
            content_type=kind,
            version=version,
        )
        if target.startswith("/skaha"):
            signed["Authorization"] = f"Bearer {self.contact.bearer(keypair)}"
        wanted = signed | {"Content-Type": kind} | (headers or {})
        request.headers.encoding = "latin-1"
        request.headers.update({name: value.encode("latin-1", "replace") for name, value in wanted.items()})
        answer = self.http.send(request, stream=True)
        try:
            if answer.headers.get("Content-Type") != "text/event-stream":
                answer.read()
            else:
                answer._content = b""  # It would come in pieces for as long as it is open.
        finally:
            answer.close()
        return answer

    def strike(self, attack: Attack) -> httpx.Response:
        """Send it. An error is one of the sender's, said in the way of this API, and changes nothing."""
        answer = self._send(attack)
        check(answer, attack)
        if answer.status_code >= 400:
            self._no_access(attack)
            before, self._seen = self._seen, self.fingerprint()
            assert not before ^ self._seen, (before ^ self._seen, attack)
        elif attack.method not in ("GET", "HEAD"):
            self.settle()
        self._use = self.use()
        return answer

    def _send(self, attack: Attack) -> httpx.Response:
        return self.send(
            attack.method,
            attack.target,
            attack.content,
            attack.version,
            kind=attack.kind,
            headers=attack.headers,
        )

    def _no_access(self, attack: Attack) -> None:
        """A refused request is no access to the holder: neither counted, nor does it put off its idle end."""
        (queries, left), self._use = self._use, self.use()
        assert self._use[0] == queries, attack
        if self._use[1] > left:  # Its kernel may have been seen at work just now, which is rare.
            time.sleep(0.05)
            left = self.use()[1]
            self._send(attack)
            assert self.use()[1] <= left, attack

    def use(self) -> tuple[int, float]:
        """How often the holder was accessed, and the seconds after which it will have been idle for too long."""
        info = self.send("GET", f"/session/{self.holder}").json()
        return info["numQueriesExecuted"], info["idleChecks"]["network_timeout"]["remaining"]

    def settle(self) -> None:
        """Let go of what an accepted request has made."""
        for row in self.rows():
            if row[0] != self.holder and row[2] not in ("CANCELLED", "TERMINATED"):
                self.send("DELETE", f"/session/{row[0]}?forced=true")
        self._seen = self.fingerprint()

    def fingerprint(self) -> set[str]:
        """All that a request may change: sessions, keys, files, and what runs beside the kernel."""
        with contextlib.closing(sqlite3.connect(self.state / "sessions.db")) as db:
            keys = db.execute("SELECT * FROM keys").fetchall()
        return {*map(str, keys), *map(str, self.rows()), *map(str, _files(self.state / "sessions"))}

    def rows(self) -> list[tuple[Any, ...]]:
        """The sessions of the store, live or ended, less what passes by itself."""
        with contextlib.closing(sqlite3.connect(self.state / "sessions.db")) as db:
            rows = db.execute("SELECT id, name, status, record FROM sessions ORDER BY id").fetchall()
        return [(*row[:3], *_lasting(row[3])) for row in rows]


def _lasting(record: bytes) -> Iterator[object]:
    fields = msgspec.json.decode(record)
    for name in ("tag", "environ", "owner", "notebook_path", "dependencies", "subs", "slots"):
        yield fields.get(name)
    yield sorted(fields.get("service_processes", {}))


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("journal", "__pycache__")]
        yield path, len(folders)
        for name in files:
            if not name.endswith(".log"):
                yield os.path.join(path, name), os.lstat(os.path.join(path, name)).st_size


@contextlib.contextmanager
def attacked(folder: Path, *, in_memory: bool = False) -> Iterator[Target]:
    """A manager that lives in a folder, and ends with its sessions."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    (folder / "config").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(state))
        patch.setenv("JUPYTER_CONFIG_DIR", str(folder / "config"))
        patch.delenv("JUPYTER_SESSIONS_SERVER", raising=False)
        if in_memory:
            patch.setattr(local_manager, "_start", manager.start)
        try:
            target = Target(state)
            with contextlib.closing(target.http):
                yield target
        finally:
            asyncio.run(end_everything())
            remove(place().run_folder())


def check(answer: httpx.Response, attack: object) -> None:
    """Nothing of the manager's own failed or is shown; what is refused is said as the API says it."""
    assert answer.status_code < 500 or answer.status_code == 501, (answer.text, attack)
    assert not LEAKS.search(answer.text), (answer.text, attack)
    assert "The manager failed" not in answer.text, (answer.text, attack)
    if answer.status_code == 400 and answer.headers["Content-Type"].startswith("text/plain"):
        return  # So large that the library does not read it as HTTP.
    if answer.status_code >= 400 and not answer.request.url.path.startswith("/skaha"):
        assert answer.headers["Content-Type"] == "application/problem+json", (answer.text, attack)
        body = answer.json()
        assert body["type"].startswith("https://"), (answer.text, attack)
        assert body["title"], (answer.text, attack)
