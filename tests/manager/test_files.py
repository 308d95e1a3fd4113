"""Files go up and down and are listed, in a session's working folder and nowhere else."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import pytest_asyncio

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.manager.api import files
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.files import remove
from tests.manager.world import V8, Rest, run, says

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def service(machine: Path) -> AsyncIterator[SessionService]:
    """The backends of this process, on the shared manager."""
    made = SessionService(JupyterSessions())
    yield made
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder, with links that lead out of it and in it."""
    (tmp_path / "secret").write_text("outside")
    made = tmp_path / "work folder"
    (made / "d").mkdir(parents=True)
    (made / "out").symlink_to(tmp_path)
    (made / "in").symlink_to(made / "d")
    (made / "d" / "a.txt").write_text("a")
    return made


@pytest_asyncio.fixture
async def rest(service: SessionService, folder: Path) -> AsyncIterator[Rest]:
    await run(service, "with-files", cwd=str(folder))
    async with Rest(V8) as made:
        yield made


async def upload(rest: Rest, *parts: tuple[str, bytes], at: str = "with-files") -> httpx.Response:
    """Files in a form, each by its name."""
    given = [("src", (name, content, "application/octet-stream")) for name, content in parts]
    request = rest.http.build_request("POST", f"/session/{at}/upload", files=given)
    return await post(rest, request, at)


async def post(rest: Rest, request: httpx.Request, at: str = "with-files") -> httpx.Response:
    kind = request.headers["Content-Type"].partition(";")[0]
    signed = rest.request("POST", f"/session/{at}/upload", kind=kind)
    for name in ("Date", "Authorization", "X-BackendAI-Version"):
        request.headers[name] = signed.headers[name]
    return await rest.http.send(request)


async def listing(rest: Rest, path: str) -> dict[str, dict[str, Any]]:
    answer = (await rest.send("GET", "/session/with-files/files", {"path": path})).json()
    assert answer["errors"] == "", answer
    return {entry["filename"]: entry for entry in json.loads(answer["files"])}


async def download(rest: Rest, method: str, target: str, body: object = None) -> dict[str, bytes]:
    """What the archives in an answer hold, by name; read as the vendors' clients do."""
    found = {}
    asked = rest.request(method, f"/session/with-files/{target}", body)
    headers = {name: value for name, value in asked.headers.items() if name != "content-length"}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, str(asked.url), headers=headers, data=asked.content) as answer,
    ):
        assert answer.status == 200
        reader = aiohttp.MultipartReader.from_response(answer)
        while (part := await reader.next()) is not None:
            assert isinstance(part, aiohttp.BodyPartReader)
            with tarfile.open(fileobj=io.BytesIO(bytes(await part.read()))) as archive:
                for member in archive.getmembers():
                    content = archive.extractfile(member) if member.isfile() else None
                    found[member.name] = content.read() if content else b""
    return found


async def test_up_down_and_listed(rest: Rest, service: SessionService, folder: Path) -> None:
    large = os.urandom(3 * 1024**2)
    sent = await upload(rest, ("/home/work/x.py", b"print('x')"), ("new/é f.bin", large), ("a%2Fb.txt", b"b"))
    assert sent.status_code == 204, sent.text
    assert (folder / "new" / "é f.bin").read_bytes() == large
    assert (folder / "a" / "b.txt").read_text() == "b", "aiohttp's clients write a slash so"

    top = await listing(rest, "/home/work")
    assert top.keys() == {"a", "d", "in", "new", "out", "x.py"}
    assert (top["x.py"]["size"], top["d"]["mode"][0], top["out"]["mode"][0]) == (10, "d", "l")
    assert abs(top["x.py"]["mtime"] - (folder / "x.py").stat().st_mtime) < 1
    assert (await listing(rest, ".")).keys() == top.keys() == (await listing(rest, str(folder))).keys()
    assert (await listing(rest, "in")).keys() == {"a.txt"}, "a link that stays inside"
    nothing = (await rest.send("GET", "/session/with-files/files?path=nope")).json()
    assert "No such file" in nothing["errors"]

    both = {"files": ["x.py", "/home/work/new"]}
    for method in ("GET", "POST"):
        assert await download(rest, method, "download", both) == {
            "x.py": b"print('x')",
            "new": b"",
            "new/é f.bin": large,
        }
    assert (await download(rest, "POST", "download?files=x.py&files=d")).keys() == {"x.py", "d", "d/a.txt"}
    single = await rest.send("GET", "/session/with-files/download_single", {"file": "new/é f.bin"})
    assert single.content == large

    row = await service.find("with-files")
    async with rest.socket(f"/stream/session/{row.id}/execute") as socket:
        await upload(rest, ("only.py", b"print('the only one')"))
        await socket.send_json({"mode": "batch", "code": "", "options": {"exec": "*"}})
        said = ""
        while (frame := await socket.receive_json(timeout=30))["status"] != "finished":
            said += "".join(item[1] for item in frame["console"])
    assert said == "the only one\n"


async def test_a_session_of_the_vendors_has_a_folder_of_its_own(rest: Rest, service: SessionService) -> None:
    config = {"resources": {"cpu": "0.5", "mem": "256m"}}
    made = (
        await rest.send("POST", "/session", {"name": "own-folder", "image": "python", "config": config})
    ).json()
    row = await service.get("local", made["sessionId"])
    await upload(rest, ("kept.txt", b"kept"), at="own-folder")
    await service.restart("local", row.id)
    assert await says(service, row, "print(open('kept.txt').read())") == "kept"


