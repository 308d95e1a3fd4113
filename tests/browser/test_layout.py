"""What of the panel is seen, reached by keys and heard, in short; `gallery` measures all that is drawn."""

from __future__ import annotations

from playwright.sync_api import JSHandle, Page, expect

from tests.browser.gallery.pictures import MEASURE, differences, problems_of, read_baseline
from tests.browser.gallery.scenes import FOUR, machine
from tests.browser.gallery.stage import PANEL, Stage


def test_four_sessions_are_seen_whole_reached_by_keys_and_heard_of(stage: Stage) -> None:
    said = stage.page.evaluate_handle(LISTEN, PANEL)
    stage.show(machine(*FOUR))
    measured = stage.page.evaluate(MEASURE, PANEL)
    assert measured["seen"] == 4
    assert problems_of(measured) == []
    assert differences(measured["boxes"], read_baseline("four")) == []

    reach_buttons_by_keys(stage)
    hear_changes(stage, said)


def focused(page: Page) -> str:
    """The label or text of what has the focus."""
    label: str = page.evaluate("() => document.activeElement.ariaLabel ?? document.activeElement.textContent")
    return label


def reach_buttons_by_keys(stage: Stage) -> None:
    """One tab stop for the list; arrow keys lead to rows and what is in them, Delete works there."""
    page = stage.page
    page.get_by_role("button", name="This machine").focus()
    steps = (
        ("Tab", "training, Running"),
        ("ArrowRight", "More actions"),
        ("ArrowRight ArrowRight", "Open notebook"),
        ("ArrowLeft", "Terminate"),
        ("ArrowDown", "Terminate"),
        ("ArrowLeft ArrowLeft", "explore, Running"),
        ("End", "gpu-two, Waiting"),
        ("ArrowRight ArrowRight ArrowRight ArrowRight", "Cancel"),
        ("Tab", "Add backend…"),
    )
    for keys, place in steps:
        for key in keys.split():
            page.keyboard.press(key)
        assert focused(page) == place, keys
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "gpu-two, Waiting"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Copy as magic")).to_be_visible()
    page.keyboard.press("Escape")
    assert focused(page) == "More actions"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog")).to_contain_text("gpu-two")
    stage.dismiss()


LISTEN = """panel => {
    const region = document.querySelector(`${panel} [aria-live=polite][role=status]`);
    const said = [];
    const note = () => region.textContent && said.push(region.textContent);
    new MutationObserver(note).observe(region, { childList: true });
    return said;
}"""


def hear_changes(stage: Stage, said: JSHandle) -> None:
    """A polite region says what changes, all that comes within a second together."""
    region = stage.page.locator(f"{PANEL} [aria-live=polite][role=status]")
    stage.page.wait_for_function("said => said.length === 1", arg=said)
    ran = FOUR[-1] | {"status": "RUNNING", "status_info": "", "status_changed": "2026-03-02T13:00:00Z"}
    stage.show(machine(*FOUR[:-1], ran))
    expect(region).to_have_text("gpu-two is running.")
    again = {"status": "RESTARTING", "status_changed": "2026-03-02T14:00:00Z"}
    stage.show(machine(*(row | again for row in [*FOUR[:-1], ran])))
    expect(region).to_have_text("4 sessions have changed. Starting: 4.")
    assert said.json_value() == [
        "4 sessions have changed. Running: 3. Waiting: 1.",
        "gpu-two is running.",
        "4 sessions have changed. Starting: 4.",
    ]
