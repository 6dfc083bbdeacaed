"""What a page of the console makes a browser load (design/console.md, "Budgets and CSP")."""

from __future__ import annotations

import gzip
import json

import pytest

from admin import bundle
from tests.support import ROOT, missing

KB = 1024
BUILT = ROOT / "admin" / "built"


@pytest.mark.parametrize(
    ("name", "most"),
    [("console.css", 40 * KB), ("editor.css", 15 * KB), ("charts.css", 4 * KB), ("icons.svg", 13 * KB)],
)
def test_a_style_sheet_stays_light(name: str, most: int) -> None:
    assert len(built(name)) <= most


@pytest.mark.parametrize(
    # htmx, 17 KB, is in the console's; the editor is CodeMirror, the charts are uPlot
    ("name", "most"),
    [("console.js", 25 * KB), ("playground.js", 8 * KB), ("charts.js", 26 * KB), ("editor.js", 145 * KB)],
)
def test_a_script_stays_light_on_the_line(name: str, most: int) -> None:
    assert len(gzip.compress(built(name), 9, mtime=0)) <= most


def built(name: str) -> bytes:
    if bundle.main():
        missing("the console's assets can't be built: Node is not here")
    return (BUILT / json.loads((BUILT / "manifest.json").read_text())[name]).read_bytes()
