"""Conversions, recorded traffic and clients that were found wrong once, each a file beside this checkout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.cases import files
from tests.reports.conversations import Room, run
from tests.support import missing

OVERTAKEN = {
    "unknown-url-openai-client": "POST /v1/embeddings is served by now; see tests/relay/test_router.py",
    "unknown-method-of-a-model": "batchEmbedContents is served by now; see tests/relay/test_metered_way.py",
}
CASES = [
    path for kind in ("conversion", "recorded", "clients") for path in files(kind, "json") if path.stem not in OVERTAKEN
]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in CASES]
    made = Room(tmp_path_factory.mktemp("conversations"), cases)
    yield made
    made.close()


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_people_report_does_not_happen_here(path: Path, room: Room) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    wrong = run(room, case)
    assert not wrong, f"{case['expect'].get('words', '')}\n" + "\n".join(wrong)


def test_there_are_cases() -> None:
    if not CASES:
        missing("the cases of reports are not beside this checkout (GATEWRIGHT_REPORTS names their place)")
