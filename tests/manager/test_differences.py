"""The page of what differs between vendors' documents, their servers, and this manager."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_sessions.manager.api.versions import DESTROYED, ENDED, REUSED, TOO_MUCH, Code

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "differences.md"
CODES = {
    "Create that finds a live session": REUSED,
    "DELETE of a session": DESTROYED,
    "Create that asks for more than the machine has": TOO_MUCH,
    "GET of an ended session": ENDED,
}


def rows() -> list[list[str]]:
    """The cells of all rows of the page's tables, without their heads."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "What"]


def test_each_row_is_whole_and_no_two_are_about_the_same() -> None:
    assert [row for row in rows() if len(row) != 5 or not all(row)] == []
    about = [row[0] for row in rows()]
    assert [what for what in about if about.count(what) > 1] == []


@pytest.mark.parametrize("what", CODES)
def test_the_codes_by_version_are_those_that_are_answered(what: str) -> None:
    code: Code = CODES[what]
    documented, today, here = next(row[1:4] for row in rows() if row[0] == what)
    assert here == f"{code.legacy} up to v5, {code.today} from v6"
    assert documented.startswith(f"{code.legacy}"), "what is answered up to v5 is what is documented"
    assert today.startswith(f"{code.today}"), "and from v6 on what managers answer today"


def test_the_readme_links_to_the_page() -> None:
    links = re.findall(r"\]\(([\w./-]+\.md)\)", (ROOT / "README.md").read_text())
    assert PAGE.relative_to(ROOT).as_posix() in links
