"""Counting tokens here: exact with a vocabulary, an estimate that says so without one, and never a network."""

from __future__ import annotations

import hashlib
import lzma
import socket
from pathlib import Path

import pytest

from engine.ledger import counting
from engine.ledger.counting import Counter, estimate
from engine.relay.admit import most_output
from engine.settings import Settings


@pytest.fixture
def vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up vocabulary: every byte, and a few words."""
    import base64

    pytest.importorskip("tiktoken")
    words = [bytes([n]) for n in range(256)] + [b" w", b" wo", b" wor", b" word", b"he", b"ll", b"hell", b"hello"]
    raw = b"".join(base64.b64encode(word) + b" %d\n" % rank for rank, word in enumerate(words))
    (tmp_path / "o200k_base.tiktoken.xz").write_bytes(lzma.compress(raw))
    monkeypatch.setitem(counting._SHA256, "o200k_base", hashlib.sha256(raw).hexdigest())
    return tmp_path


def test_a_vocabulary_is_read_from_a_file_and_counts_exactly(vocabulary, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    counter = Counter((vocabulary,))
    assert counter.exact
    assert counter.text("hello word word") == counting.Count(3, "counted")


def test_a_vocabulary_of_another_checksum_is_not_used(tmp_path):
    (tmp_path / "o200k_base.tiktoken").write_bytes(b"aGk= 0\n")
    assert not Counter((tmp_path,)).exact


def test_a_text_is_counted_in_slices(vocabulary):
    counter = Counter((vocabulary,))
    assert counter.text(" word" * 20_000).tokens == pytest.approx(20_000, rel=0.001)
    assert counter.text(" " * 1_000_000).tokens > 0, "one run of a million blanks overflows the splitter when whole"


def test_without_a_vocabulary_a_count_is_an_estimate_and_says_so(tmp_path):
    found = Counter((tmp_path,)).text("The quick brown fox jumps over the lazy dog.")
    assert found.how == "estimated"
    assert 8 <= found.tokens <= 14
    assert estimate("你好世界" * 10) == 40
    assert estimate("x" * 1_000_000) == 250_000
    assert estimate("") == 0


def test_pictures_in_a_request_are_no_text(tmp_path):
    counter = Counter((tmp_path,))
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 50_000
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, {"image": picture}]}]}
    assert counter.request(body).tokens < 1_100
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert counter.request(deep).tokens == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, 4096),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20, "max_tokens": 10}, 20),
        ({"max_output_tokens": 30}, 30),
        ({"generationConfig": {"maxOutputTokens": 40, "candidateCount": 2}}, 80),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": "many", "n": True}, 4096),
        ({"inferenceConfig": {"maxTokens": 7}}, 7),
    ],
)
def test_the_most_output_is_read_from_any_format(body, expected):
    assert most_output(body, 4096) == expected


def test_real_vocabularies_where_they_were_fetched():
    counter = Counter(Settings().vocabulary_directories)
    if not counter.exact:
        pytest.skip("no vocabularies here: make vocabularies")
    assert counter.text("hello world").tokens == 2