ESCAPES = [
    "../x",
    "/etc/x",
    "/home/work/../../x",
    "out/x",
    "d/../../x",
    "/home/workx",
    "a\0b",
    "x" * 300,
    "d",
    ".",
    "",
]


async def test_nothing_leaves_the_folder(rest: Rest, folder: Path, service: SessionService) -> None:
    before = sorted(folder.parent.rglob("*"))
    for name in ESCAPES:
        sends = name not in ("", "/etc/x", "/home/workx")  # These come without their first slash.
        refused = await upload(rest, ("good.txt", b"1"), (name, b"2")) if sends else None
        if refused is not None:
            assert refused.status_code == 400, (name, refused.text)
            assert refused.json()["field"] == "src"
        if name in ("d", "."):
            continue
        for method, target, body in (
            ("GET", "download", {"files": [name]}),
            ("GET", "download_single", {"file": name}),
            ("GET", "files", {"path": name or "\0"}),
        ):
            answer = await rest.send(method, f"/session/with-files/{target}", body)
            assert answer.status_code in (400, 404) or answer.json()["errors"], (name, target, answer.text)
            assert "Traceback" not in answer.text and "outside" not in answer.text
    assert sorted(folder.parent.rglob("*")) == before, "a refused request stores nothing, and leaves nothing"

    many = await upload(rest, *((f"{number}.txt", b"") for number in range(files.FILES_MOST + 1)))
    assert (many.status_code, "More than 1000" in many.json()["msg"]) == (400, True)
    for content, kind in (
        (b"{}", "application/json"),
        (b"no form", "multipart/form-data; boundary=x"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="src"; filename="cut.txt"\r\n\r\ncut',
            "multipart/form-data; boundary=x",
        ),
        (b"--x\r\n\r\n", "multipart/form-data"),
        (b"--x\r\n" + b"A: " + b"b" * 200_000 + b"\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x"),
    ):
        request = rest.http.build_request(
            "POST", "/session/with-files/upload", content=content, headers={"Content-Type": kind}
        )
        answer = await post(rest, request)
        assert answer.status_code == 400, (content[:60], answer.status_code, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
    for body in ({"files": []}, {"files": "x"}, {"files": [1]}, {}, {"files": ["d"] * 1001}):
        assert (await rest.send("POST", "/session/with-files/download", body)).status_code == 400
    assert sorted(folder.parent.rglob("*")) == before


async def test_downloads_that_nobody_reads_stop_no_other(rest: Rest, folder: Path) -> None:
    with (folder / "large").open("wb") as file:
        file.truncate(64 * 1024**2)
    asked = rest.request("GET", "/session/with-files/download?files=large")
    lines = [f"{name}: {value}" for name, value in asked.headers.items()]
    head = "\r\n".join([f"GET {asked.url.raw_path.decode()} HTTP/1.1", *lines, "", ""]).encode()
    unread = []
    try:
        for _ in range(12):
            reader, writer = await asyncio.open_connection(asked.url.host, asked.url.port, limit=2**10)
            writer.write(head)
            assert b" 200 " in await reader.readline()
            unread.append(writer)
        async with asyncio.timeout(30):
            assert await download(rest, "GET", "download?files=d") == {"d": b"", "d/a.txt": b"a"}
            assert len((await download(rest, "GET", "download?files=large"))["large"]) == 64 * 1024**2
    finally:
        for writer in unread:
            writer.transport.abort()


async def test_archives_hold_what_tar_holds(rest: Rest, folder: Path) -> None:
    (folder / "d" / "linked").hardlink_to(folder / "d" / "a.txt")
    (folder / "d" / "up").symlink_to("../in")
    (folder / "d" / ("long" * 50)).mkdir()
    (folder / "d" / "é").write_bytes(b"x" * 512)
    os.mkfifo(folder / "d" / "pipe")
    (folder / "d" / "program").touch(mode=0o755)
    with tarfile.open(folder / "by-hand.tar", "w") as archive:
        archive.add(folder / "d", "d")
    asked = rest.request("GET", "/session/with-files/download?files=d")
    answer = await rest.http.send(asked)
    body = answer.content.partition(b"\r\n\r\n")[2]
    with (
        tarfile.open(folder / "by-hand.tar") as expected,
        tarfile.open(fileobj=io.BytesIO(body)) as found,
    ):
        assert _members(found) == _members(expected)


def _members(archive: tarfile.TarFile) -> dict[str, object]:
    return {one.name: {**one.get_info(), "linkname": one.linkname} for one in archive.getmembers()}


async def test_a_folder_of_any_depth(rest: Rest, service: SessionService, folder: Path) -> None:
    """It is sent, and is removed with the session that made it."""
    deep = "import os\nfor _ in range({}): os.mkdir('A'); os.chdir('A')"
    await says(service, await service.find("with-files"), deep.format(1200))
    assert len(await download(rest, "GET", "download?files=A")) == 1200
    await says(service, await service.find("with-files"), f"os.chdir({str(folder)!r})")
    remove(folder / "A")
    assert not (folder / "A").exists()
