"""Every recorded exchange of the four formats, sent through decode, hub and encode.

(a) back to its own format: no difference but those that `reasons.py` lists; (b) to each other format: the vendor's SDK
parses it strictly and finds the same text, calls, finish and usage. Streams in pieces: `test_chunks.py`; cut short:
`test_cuts.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats import checks, recorded
from tests.formats.recorded import FORMATS, Exchange
from tests.support import missing

ALL = recorded.exchanges()
MISSING = "no recordings: set GATEWRIGHT_RECORDED to the folder that holds them"
_PAIRS = [(exchange, target) for exchange in ALL if exchange.status == 200 for target in FORMATS]


def _named(exchanges: list[Exchange]) -> Any:
    return pytest.mark.parametrize("exchange", exchanges, ids=[f"{item.folder}:{item.id}" for item in exchanges])


def test_recordings_are_present() -> None:
    if not ALL:
        missing(MISSING)
    assert {exchange.format for exchange in ALL} == set(FORMATS)


@_named([item for item in ALL if item.request is not None])
def test_request_survives_its_own_format(exchange: Exchange) -> None:
    checks.request_survives(exchange)


@_named([item for item in ALL if item.status == 200 and item.stream is None])
def test_response_survives_its_own_format(exchange: Exchange) -> None:
    checks.response_survives(exchange)


@_named([item for item in ALL if item.status == 200 and item.stream is not None])
def test_stream_survives_its_own_format(exchange: Exchange) -> None:
    checks.stream_survives(exchange)


@pytest.mark.parametrize(
    ("exchange", "target"), _PAIRS, ids=[f"{item.folder}:{item.id}->{name}" for item, name in _PAIRS]
)
def test_answer_reaches_every_format(exchange: Exchange, target: str) -> None:
    if why := checks.answer_reaches(exchange, target):
        pytest.skip(why)


@_named([item for item in ALL if item.status != 200])
def test_error_keeps_its_meaning(exchange: Exchange) -> None:
    checks.error_means(exchange)
