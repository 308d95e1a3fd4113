"""The panel and the dialogs as they are drawn, in each theme: measured, and compared with the baselines.

`pytest tests/browser/gallery --renew-gallery` approves what is drawn now. Look at the pictures then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.gallery import scenes
from tests.browser.gallery.pictures import (
    MEASURE,
    PICTURES,
    differences,
    problems_of,
    read_baseline,
    save,
    write_baseline,
)
from tests.browser.gallery.scenes import machine
from tests.browser.gallery.stage import DIALOG, PANEL, THEMES, WIDTH, Stage

Shot = Callable[..., None]
MENU = ".lm-Menu"


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """What is wrong in any picture; all of it is told at the end."""
    found: list[str] = []
    yield found
    assert not found, "\n" + "\n".join(found)


@pytest.fixture
def shot(stage: Stage, problems: list[str], tmp_path: Path, request: pytest.FixtureRequest) -> Shot:
    """Measure what is below an element in each theme, and take its picture."""
    renew = request.config.getoption("renew_gallery")
    folder = PICTURES if renew else tmp_path / "pictures"
    folder.mkdir(exist_ok=True)

    def take(scene: str, selector: str = PANEL) -> None:
        for theme in THEMES:
            stage.theme(theme)
            measured = stage.page.evaluate(MEASURE, selector)
            found = problems_of(measured)
            if renew and theme == "light":
                write_baseline(scene, measured["boxes"])
            found += differences(measured["boxes"], read_baseline(scene))
            problems.extend(f"{scene}, {theme}: {problem}" for problem in found)
            png = stage.page.locator(selector).screenshot(animations="disabled")
            save(png, folder / f"{scene}-{theme}.png")

    return take


@pytest.mark.timeout(300)  # About a minute on a quiet machine.
def test_what_is_drawn(stage: Stage, shot: Shot) -> None:
    one_machine(stage, shot)
    stage.show(machine())
    stage.open()
    sessions_that_come_and_go(stage, shot)
    stage.show(machine())
    several_backends(stage, shot)


def one_machine(stage: Stage, shot: Shot) -> None:
    shot("empty")
    stage.show(machine(*scenes.FOUR[:1]))
    shot("one")
    stage.show(machine(*scenes.FOUR))
    shot("four")
    stage.widen(250)
    shot("narrow")
    stage.widen(480)
    shot("wide")
    stage.widen(WIDTH)

    stage.row("training").get_by_role("button", name="More actions").click()
    stage.page.get_by_role("menuitem", name="Restart").wait_for()
    shot("menu", MENU)
    stage.dismiss()
    stage.row("training").get_by_role("button", name="Terminate").click()
    shot("terminate", DIALOG)
    stage.dismiss()

    form = stage.form()
    shot("form", DIALOG)
    form.get_by_label("GPU").fill("1")
    form.get_by_label("CPU").fill("4")
    expect(form).to_contain_text(
        "Will wait behind 'gpu-two', which needs 1 GPU (0 free). Second in the queue."
    )
    shot("form-queue", DIALOG)
    form.get_by_label("Name").fill("a b")
    form.get_by_label("CPU").fill("32")
    form.get_by_label("Memory", exact=True).fill("")
    expect(form).to_contain_text("This machine has 16 CPU")
    shot("form-errors", DIALOG)
    stage.dismiss()

    stage.show(machine(*scenes.FORTY))
    shot("forty")

    stage.show(scenes.TAKE_OVER)
    stage.open()
    stage.page.get_by_role("button", name="Take over").wait_for()
    shot("take-over")


def sessions_that_come_and_go(stage: Stage, shot: Shot) -> None:
    stage.show(machine(*scenes.WAITING))
    shot("waiting")
    stage.show(machine(*scenes.STARTING))
    shot("starting")
    stage.show(machine(*scenes.ENDED))
    stage.unfold("Recently ended")
    shot("ended")


def several_backends(stage: Stage, shot: Shot) -> None:
    stage.add("cluster", "Cluster", scenes.CLUSTER)
    stage.add("survey", "Survey", scenes.SURVEY, signs_in=True)
    stage.restart()
    stage.show(machine(*scenes.FOUR[:2]))
    stage.show(scenes.CLUSTER, "cluster")
    stage.show(scenes.SURVEY, "survey")
    shot("several")

    form = stage.form()
    form.get_by_label("Backend").select_option("Cluster")
    form.get_by_label("Size").select_option("big")
    shot("form-cluster", DIALOG)
    form.get_by_label("Size").select_option("small")
    form.get_by_role("button", name="Save as kernel").click()
    stage.page.get_by_role("dialog", name="Save as kernel").wait_for()
    shot("form-kernel", DIALOG)
    stage.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(stage.page.locator("[data-kernel-name]")).to_be_visible()
    shot("kernels")
    stage.page.get_by_role("button", name="Add backend").click()
    shot("add-backend", DIALOG)
    stage.dismiss()
    stage.page.get_by_role("button", name="More about Survey").click()
    stage.page.get_by_role("menuitem", name="Sign in").click()
    shot("sign-in", DIALOG)
    stage.dismiss()

    stage.show(scenes.FAILED, "survey")
    expect(stage.page.locator("[data-group=survey]")).to_contain_text("does not answer")
    shot("error")
