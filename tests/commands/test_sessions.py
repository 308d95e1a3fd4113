"""The verbs about sessions, and about what there is to make them of. On toys; nothing is started."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from jupyter_sessions.commands import Face, Result, parse, perform
from jupyter_sessions.commands.live_row import LiveRow
from jupyter_sessions.commands.logs import added
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, LaunchFailed, NotRunning, NotSupported
from jupyter_sessions.model import Amount, Service, SessionInfo
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

NASTY = "<script>alert(1)</script>"
Typed = Callable[..., Awaitable[tuple[Any, list[str]]]]


class Notebook(Face):
    """A notebook that remembers what it is to use, and says the HTML of its live rows."""

    in_notebook = True
    used = ""

    def use(self, ref: str) -> None:
        self.used = ref

    def progress(self) -> LiveRow:
        return LiveRow(lambda output: self(output.content["data"]["text/html"]))


@pytest_asyncio.fixture
async def toys_(toys: Path) -> SessionService:
    """Two backends with choices."""
    backends = {"toy": {"type": "toy"}, "choosy": {"type": "choosy"}}
    presets = {"big": {"image": "toyland", "resources": {"cpu": 8, "mem": "1g"}, "tag": "x"}}
    config = JupyterSessions(
        backends=backends, enabled_backends=[*backends], default_backend="toy", presets=presets
    )
    service = SessionService(config)
    service.base_url = "http://here/hub/"
    return service


@pytest.fixture
def typed(toys_: SessionService) -> Typed:
    """The result of a command, and what was said."""

    async def run(line: str, face: type[Face] = Face) -> tuple[Result, list[str]]:
        said: list[str] = []
        return await perform(toys_, parse(line), face(said.append)), said

    return run


def change(service: SessionService, name: str, **fields: Any) -> SessionInfo:
    """Let a row be different."""
    rows: dict[str, SessionInfo] = service.backends["toy"].rows  # type: ignore[attr-defined]
    row = next(row for row in rows.values() if row.name == name)
    rows[row.id] = structs.replace(row, **fields)
    return rows[row.id]


USE = {
    "cpu_util": {"current": "40", "capacity": "200", "pct": "20.00", "unit_hint": "percent"},
    "mem": {"current": "268435456", "capacity": "536870912", "pct": "50.00", "unit_hint": "bytes"},
}


async def test_info_is_in_groups(typed: Typed, toys_: SessionService) -> None:
    await typed("create toyland --name mine --tag note")
    services = [Service(name="jupyter", url="jupyter-sessions/services/a/"), Service(name=NASTY, url="b")]
    change(toys_, "mine", live_stat=USE, services=services, cwd="/here", exit_code=0)
    info, _ = await typed("info mine")
    assert [*info.groups] == ["What", "Where", "Limits and use", "Times", "Files", "Services"]
    text = info.text(60)
    assert all(len(line) <= 60 for line in text.splitlines() if "<" not in line and "http" not in line)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in ("Tag note", "CPU 20 %", "Memory 256 MiB of 512 MiB", "Working folder /here", "Exit code 0"):
        assert line in lines, text
    html = info._repr_mimebundle_()["text/html"]
    assert "width:20%" in html and "href='http://here/hub/jupyter-sessions/services/a/'" in html
    assert NASTY not in html and "\x1b[32mRunning" in info.text(color=True)


async def test_create_ends_with_what_can_be_done_next(typed: Typed, toys_: SessionService) -> None:
    services = [Service(name="jupyter", url="s/jupyter/"), Service(name="term", url="s/term/")]
    await typed("create toyland --name mine")
    change(toys_, "mine", services=services)
    result, said = await typed("create toyland --name mine", Notebook)
    assert "href='/hub/s/term/'" in said[-1] and "It was there before." in said[-1]
    assert "Begin a cell with `%%session mine`" in result._repr_mimebundle_()["text/html"]
    assert (await typed("create toyland --name mine"))[0].text() == (
        "Services: jupyter, term. `%session open mine jupyter` opens one."
        " `jupyter session console mine` opens a console on it."
    )


async def test_services_are_listed_and_opened(typed: Typed, toys_: SessionService) -> None:
    await typed("create toyland --name mine")
    with pytest.raises(InvalidRequest, match=r"'mine' has no service 'jupyter'. It has none."):
        await typed("open mine")
    row = change(toys_, "mine", services=[Service(name="lab", url="s/lab/", ports=[80]), Service(name="x")])
    table, _ = await typed("services mine")
    assert table.rows[0] == ["lab", "", "80", "http://here/hub/s/lab/"]
    assert json.loads((await typed("services mine --json"))[0].text())[0]["name"] == "lab"
    opened, _ = await typed("open mine", Notebook)
    html = opened._repr_mimebundle_()["text/html"]
    assert "href='/hub/s/lab/'" in html and "command='jupyter-sessions:open-service'" in html
    assert row.id in html and opened.text() == "/hub/s/lab/"
    with pytest.raises(InvalidRequest, match=r"no service 'code'. Its services are lab, x."):
        await typed("open mine code")
    change(toys_, "mine", status="PENDING")
    with pytest.raises(InvalidRequest, match="is waiting"):
        await typed("open mine")


async def test_use_and_attach_are_for_notebooks(typed: Typed, toys_: SessionService) -> None:
    await typed("create toyland --name mine")
    face = Notebook(print)
    await perform(toys_, parse("use mine"), face)
    assert face.used == "toy/mine"
    attach, _ = await typed("attach mine", Notebook)
    assert "command='jupyter-sessions:use-for-notebook'" in attach._repr_mimebundle_()["text/html"]
    for verb in ("use", "attach"):
        with pytest.raises(NotSupported, match=f"'{verb}' is for notebooks."):
            await typed(f"{verb} mine")
    change(toys_, "mine", status="PENDING")
    with pytest.raises(NotRunning, match="Attach to it while it runs"):
        await typed("attach mine", Notebook)


async def test_wait(typed: Typed, toys_: SessionService) -> None:
    for name in ("mine", "job", "bad"):
        await typed(f"create toyland --name {name}")
    assert (await typed("wait mine"))[1] == ["mine is running."]
    change(toys_, "job", type="batch")
    waiting = asyncio.create_task(typed("wait job mine"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    change(toys_, "job", status="TERMINATED", result="SUCCESS")
    assert (await waiting)[1] == ["mine is running.", "job has ended."]
    change(toys_, "bad", type="batch", status="TERMINATED", result="FAILURE", status_info="exit status 3")
    with pytest.raises(LaunchFailed, match=r"bad has ended \(exit status 3\)"):
        await typed("wait bad job")
    result, said = await typed("wait mine --for ended --timeout 0.1")
    assert (result.exit_code, said) == (3, ["The time is over."])


async def test_prune(typed: Typed, toys_: SessionService, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("exp-1", "exp-2", "other", "here"):
        await typed(f"create toyland --name {name}")
    change(toys_, "exp-2", type="batch")
    monkeypatch.setenv("skaha_sessionid", change(toys_, "here").id)
    assert (await typed("prune exp --dry-run"))[1] == [
        "toy/exp-2 would end.",
        "toy/exp-1 would end.",
        "2 sessions match.",
    ]
    assert (await typed("prune --type headless"))[1] == ["exp-2 has ended."]
    assert (await typed("prune --status pending"))[1] == ["No session matches."]
    assert sorted((await typed("prune --regex '^(e|o|h)'"))[1]) == ["exp-1 has ended.", "other has ended."]
    for line, said in (("prune", "which sessions to end"), ("prune --regex '('", "is no regular expression")):
        with pytest.raises(InvalidRequest, match=said):
            await typed(line)


async def test_a_spec_makes_the_session_again(
    typed: Typed, toys_: SessionService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await typed("create toyland --name mine --tag note")
    change(toys_, "mine", environ={"A": "b", "API_KEY": "hidden"}, resources={"cpu": "2"})
    spec, _ = await typed("spec mine")
    assert json.loads(spec.text())["secrets"] == ["API_KEY"] and "hidden" not in spec.text()
    monkeypatch.setenv("API_KEY", "from-the-environment")
    file = tmp_path / "spec.json"
    file.write_text(spec.text())
    await typed(f"create --from {file} --name copy -e C=d")
    made = json.loads((await typed("spec copy"))[0].text())
    assert (made["image"], made["tag"]) == ("toyland", "note")
    await typed("rm mine")
    assert json.loads((await typed("spec mine"))[0].text())["tag"] == "note"
    for text, wrong in (("{", "is no spec"), ('{"colour": 1}', "colour"), (None, "cannot be read")):
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        with pytest.raises(InvalidRequest, match=wrong):
            await typed(f"create --from {file}")


async def test_what_there_is(typed: Typed, toys_: SessionService, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, _ = await typed("sizes")
    assert ["small", "1 CPU · 1.5 GiB", "yes", "choosy"] in sizes.rows and sizes.rows[1][2] == "no"
    assert ["catalogues", "yes", "no", "choosy"] in (await typed("folders"))[0].rows
    assert ["lab/desk:1", "", "", "", "choosy"] in (await typed("images -b choosy"))[0].rows
    assert (await typed("presets"))[0].rows == [["big", "toyland", "8 CPU · 1 GiB", "tag: x"]]
    assert json.loads((await typed("sizes --json"))[0].text())["toy"] == []
    assert json.loads((await typed("presets --json"))[0].text())["big"]["tag"] == "x"

    async def capacity(self: object) -> dict[str, Amount]:
        return {"cpu": Amount(total="8", free="6"), "cuda.device": Amount(total="0", free="0")}

    monkeypatch.setattr(type(toys_.backends["toy"]), "capacity", capacity)
    stats, _ = await typed("stats -b toy")
    assert stats.rows == [["cpu", "6 CPU", "8 CPU", "25 %", "toy"], ["cuda.device", "0", "0", "", "toy"]]
    await typed("create toyland --name mine")
    change(toys_, "mine", live_stat=USE)
    used, _ = await typed("stats mine")
    assert used.rows == [["mine", "20 %", "256 MiB of 512 MiB", "", ""]]


async def test_logs_follow_and_tail(
    typed: Typed, toys_: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await typed("create toyland --name mine")
    logs = ["one\ntwo\nthr", "one\ntwo\nthr", "one\ntwo\nthree\nfo", "three\nfour\n", "three\nfour\nend"]

    async def next_logs(backend: str, id: str) -> str:
        if len(logs) == 2:
            change(toys_, "mine", status="TERMINATED")
        return logs.pop(0)

    monkeypatch.setattr(toys_, "logs", next_logs)
    monkeypatch.setattr("jupyter_sessions.commands.logs._LOOK_SECONDS", 0)
    assert (await typed("logs mine --tail 2"))[0].text() == "two\nthr"
    _, said = await typed("logs mine -f -n 1")
    assert said == ["thr", "ee", "four", "end"]


async def test_what_is_new_in_a_log_of_which_the_beginning_is_gone() -> None:
    assert (added("", "a"), added("ab", "abc"), added("ab", "b\nc")) == ("a", "c", "b\nc")
    long = "".join(f"{number}\n" for number in range(5000))
    assert added(long, long[9000:] + "more\n") == "more\n"
