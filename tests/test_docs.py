"""The pages for authors of documents: what they show is compiled, tested and in use, not just written down."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml

from engine.cli import main
from engine.compiler import compile_set, read_set, spectests
from engine.compiler.load import Source
from engine.errors import MEANINGS
from engine.hub.types import FinishReason, PartKind
from tests.support import ROOT

PAGES = ("add-a-provider.md", "declare-a-wire-format.md")
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def told(page: str, text: str) -> bool:
    return f"`{text}`" in (DOCS / page).read_text("utf-8")


WHOLE = [(page, block) for page in PAGES for block in blocks(page, "yaml") if block.startswith("apiVersion")]
PARTS = [(page, block) for page in PAGES for block in blocks(page, "yaml") if not block.startswith("apiVersion")]
LINES = [
    line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if "gatewright " in line[:11]
]


def test_pages_have_blocks_of_each_sort() -> None:
    assert len(WHOLE) > 5
    assert len(PARTS) > 8
    assert len(LINES) > 5


def compiled(texts: list[Source]) -> None:
    """Compile the texts on top of the shipped documents, and run their tests."""
    sources, shared, faults = read_set([ROOT / "specs"])
    result = compile_set([*sources, *texts], shared)
    faults += result.faults
    assert not faults, "\n".join(fault.as_text() for fault in faults)
    names = {text.name for text in texts}
    done = spectests.run(result, wanted=lambda definition: definition.chain[0].where(()).file in names)
    assert not [outcome for outcome in done if not outcome.ok], "\n".join(outcome.difference for outcome in done)


def test_whole_documents_compile_and_pass_their_tests() -> None:
    shown = "---\n".join(EXAMPLE.read_text("utf-8") for EXAMPLE in EXAMPLES)
    blocks_ = [block for _, block in WHOLE if yaml.safe_load(block)["metadata"]["name"] not in shown]
    compiled([Source(f"block {number}", text, 1) for number, text in enumerate(blocks_)])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_compile_and_pass_their_tests(example: Path) -> None:
    compiled([Source(example.name, example.read_text("utf-8"), 1)])


@pytest.mark.parametrize(("page", "block"), PARTS)
def test_parts_of_documents_are_taken_from_the_example(page: str, block: str) -> None:
    found = [textwrap.dedent(block).strip() in _dedented(path.read_text("utf-8"), block) for path in EXAMPLES]
    assert any(found), f"{page} shows what no example says:\n{block}"


def _dedented(text: str, block: str) -> str:
    """The example with its indentation reduced as the block's is."""
    indent = len(block) - len(block.lstrip(" "))
    return "\n".join(line[indent:] if line[:indent].isspace() or not indent else line for line in text.splitlines())


@pytest.mark.parametrize("line", LINES)
def test_commands_and_their_options_exist(line: str) -> None:
    _, name, *words = line.split()
    command = main.get_command(click.Context(main), name)
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (DOCS / page).read_text("utf-8")):
        name, _, anchor = target.partition("#")
        assert (DOCS / name).is_file(), target
        headings = re.findall(r"^#+ (.+)$", (DOCS / name).read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in [heading.lower().replace(" ", "-") for heading in headings], target


def test_page_of_formats_names_every_meaning_finish_and_part() -> None:
    page = PAGES[1]
    for word in (*MEANINGS, *get_args(FinishReason), *get_args(PartKind)):
        assert told(page, word), word
