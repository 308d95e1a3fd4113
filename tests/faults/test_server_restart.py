"""Notebooks whose Jupyter server is started anew, or killed, find their session again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import playwright.sync_api as playwright
import pytest
from playwright.sync_api import expect

from jupyter_sessions.service import SessionService
from tests.browser.conftest import TOKEN, Lab
from tests.browser.steps import ask_for, card, idle, open_panel, row, run_cell
from tests.kernels.conftest import SMALL
from tests.kernels.page import of_notebooks, page, post
from tests.manager.world import configure, run
from tests.processes import QUICKLY, server

DIRTY = re.compile(r"\bjp-mod-dirty\b")


def test_a_notebook_finds_its_session_again(page: playwright.Page, lab: Lab) -> None:
    open_panel(page)
    ask_for(page, "0.5", name="kept").get_by_role("button", name="Create").click()
    expect(card(page, "Session kept")).to_be_visible()
    row(page, "kept").get_by_role("button", name="Open notebook").click()
    idle(page, "Session kept")
    run_cell(page, "x = 41", output=False)
    notebook = page.locator(".lm-TabBar-tab", has_text="Untitled.ipynb").first
    expect(notebook).to_have_class(DIRTY)
    page.keyboard.press("Control+s")
    expect(notebook).not_to_have_class(DIRTY)
    file = lab.folder / "Untitled.ipynb"
    saved = file.read_bytes()
    page.goto("about:blank")
    lab.stop()
    lab.start()

    # In a workspace of its own: JupyterLab would open it twice, as it was and by its address, the second time late.
    page.goto(f"{lab.url}lab/workspaces/again/tree/{file.name}?token={TOKEN}")
    idle(page, "Session kept")
    open_panel(page)
    expect(notebook).not_to_have_class(DIRTY)
    assert file.read_bytes() == saved
    assert run_cell(page, "print(x + 1)").inner_text().strip() == "42"
    idle(page, "Session kept")  # What is saved while its cell still runs changes again.
    page.keyboard.press("Control+s")
    expect(notebook).not_to_have_class(DIRTY)
    notebook.locator(".lm-TabBar-tabCloseIcon").click()

    card(page, "Python 3 (ipykernel)").click()
    idle(page, "Python 3 (ipykernel)")
    row(page, "kept").get_by_role("button", name="More actions").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Use for this notebook").click()
    idle(page, "Session kept")
    assert run_cell(page, "print(x + 2)", count=3).inner_text().strip() == "43"

    page.get_by_role("button", name="New Launcher").click()
    expect(card(page, "Session kept")).to_be_visible()
    row(page, "kept").get_by_role("button", name="Terminate").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(card(page, "Session kept")).to_have_count(0)


@pytest.mark.asyncio
@pytest.mark.usefixtures("jupyter")
@pytest.mark.timeout(180)
async def test_one_notebook_has_one_session(service: SessionService, state: Path, tmp_path: Path) -> None:
    """Asked for twice at once, while even the manager is starting; and found again by another server."""
    configure(state, owner_grace=20)
    with server(state, tmp_path, QUICKLY) as made:
        models = await asyncio.gather(
            *(
                asyncio.to_thread(post, made, name, "owned")
                for name in ("one.ipynb", "one.ipynb", "two.ipynb")
            )
        )
        rows = await of_notebooks(service)
        assert sorted(row.name[:3] for row in rows) == ["one", "two"]
        async with page(made, models[1]["kernel"]["id"]) as opened:
            assert (await opened.reply(await opened.execute("x = 42")))["status"] == "ok"
        await run(service, "demo", resources=SMALL)
        model = await asyncio.to_thread(post, made, "three.ipynb", "attached")
        async with page(made, model["kernel"]["id"]) as opened:
            assert (await opened.reply(await opened.execute("x = 43")))["status"] == "ok"
        made.process.kill()
        made.process.wait()
    with server(state, tmp_path, QUICKLY) as made:
        for name, kind, x in (("three.ipynb", "attached", 43), ("one.ipynb", "owned", 42)):
            model = await asyncio.to_thread(post, made, name, kind)
            async with page(made, model["kernel"]["id"]) as opened:
                uid = await opened.execute("print(x)")
                await opened.reply(uid)
                assert opened.shown(uid) == f"{x}\n"
            assert {one.id for one in await of_notebooks(service)} == {one.id for one in rows}
        made.ask("DELETE", f"api/kernels/{model['kernel']['id']}")
        model = await asyncio.to_thread(post, made, "one.ipynb", "owned")
        async with page(made, model["kernel"]["id"]) as opened:
            assert (await opened.reply(await opened.execute("x")))["ename"] == "NameError"
