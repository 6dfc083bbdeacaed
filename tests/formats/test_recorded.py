"""Every recorded exchange of the four formats, sent through decode, hub and encode.

(a) back to its own format: no difference but those that `reasons.py` lists; (b) to each other format: the vendor's SDK
parses it strictly and finds the same text, calls, finish and usage; (c) streams in pieces of any size.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats import checks, reasons, recorded
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


# --- chunk boundaries ------------------------------------------------------------------------------


def _one_per_feature() -> list[Exchange]:
    """For each format and feature the shortest stream that shows it."""
    chosen: dict[tuple[str, str], Exchange] = {}
    for exchange in ALL:
        for feature in ("", *exchange.features) if exchange.stream and exchange.status == 200 else ():
            known = chosen.get((exchange.format, feature))
            if known is None or len(exchange.stream or "") < len(known.stream or ""):
                chosen[exchange.format, feature] = exchange
    return list({item.id: item for item in chosen.values()}.values())


def _sample(whole: bytes, most: int = 1200) -> bytes:
    """The first and last events of a stream; cutting each of them everywhere takes time by the square of its length."""
    if len(whole) <= 2 * most:
        return whole
    begin, end = whole.rfind(b"\n\n", 0, most) + 2, whole.find(b"\n\n", len(whole) - most) + 2
    return whole[: max(begin, 2)] + whole[end:] if begin > 1 else whole[end:]


@_named(_one_per_feature())
def test_stream_split_at_every_byte_gives_the_same_events(exchange: Exchange) -> None:
    sample = _sample(recorded.stream_bytes(exchange))
    whole = recorded.framed(exchange, [sample])
    for at in range(1, len(sample)):
        assert recorded.framed(exchange, [sample[:at], sample[at:]]) == whole, f"split at byte {at}"


@_named([item for item in ALL if item.stream and item.status == 200])
def test_stream_in_single_bytes_gives_the_same_events(exchange: Exchange) -> None:
    whole = recorded.stream_bytes(exchange)
    single = [whole[at : at + 1] for at in range(len(whole))]
    assert recorded.events(exchange, single) == recorded.events(exchange)


@_named(_one_per_feature())
def test_stream_cut_at_any_event_ends_with_an_error(exchange: Exchange) -> None:
    events = recorded.events(exchange)
    done = recorded.convey(exchange, "stream", events, exchange.format)
    complete = done.steps[-1][1]
    for kept in range(1, len(events)):
        cut = recorded.convey(exchange, "stream", events[:kept], exchange.format).result
        assert cut != complete or reasons.says_all(exchange, events[kept:])
        assert reasons.says_all(exchange, events[kept:]) or reasons.is_error(exchange.format, cut[-1]), (
            f"cut after event {kept}"
        )
