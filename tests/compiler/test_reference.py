"""The reference pages: written from records, and noticed when they are out of date."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import filters
from engine.compiler import reference
from engine.compiler.directives import DIRECTIVES


def test_pages_that_were_written_agree_and_changed_ones_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path / "docs")
    assert reference.main(["--check"]) == 1
    assert reference.main(["--write"]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "docs" / "filters.md").write_text("old")
    capsys.readouterr()
    assert reference.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("docs/filters.md is out of date")


def test_called_wrongly_it_says_how() -> None:
    assert reference.main(["--wrote"]) == 2


def test_every_filter_test_and_directive_is_on_its_page() -> None:
    pages = reference.pages()
    for item in filters.FILTERS.values():
        assert f"## `{item.signature}`" in pages["filters.md"]
    for name in filters.TESTS:
        assert f"## `is {name}" in pages["filters.md"]
    for name in DIRECTIVES:
        assert f"## `{name}`" in pages["directives.md"]


def test_fields_show_type_words_and_variables() -> None:
    page = reference.documents_page()
    assert "| `spec.baseUrl` | text, required | Scheme, host and what all paths begin with. |" in page
    assert "| `spec.request.encode` | tree | Hub request to wire body. Variables: `request`, `ctx`. |" in page
