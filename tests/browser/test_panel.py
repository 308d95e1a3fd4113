"""The panel, as a person uses it: make a session, use its own JupyterLab, end it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import ask_for, new_notebook, open_panel, row, run_cell


def test_a_session_from_the_form_to_its_end(page: Page) -> None:
    open_panel(page)
    ask_for(page, "1", name="from-form").get_by_role("button", name="Create").click()

    session = row(page, "from-form")
    expect(session).to_have_attribute("data-status", "RUNNING")
    expect(session).to_contain_text("1 CPU · 512 MiB")

    with page.context.expect_page() as opened:
        session.get_by_role("link", name="jupyter").click()
    inner = opened.value
    inner.get_by_role("tab", name="Launcher").wait_for(timeout=60_000)
    assert "/jupyter-sessions/services/local/" in inner.url
    new_notebook(inner)
    shown = run_cell(inner, "import os; print(os.environ['BACKENDAI_SESSION_NAME'], 6 * 7)")
    expect(shown).to_have_text("from-form 42")
    inner.close()

    session.get_by_role("button", name="Terminate").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(page.locator("[data-session-name=from-form][data-live=true]")).to_have_count(0)


def test_a_service_that_does_not_fit_is_asked_about(page: Page) -> None:
    open_panel(page)
    form = ask_for(page, "1", name="small")
    form.get_by_label("Memory", exact=True).fill("128")
    form.get_by_role("button", name="Create").click()
    session = row(page, "small")
    expect(session).to_have_attribute("data-status", "RUNNING")

    link = session.get_by_role("link", name="jupyter")
    link.click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("'jupyter' needs about 110 MiB, and session 'small' has")
    expect(question).to_contain_text("create a session with 256 MiB")
    expect(question.get_by_role("button", name="Start anyway")).to_be_visible()
    question.get_by_role("button", name="Cancel").click()
    assert len(page.context.pages) == 1

    page.goto(str(link.evaluate("link => link.href")))  # As by a bookmark.
    expect(page.get_by_role("heading")).to_contain_text("'jupyter' needs about 110 MiB")
    button = page.get_by_role("button", name="Start anyway")
    with page.expect_response(lambda answer: "forced=true" in answer.url) as answered:
        button.click()
    assert answered.value.status == 303
    expect(page).to_have_url(re.compile("/jupyter-sessions/services/local/.*/jupyter/"))


@pytest.fixture
def choosy(state: Path, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside this machine, which has a folder to mount, a backend of a third party that offers much."""
    monkeypatch.setenv("PYTHONPATH", str(toys))
    cluster = {"type": "choosy", "title": "Cluster"}
    settings = {"backends": {"choosy": cluster}, "folders": {"photos": str(tmp_path)}}
    file = tmp_path / "config" / "jupyter_sessions_config.json"
    file.write_text(json.dumps({"JupyterSessions": settings}))


@pytest.mark.usefixtures("choosy")
def test_the_form_offers_what_there_is_and_says_why_something_is_not(page: Page) -> None:
    open_panel(page)
    expect(page.locator("[data-group=local]")).to_contain_text(re.compile(r"of \d+ CPU"))
    page.get_by_role("button", name="New session").first.click()
    form = page.get_by_role("dialog")
    folders = form.get_by_role("group", name="Folders")
    expect(form.get_by_label("GPU")).to_be_disabled()
    expect(form).to_contain_text("This machine has no GPU")
    expect(folders.get_by_label("photos")).not_to_be_checked()
    form.get_by_label("Name").fill("x")
    expect(form).to_contain_text("4 to 64")

    form.get_by_label("Backend").select_option("Cluster")
    loss = form.get_by_role("note")
    expect(loss).to_contain_text("No folder is chosen")
    expect(folders.get_by_label(".config always mounted")).to_be_disabled()
    expect(folders.get_by_label("catalogues read-only")).to_be_enabled()
    form.get_by_label("Name").fill("chosen")
    form.get_by_label("Type").select_option("desktop")
    form.get_by_label("Size").select_option("big")
    form.get_by_label("Project").select_option("astro")
    form.get_by_label("Resource group").select_option("gpu-nodes")
    folders.get_by_label("data").check()
    expect(loss).to_have_count(0)
    with page.expect_request(
        lambda request: request.method == "POST" and "jupyter-sessions" in request.url
    ) as asked:
        form.get_by_role("button", name="Create").click()
    assert asked.value.post_data_json == {
        "backend": "choosy",
        "image": "lab/desk:1",
        "type": "desktop",
        "name": "chosen",
        "group": "astro",
        "resource_group": "gpu-nodes",
        "mounts": ["data"],
        "resources": {"cpu": "8", "mem": "65536m", "cuda.device": "2"},
        "resource_opts": {"shmem": "1g"},
        "reuse_if_exists": False,
    }

    row(page, "chosen").get_by_role("button", name="Terminate").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    offer = page.get_by_role("dialog").filter(has_text="Cluster does not end what it prepares.")
    offer.get_by_role("button", name="Terminate by force").click()
    expect(page.locator("[data-session-name=chosen][data-live=true]")).to_have_count(0)
