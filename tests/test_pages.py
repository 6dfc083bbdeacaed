"""Pages for people: the README's YAML compiles and passes its tests, links lead somewhere, named commands exist.

The guides' own blocks are the matter of ``test_docs.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"\bgatewright ([a-z]+)(?: ([a-z]+))?")


BLOCKS = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def test_documents_of_the_readme_compile_and_pass_their_own_tests(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path))
    path = tmp_path / "readme.yaml"
    path.write_text("---\n".join(BLOCKS), encoding="utf-8")
    ran = CliRunner().invoke(main, ["test", str(path)])
    assert ran.exit_code == 0, ran.output
    assert "0 failed" in ran.output


def test_the_readme_shows_a_first_provider_in_three_lines():
    assert len(BLOCKS[0].splitlines()) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_pages_exist(page):
    for match in COMMAND.finditer(page.read_text(encoding="utf-8")):
        assert main.get_command(None, match[1]), f"{page.name}: {match[0]}"
