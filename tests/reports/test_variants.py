"""Variants of what people reported: each kind with other clients, providers, models, whole and streamed.

The cases are made in ``tests.reports.variants`` and have the form of those beside the checkout. Every third one runs
with the suite, all of them at night.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.formats.streams import EVERYTHING
from tests.reports.conversations import Room, run
from tests.reports.variants import answers, requests, shapes

CASES = [*answers.cases(), *requests.cases(), *shapes.cases()]
_EVERY = 3
CHOSEN = CASES if EVERYTHING else CASES[::_EVERY]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    made = Room(tmp_path_factory.mktemp("variants"), CHOSEN)
    yield made
    made.close()


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case["name"])
def test_the_kind_is_mended_and_not_the_case(case: dict[str, Any], room: Room) -> None:
    wrong = run(room, case)
    assert not wrong, "\n".join(wrong)


def test_each_case_has_a_name_of_its_own() -> None:
    twice = [name for name, count in Counter(case["name"] for case in CASES).items() if count > 1]
    assert not twice
