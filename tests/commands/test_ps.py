"""Lists of sessions: which, how many, which fields, in which order. On toys; nothing is started."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from jupyter_sessions.commands import Face, Result, Table, parse, perform
from jupyter_sessions.commands.cells import Cell
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import Service, SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

ID = "8f0f2b7c-1111-2222-3333-444455556666"
Typed = Callable[[str], Awaitable[Any]]


@pytest_asyncio.fixture
async def toy(toys: Path) -> SessionService:
    """Three sessions: `first` made an hour ago, `second`, and `ended`."""
    service = SessionService(
        JupyterSessions(backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy")
    )
    for name in ("first", "second", "ended"):
        await service.create(SessionSpec(name=name, image="toyland", tag="t"))
    change(service, "first", status_changed=datetime.now(UTC) - timedelta(minutes=3, seconds=20))
    change(service, "ended", status="TERMINATED", result="SUCCESS")
    return service


def change(service: SessionService, name: str, **fields: Any) -> None:
    """Let a row be different."""
    rows = service.backends["toy"].rows  # type: ignore[attr-defined]
    key = next(key for key, row in rows.items() if row.name == name)
    rows[key] = structs.replace(rows[key], **fields)


@pytest.fixture
def typed(toy: SessionService) -> Typed:
    """The result of a command."""

    async def perform_it(line: str) -> Result:
        return await perform(toy, parse(line), print)

    return perform_it


def column(table: Table, title: str) -> list[str]:
    """The cells of a column."""
    return [row[table.head.index(title)] for row in table.rows]


async def test_the_usual_columns_are_the_seeds(typed: Typed, toy: SessionService) -> None:
    change(toy, "first", id=ID, main_kernel_id=ID, group_name="default")
    table = await typed("ps")
    assert ", ".join(table.head) == (
        "Name, Session ID, Project/Group, Main Kernel ID, Image, Type, Status, Status Info, Last Updated, Result"
    )
    row = dict(zip(table.head, table.rows[-1], strict=True))
    assert row == {
        "Name": "first",
        "Session ID": "8f0f2b7c",
        "Project/Group": "default",
        "Main Kernel ID": "8f0f2b7c",
        "Image": "toyland",
        "Type": "interactive",
        "Status": "Running",
        "Status Info": "",
        "Last Updated": "3 min",
        "Result": "",
    }
    assert (await typed("list")).head == (await typed("admin session list")).head == table.head


async def test_ids_are_whole_for_who_asks_for_details(typed: Typed, toy: SessionService) -> None:
    change(toy, "first", id=ID, occupied_slots={"cpu": "1"})
    table = await typed("ps --detail")
    assert table.head[-3:] == ["Tag", "Created At", "Occupying Slots"] and ID in column(table, "Session ID")
    assert "Owner Access Key" not in table.head and "cpu: 1" in column(table, "Occupying Slots")
    table = await typed("ps --format session_id,occupying_slots,scaling_group,agent_ids,user_id")
    assert table.head == ["Session ID", "Occupying Slots", "Scaling Group", "Agent IDs", "User ID"]
    assert table.rows[-1][0] == ID


async def test_owners_are_told_where_there_are_several(typed: Typed, toy: SessionService) -> None:
    change(toy, "first", access_key="AKIA1")
    assert "Owner Access Key" not in (await typed("ps")).head
    change(toy, "second", access_key="AKIA2")
    assert sorted(column(await typed("ps"), "Owner Access Key")) == ["AKIA1", "AKIA2"]
    assert column(await typed("ps --access-key AKIA1"), "Name") == ["first"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", ["second", "first"]),
        ("--dead", ["ended"]),
        ("--all", ["ended", "second", "first"]),
        ("-s ALL --order name", ["ended", "first", "second"]),
        ("-s terminated,running --order +type,-name", ["second", "first", "ended"]),
        ("--all --order name --limit 1 --offset 1", ["first"]),
        ("""--filter 'name like "fir%"'""", ["first"]),
        ("""--all --filter 'result == "SUCCESS" | name contains "sec"'""", ["ended", "second"]),
        ("""--all --filter '!(status in ["TERMINATED"]) & created_at > "2020-01-01"'""", ["second", "first"]),
        ("""--filter 'tag == "t" & cluster_size < 2' --order name --limit 1""", ["first"]),
    ],
)
async def test_which_sessions(typed: Typed, options: str, names: list[str]) -> None:
    assert column(await typed(f"ps {options}"), "Name") == names


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--filter 'colour == 1'", "A session has no field 'colour'"),
        ("--filter 'name =='", "The filter cannot be read"),
        ("--filter 'name in 1'", "a list comes after 'in'"),
        ("--filter 'created_at > 1'", "cannot be compared"),
        ("--filter 'created_at > \"soon\"'", "'soon' is no time"),
        ("--order colour", "A session has no field 'colour'"),
        ("--limit -1", "--limit takes a whole number, 0 or more, not '-1'"),
        ("--detail --json", "cannot be combined"),
    ],
)
async def test_what_cannot_be_read(typed: Typed, options: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        await typed(f"ps {options}")


async def test_ten_are_shown_and_the_others_are_counted(
    typed: Typed, toy: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_sessions.commands.ps._COUNTED", 100)
    for number in range(38):
        await toy.create(SessionSpec(name=f"more-{number:02}", image="toyland"))
    table = await typed("ps")
    assert len(table.rows) == 10 and table.text().endswith("\n… and 30 more, `--all` shows them.")
    assert "… and 30 more" in table._repr_mimebundle_()["text/html"]
    assert len((await typed("ps --all")).rows) == 41 and len((await typed("ps --limit 0")).rows) == 40
    assert len(json.loads((await typed("ps --json")).text())) == 40
    assert (await typed("ps --name-only --limit 2")).text() == "more-37\nmore-36"
    for number in range(100):
        await toy.create(SessionSpec(name=f"many-{number:02}", image="toyland"))
    assert (await typed("ps")).text().endswith("… and more than 99 more, `--all` shows them.")


async def test_a_notebook_shows_statuses_in_colour_and_services_as_links(toy: SessionService) -> None:
    nasty = Service(name="<b>lab</b>", url="x/'><script>")
    use = {"mem": {"current": "1024", "capacity": "4096", "pct": "25.00", "unit_hint": "bytes"}}
    change(toy, "first", live_stat=use)
    change(toy, "first", services=[Service(name="jupyter", url="services/toy/1/jupyter/"), nasty])

    class Notebook(Face):
        in_notebook = True

    toy.base_url = "http://here/hub/"
    table = await perform(toy, parse("ps"), Notebook(print))
    html = table._repr_mimebundle_()["text/html"]
    assert "<a href='/hub/services/toy/1/jupyter/' target='_blank' rel='noopener'>jupyter</a>" in html
    assert "Memory <span title='1 KiB of 4 KiB'" in html and "width:25%" in html
    assert "var(--jp-success-color1" in html and "<script>" not in html and "<b>" not in html
    assert "Services" not in (await perform(toy, parse("ps"), print)).text()


async def test_terminals_get_colours_only_if_they_want_them(typed: Typed) -> None:
    table = await typed("ps")
    assert "\x1b[32mRunning\x1b[0m" in table.text(color=True) and "\x1b" not in table.text()
    bare = table.text(color=True).replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert bare == table.text() and isinstance(column(table, "Status")[0], Cell)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
async def test_no_terminal_cuts_a_name(typed: Typed, toy: SessionService, width: int) -> None:
    change(toy, "first", status_info="Waiting behind 'gamma-big', which needs 2 CPUs (1 free).")
    lines = (await typed("ps")).text(width).splitlines()
    assert all(len(line) <= width for line in lines) and "first" in "".join(lines)
    assert "Running" in "".join(lines) and ("Main Kernel ID" in lines[0]) is (width >= 100)
