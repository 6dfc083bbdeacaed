"""Pages for people: their YAML compiles and passes its own tests, their links lead somewhere, their commands exist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from engine.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
FILES = sorted(file for folder in ("specs", "docs", "deploy") for file in (ROOT / folder).rglob("*.yaml"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#)([^)#]+)")
COMMAND = re.compile(r"\bgatewright ([a-z][a-z-]*)(?: ([a-z]+))?")


@dataclass(frozen=True)
class Block:
    """A block of YAML that is whole documents."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """Every block that begins a document; others are parts of one, for reading."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            if fence[1] in ("yaml", "yml") and "apiVersion: gatewright/v1" in fence[2]:
                found.append(Block(page.name, text.count("\n", 0, fence.start()) + 2, fence[2]))
    return found


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_documents_on_pages_compile_and_pass_their_own_tests(block, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path))
    path = tmp_path / "page.yaml"
    path.write_text(block.text, encoding="utf-8")
    for command in ["lint", "test"] if "\ntests:" in block.text else ["lint"]:
        ran = CliRunner().invoke(main, [command, str(path)])
        assert ran.exit_code == 0, f"{command} of the document at {block}:\n{ran.output}"


def test_documents_of_the_readme_go_together(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path))
    path = tmp_path / "readme.yaml"
    path.write_text("---\n".join(block.text for block in blocks() if block.page == "README.md"), encoding="utf-8")
    ran = CliRunner().invoke(main, ["test", str(path)])
    assert ran.exit_code == 0, ran.output
    assert "0 failed" in ran.output


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_shipped_documents_are_read_alike_by_every_parser(file):
    """Editors and other tools go by the letter of YAML, where the parser that we use is lenient."""
    text = file.read_text(encoding="utf-8")
    assert list(yaml.load_all(text, yaml.SafeLoader)) == list(yaml.load_all(text, yaml.CSafeLoader))


def test_the_readme_shows_a_first_provider_in_three_lines():
    first = next(block for block in blocks() if block.page == "README.md")
    assert len(first.text.splitlines()) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_pages_exist(page):
    for match in COMMAND.finditer(page.read_text(encoding="utf-8")):
        assert main.get_command(None, match[1]), f"{page.name}: {match[0]}"
