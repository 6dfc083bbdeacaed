"""Pages in Chinese: the headings of the English page, its commands, its tables, and links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PAIRS = [
    (ROOT / "README.md", ROOT / "README.zh.md"),
    *((ROOT / "docs" / page.name, page) for page in sorted((ROOT / "docs" / "zh").glob("*.md"))),
]
COVERED = {"routing.md", "prices.md", "console.md", "management-api.md", "operations.md", "bt-panel.md", "databases.md"}
HEADING = re.compile(r"^(#+) (.*)$")
SPAN = re.compile(r"`((?:gatewright|make|pytest|python -m|kubectl) [^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
HAN = re.compile(r"[\u4e00-\u9fff]")
END = "(end of the page)"


def shape(page: Path) -> Iterator[tuple[str, str]]:
    """What must be alike, in its order: headings by their depth, lines of code without their comments, rows of tables
    by their cells, and in each section the commands that its sentences name."""
    said, fenced = "", False
    for line in [*page.read_text(encoding="utf-8").splitlines(), END]:
        heading = HEADING.match(line)
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or re.match(r"^ {4,}\S", line):
            yield "code", re.sub(r"\s+# .*$", "", line).strip()
        elif heading or line == END:
            yield from (("command", command) for command in sorted(set(SPAN.findall(said))))
            said = ""
            if heading:
                yield "heading", heading[1]
        else:
            said += line.strip() + " "
            if line.startswith("|"):
                yield "row", str(line.count("|") - line.count("\\|"))


def test_the_subjects_of_an_operator_are_told_in_chinese() -> None:
    """Start, channels, prices, keys, deployment and faults."""
    assert {page.name for _, page in PAIRS[1:]} >= COVERED
    for english, _ in PAIRS:
        assert english.exists(), f"docs/zh has a page that docs has not: {english.name}"


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
def test_headings_and_commands_are_those_of_the_english_page(english: Path, chinese: Path) -> None:
    """A page that was changed in one language alone is told by the line where the two part."""
    theirs, ours = list(shape(english)), list(shape(chinese))
    assert len(theirs) > 8
    for place, (one, other) in enumerate(zip(theirs, ours, strict=False)):
        before = [text for kind, text in theirs[:place] if kind != "heading"][-1:]
        assert one == other, f"{chinese.name} parts from {english.name} after {before}"
    assert len(theirs) == len(ours), f"{chinese.name} ends earlier or later: {(theirs + ours)[-1]}"
    for text in re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```$", "", chinese.read_text(encoding="utf-8")), re.M):
        assert HAN.search(text) or text in ("Gatewright", "/api/v2"), f"{chinese.name}: a heading in English: {text}"


@pytest.mark.parametrize("page", [page for _, page in PAIRS], ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    """Also those to a heading, whose words are other ones in Chinese."""
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / target) if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w-]", "", head.lower().replace(" ", "-")) for head in heads], anchor
