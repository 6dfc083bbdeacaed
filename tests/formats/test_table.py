"""The table: format x feature x pass, over all recordings and pairs, and a line for everything that was not asked.

    python -m pytest tests/formats/test_table.py -s      (make table)

It runs the checks of `checks.py`, the same that the tests run one by one, and knows no other truth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from tests.formats import checks, recorded
from tests.formats.recorded import FORMATS, Exchange
from tests.support import missing

ELSEWHERE = {
    "anthropic.count_tokens": "counting is estimated by the gateway: tests/relay",
    "bedrock.invoke": "another way to the same models: bedrock.converse is the one that is declared",
    "cohere.embed": "no conversation: embeddings come with their own issue",
    "cohere.rerank": "no conversation: ranking comes with its own issue",
    "gemini.countTokens": "counting is estimated by the gateway: tests/relay",
    "gemini.embeddings": "no conversation: embeddings come with their own issue",
    "models": "lists of models, no conversations: tests/relay",
    "openai.embeddings": "no conversation: embeddings come with their own issue",
}
"""Folders of recordings that are not in the table, with the reason."""
OWN = "own"
COLUMNS = (OWN, *(f"ask {name}" for name in FORMATS), *(f"tell {name}" for name in FORMATS))

Check = Callable[[], str | None]


def cases(exchange: Exchange) -> Iterator[tuple[str, str, Check]]:
    """Everything that is asked of a recording: column, direction (its own side of the call), check."""
    dialect = exchange.folder in recorded.DIALECTS
    if exchange.request is not None:
        survives = checks.conversation_survives if dialect else checks.request_survives
        yield OWN, "request", lambda: survives(exchange)
        for target in FORMATS:
            yield f"ask {target}", "request", lambda target=target: checks.request_reaches(exchange, target)
    if exchange.status != 200:
        yield OWN, "error", lambda: checks.error_means(exchange)
        return
    if exchange.id in checks.ERRORS:
        yield OWN, "error", lambda: checks.stream_error_means(exchange)
        return
    returns = checks.stream_survives if exchange.stream else checks.response_survives
    yield OWN, "answer", lambda: returns(exchange)
    for target in FORMATS:
        yield f"tell {target}", "answer", lambda target=target: checks.answer_reaches(exchange, target)


def features(exchange: Exchange) -> tuple[str, ...]:
    """The recording's features; text is what all answers have, a stream and an error are seen."""
    seen = ["text"] if exchange.status == 200 and exchange.id not in checks.ERRORS else ["error"]
    return tuple(dict.fromkeys([*seen, *(["stream"] if exchange.stream else []), *exchange.features]))


class Tally:
    """Passed and asked of each row and column; what was not asked, and what failed."""

    def __init__(self) -> None:
        self.passed: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.asked: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.skipped: dict[str, list[str]] = defaultdict(list)
        self.failed: list[str] = []

    def run(self, exchange: Exchange) -> None:
        """All checks of one recording."""
        for column, direction, check in cases(exchange):
            place = f"{exchange.folder}:{exchange.id} ({column}, {direction})"
            try:
                why = check()
            except Exception as ex:
                self.failed.append(f"{place}: {type(ex).__name__} {str(ex)[:200]}")
                self._count(exchange, column, passed=False)
                continue
            if why:
                self.skipped[why].append(place)
            else:
                self._count(exchange, column, passed=True)

    def _count(self, exchange: Exchange, column: str, *, passed: bool) -> None:
        for feature in features(exchange):
            self.asked[exchange.folder, feature][column] += 1
            self.passed[exchange.folder, feature][column] += passed

    def lines(self) -> Iterator[str]:
        """The table as text."""
        short = [
            column.replace("openai.", "").replace(".messages", "").replace(".generateContent", "") for column in COLUMNS
        ]
        yield f"{'recordings':24}{'feature':14}" + "".join(f"{name:>16}" for name in short)
        for (folder, feature), asked in sorted(self.asked.items()):
            passed = self.passed[folder, feature]
            cells = [f"{passed[column]}/{asked[column]}" if asked[column] else "-" for column in COLUMNS]
            yield f"{folder:24}{feature:14}" + "".join(f"{cell:>16}" for cell in cells)
        yield ""
        for why, places in sorted(self.skipped.items()):
            yield f"not asked, {len(places)} x: {why}"
            yield from (f"    {place}" for place in places[:3])
        for folder, why in sorted(ELSEWHERE.items()):
            yield f"not in the table: {folder}: {why}"
        yield from (f"FAILED {line}" for line in self.failed)


def test_table_of_formats_and_features() -> None:
    home = recorded.place()
    if home is None:
        missing("no recordings: set GATEWRIGHT_RECORDED to the folder that holds them")
    folders = {path.name for path in home.iterdir() if path.is_dir()}
    assert folders <= {*recorded.FOLDERS, *recorded.DIALECTS, *ELSEWHERE}, "a folder of recordings that nobody reads"
    tally = Tally()
    for exchange in (*recorded.exchanges(), *recorded.dialects()):
        tally.run(exchange)
    print("\n" + "\n".join(tally.lines()))
    assert not tally.failed, "\n".join(tally.failed)
    assert {folder for folder, _ in tally.asked} == {*recorded.FOLDERS, *recorded.DIALECTS}
