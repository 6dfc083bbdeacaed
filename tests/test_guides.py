"""The guides for authors of documents: what they show of the example is in it, and the example passes its tests.

Whole documents, links and commands of all pages are tested in `test_docs.py`.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import get_args

import click
import pytest

from engine.cli import main
from engine.compiler import compile_set, read_set, spectests
from engine.compiler.documents.load import Source
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


PARTS = [(page, block) for page in PAGES for block in blocks(page, "yaml") if not block.startswith("apiVersion")]
LINES = [
    line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if "gatewright " in line[:11]
]


def test_pages_have_blocks_of_each_sort() -> None:
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
    if isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_page_of_formats_names_every_meaning_finish_and_part() -> None:
    page = PAGES[1]
    for word in (*MEANINGS, *get_args(FinishReason), *get_args(PartKind)):
        assert told(page, word), word
