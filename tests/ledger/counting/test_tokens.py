"""Counting tokens here: by a vocabulary, by weights without one, media by their size; what is no count says so."""

from __future__ import annotations

import base64
import hashlib
import lzma
import math
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import paths
from engine.errors import CallError
from engine.kinds.conversation.token_fallback import sent
from engine.ledger.counting import pictures, vocabularies
from engine.ledger.counting.tokens import Count, Counter
from engine.program import Asks
from engine.relay.ingress.asks import most_output
from tests.formats import recorded
from tests.support import missing

NOWHERE = (Path("/nowhere"),)
ASKS = Asks(
    most=(("max_tokens",), ("max_completion_tokens",), ("max_output_tokens",), ("generationConfig", "maxOutputTokens")),
    choices=(("n",), ("generationConfig", "candidateCount")),
)
PLAIN = [{"pieces": {"message": 3, "name": 3, "tool": 8, "request": 3}, "file": 4096}, {"vocabulary": "o200k_base"}]


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, Any]]:
    return list(yaml.safe_load((paths.SPECS / "policies" / "counting.yaml").read_text())["spec"]["counting"].values())


@pytest.fixture
def vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """A made-up vocabulary: every byte, and a few words."""
    words = [bytes([n]) for n in range(256)] + [b" w", b" wo", b" wor", b" word", b"he", b"ll", b"hell", b"hello"]
    raw = b"".join(base64.b64encode(word) + b" %d\n" % rank for rank, word in enumerate(words))
    (tmp_path / "o200k_base.tiktoken.xz").write_bytes(lzma.compress(raw))
    monkeypatch.setitem(vocabularies.SHA256, "o200k_base", hashlib.sha256(raw).hexdigest())
    return (tmp_path,)


def says(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def asks(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "parts": list(parts)}], **more}


def picture(data: bytes, **more: Any) -> dict[str, Any]:
    return {"type": "image", "source": {"mime": "image/x", "data": base64.b64encode(data).decode()}, **more}


def png(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + bytes(200)


def jpeg(width: int, height: int, noted: int = 0) -> bytes:
    camera = b"\xff\xe1" + struct.pack(">H", noted + 2) + bytes(noted) if noted else b""
    return b"\xff\xd8\xff\xd0" + camera + b"\xff\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + bytes(40)


# -- texts


def test_a_vocabulary_is_read_from_a_file_and_counts_without_a_network(vocabulary, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    counter = Counter(vocabulary, PLAIN)
    assert counter.exact("m")
    assert counter.answer("m", says("hello word word")) == Count(3, "counted")


def test_a_vocabulary_of_another_checksum_is_not_used(tmp_path):
    (tmp_path / "o200k_base.tiktoken.xz").write_bytes(lzma.compress(b"aGk= 0\n"))
    assert not Counter((tmp_path,), PLAIN).exact("m")


def test_a_text_is_counted_in_slices(vocabulary):
    counter = Counter(vocabulary, PLAIN)
    assert counter.answer("m", says(" word" * 20_000)).tokens == pytest.approx(20_000, rel=0.001)


def test_a_factor_makes_an_estimate(vocabulary):
    counter = Counter(vocabulary, [*PLAIN, {"match": "other-.*", "factor": 1.5}])
    assert counter.answer("other-1", says("hello word word")) == Count(5, "estimated")
    assert counter.answer("m", says("hello word word")) == Count(3, "counted")


@pytest.mark.parametrize(
    ("model", "text", "expected"),
    [
        ("llama-3", "hello world", 2 * 1.02 + 0.42),
        ("llama-3", "a1b22", 2 * 1.02 + 2 * 1.55),
        ("llama-3", "你好 a@b.c/?", 2 * 0.85 + 0.42 + 3 * 1.02 + 2.0 + 0.4 + 2 * 1.0),
        ("llama-3", "∑x\n\t😀", 2.68 + 1.02 + 2 * 0.5 + 2.12),
        ("gemini-2.5-pro", "hello 12 你", 1.15 + 2 * 0.2 + 2.8 + 0.68),
        ("claude-opus-4", "hello 12 你", 1.13 + 2 * 0.39 + 1.63 + 1.21),
    ],
)
def test_without_a_vocabulary_a_text_is_weighed_and_the_count_says_so(shipped, model, text, expected):
    line = {"l": 0.5, "g": 1.15, "c": 0.89}[model[0]]
    found = Counter(NOWHERE, shipped).answer(model, says("\n".join([text] * 1000)))
    assert found == Count(math.ceil(expected * 1000 + line * 999), "estimated")


def test_what_a_request_has_beside_its_words_is_counted(shipped):
    counter = Counter(NOWHERE, shipped)
    plain = counter.request("llama-3", asks(*says("hi"))).tokens
    assert plain == 3 + 3 + 3  # the request, the message, "user hi" by weight
    named = {"messages": [{"role": "user", "name": "x", "parts": says("hi")}]}
    assert counter.request("llama-3", named).tokens == plain + 3 + 2
    tools = [{"kind": "function", "name": "f"}, {"kind": "function", "name": "g"}]
    assert counter.request("llama-3", asks(*says("hi"), tools=tools)).tokens == plain + 2 * 8 + 3
    bare = counter.request("claude-sonnet-4-0", asks(*says("hi"))).tokens
    brought = counter.request("claude-sonnet-4-0", asks(*says("hi"), tools=tools)).tokens - bare
    assert brought == pytest.approx(346 + 2 * 8 + 4, abs=1)


def test_calls_and_results_of_tools_and_schemas_are_counted(shipped):
    counter = Counter(NOWHERE, shipped)
    call = {"type": "tool_call", "name": "look", "arguments": '{"where": "here and there"}'}
    result = {"type": "tool_result", "parts": says("one two three four")}
    schema = {"type": "object", "properties": {"where": {"type": "string", "minLength": 1}}}
    base = counter.request("m", asks()).tokens
    assert counter.request("m", asks(call)).tokens > base + 8
    assert counter.request("m", asks(result)).tokens >= base + 5
    assert counter.request("m", asks(output={"schema": schema})).tokens > base + 6


def test_a_call_in_an_answer_costs_seven_beside_its_words(shipped):
    counter = Counter(NOWHERE, shipped)
    call = {"type": "tool_call", "name": "look", "arguments": "{}"}
    assert counter.answer("m", [call, call]).tokens - counter.answer("m", [dict(call, type="x")] * 2).tokens == 14


def test_what_nobody_can_read_is_a_file_where_it_is_base64_and_else_text(shipped):
    counter = Counter(NOWHERE, shipped)
    data = "data:image/png;base64," + "iVBORw0KGgo" * 50_000
    assert 4096 < counter.request("m", asks({"type": "unknown", "value": {"image": data}})).tokens < 4110
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert counter.request("m", asks({"type": "unknown", "value": deep})).tokens > 100_000


# -- media


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(640, 480), (640, 480)),
        (b"GIF89a" + struct.pack("<HH", 33, 44) + bytes(9), (33, 44)),
        (jpeg(1920, 1080), (1920, 1080)),
        (jpeg(20, 10, noted=60_000), (20, 10)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + struct.pack("<HBHB", 799, 0, 599, 1), (800, 66136)),
        (b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 99 | 49 << 14), (100, 50)),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 0x4000 | 70, 60), (70, 60)),
        (png(0, 9), None),
        (png(640, 480)[:20], None),
        (jpeg(640, 480)[:8], None),
        (b"\xff\xd8" + bytes(100), None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_the_size_of_a_picture_is_read_from_its_head(data, expected):
    assert pictures.size(data) == expected


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("gpt-4o", (1024, 1024), 85 + 4 * 170),
        ("gpt-4o", (2048, 4096), 85 + 6 * 170),
        ("gpt-4o", (4096, 8192), 85 + 6 * 170),
        ("gpt-4o", (1, 100_000), 85),
        ("gpt-4o-mini", (1024, 1024), 2833 + 4 * 5667),
        ("gpt-4.1", (1024, 1024), 85 + 4 * 170),
        ("gpt-5.1", (1024, 1024), 70 + 4 * 140),
        ("o1", (1024, 1024), 75 + 4 * 150),
        ("o3", (1024, 1024), 75 + 4 * 150),
        ("computer-use-preview", (1024, 1024), 65 + 4 * 129),
        ("gpt-4.1-mini", (1024, 1024), round(1024 * 1.62)),
        ("gpt-4.1-nano", (1024, 1024), round(1024 * 2.46)),
        ("gpt-5-mini", (1800, 2400), round(1452 * 1.62)),
        ("gpt-5-nano", (32, 33), round(2 * 2.46)),
        ("o4-mini", (1024, 1024), round(1024 * 1.72)),
        ("glm-4v", (1024, 1024), 1047),
        ("claude-opus-4", (1024, 1024), 520),
        ("gemini-2.5-flash", (1024, 1024), 520),
    ],
)
def test_pictures_count_by_their_size_and_model(shipped, model, size, expected):
    counter = Counter(NOWHERE, shipped)
    assert counter.request(model, asks(picture(png(*size)))).image == expected


def test_a_picture_that_is_looked_at_coarsely_or_not_at_all(shipped):
    counter = Counter(NOWHERE, shipped, media={True})
    seen = picture(png(1024, 1024))
    assert counter.request("gpt-4o", asks({**seen, "detail": "low"})).image == 85
    assert counter.request("gpt-5-mini", asks({**seen, "detail": "low"})).image == round(1024 * 1.62)
    assert counter.request("gpt-4o", asks(picture(b"who knows"))).image == 3 * 85
    assert counter.request("gpt-4o", asks(seen), stream=False).image == 3 * 85
    assert counter.request("gpt-4o", asks({"type": "image", "source": {"data": "no base64!"}})).image == 3 * 85


def test_a_picture_at_an_address_is_fetched_only_where_its_size_matters(shipped):
    asked: list[str] = []

    def fetch(urls: list[str]) -> dict[str, tuple[str, bytes] | CallError]:
        asked.extend(urls)
        gone = CallError("bad_request", "gone")
        return {url: gone if url.endswith("gone") else ("image/png", png(1024, 1024)) for url in urls}

    def at(url: str) -> dict[str, Any]:
        return asks({"type": "image", "source": {"url": url}})

    counter = Counter(NOWHERE, shipped, fetch=fetch, media={True})
    assert counter.request("gpt-4o", at("https://x/1")).image == 85 + 4 * 170
    assert counter.request("gpt-4o", at("https://x/gone")).image == 3 * 85
    assert asked == ["https://x/1", "https://x/gone"]
    counter.request("gpt-4o", at("https://x/2"), stream=False)
    counter.request("gemini-2.5-flash", at("https://x/3"))
    assert len(asked) == 2


def test_no_more_files_are_fetched_than_for_a_conversion_and_each_once(shipped):
    asked: list[str] = []

    def fetch(urls: list[str]) -> dict[str, tuple[str, bytes] | CallError]:
        asked.extend(urls)
        return {url: ("image/png", png(1024, 1024)) for url in urls}

    counter = Counter(NOWHERE, shipped, fetch=fetch, media={True})
    several = [{"type": "image", "source": {"url": f"https://x/{number % 100}"}} for number in range(2000)]
    found = counter.request("gpt-4o", asks(*several))
    assert len(asked) == 32
    assert len(set(asked)) == 32
    assert found.how == "estimated"
    asked.clear()
    assert counter.request("gpt-4o", asks(*several[:1] * 5)).image == 5 * (85 + 4 * 170)
    assert asked == ["https://x/0"]


def test_of_a_long_text_parts_stand_for_all_and_it_says_so(vocabulary):
    counter = Counter(vocabulary, PLAIN)
    text = "some words and more of them, " * 60_000
    short = counter.request("m", asks(*says(text)))
    assert short.how == "counted"
    long = counter.request("m", asks(*says(text * 6)))
    assert long.how == "estimated"
    assert long.tokens == pytest.approx(6 * short.tokens, rel=0.02)
    assert counter.answer("m", says(text * 6)).how == "estimated"


def test_a_request_is_counted_and_not_estimated_only_where_all_of_it_was_measured(vocabulary):
    rules = [*PLAIN, {"image": {"base": 85, "each": 170, "tile": 512, "fit": 2048, "short": 768}, "audio": 256}]
    counter = Counter(vocabulary, rules)
    assert counter.request("m", asks(*says("hi"))).how == "counted"
    assert counter.request("m", asks(picture(png(9, 9)))).how == "counted"
    assert counter.request("m", asks(picture(b"?"))).how == "estimated"
    assert counter.request("m", asks({"type": "audio", "source": {"data": "AAAA"}})).how == "estimated"


@pytest.mark.parametrize(("kind", "expected"), [("audio", 256), ("video", 8192), ("file", 4096)])
def test_other_media_have_flat_values(shipped, kind, expected):
    counter = Counter(NOWHERE, shipped)
    base = counter.request("m", asks()).tokens
    assert counter.request("m", asks({"type": kind, "source": {"id": "f"}})).tokens == base + expected
    assert counter.request("m", asks({"type": "file", "source": {"text": "hi"}})).tokens == base + 1


def test_a_picture_in_an_answer_costs_what_its_model_says(shipped):
    counter = Counter(NOWHERE, shipped)
    assert counter.answer("gemini-2.5-flash-image", [picture(b"")]) == Count(1400, "estimated", image=1400)
    assert counter.answer("imagen-4.0", [picture(b""), picture(b"")]) == Count(516, "estimated", image=516)


# -- reservations


def test_where_requests_are_not_counted_the_input_is_nothing(vocabulary):
    counter = Counter(vocabulary, PLAIN, count_input=False)
    assert not counter.exact("m")
    call: Any = None  # it is not even looked at
    assert sent(counter, call, "m") == Count(0, "estimated")
    assert counter.answer("m", says("hello")) == Count(1, "counted")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, 4096),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20, "max_tokens": 10}, 20),
        ({"max_output_tokens": 30}, 30),
        ({"generationConfig": {"maxOutputTokens": 40, "candidateCount": 2}}, 80),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": 1000000.0}, 1_000_000),
        ({"max_tokens": "1000000"}, 1_000_000),
        ({"max_tokens": " 1e6 "}, 1_000_000),
        ({"max_tokens": 999.5}, 1000),
        ({"max_tokens": 1e29}, 1 << 50),
        ({"max_tokens": 10**30}, 1 << 50),
        ({"max_tokens": "1e999999999"}, 1 << 50),
        ({"max_tokens": None, "n": None}, 4096),
        ({"max_tokens": -1}, 4096),
        ({"max_tokens": "-1e999999999", "n": -5}, 4096),
        ({"n": 1000, "max_tokens": 1000, "metadata": {"n": 2}}, 1_000_000),
        ({"n": "3", "max_tokens": 10}, 30),
        ({"max_tokens": 10, "metadata": {"max_tokens": 99}}, 10),
        ({"tools": [{"n": 7}], "max_tokens": 10}, 10),
    ],
)
def test_the_most_output_is_read_where_the_format_says_it(body, expected):
    assert most_output(ASKS, body, 4096) == expected


@pytest.mark.parametrize("value", [True, "many", "", "nan", float("nan"), float("inf"), [5], {"a": 1}, "1_0"])
@pytest.mark.parametrize("name", ["max_tokens", "n"])
def test_what_is_no_number_is_refused_in_words(name, value):
    with pytest.raises(CallError, match=f"{name} must be a whole number"):
        most_output(ASKS, {name: value}, 4096)


def test_each_shipped_format_with_clients_says_what_its_requests_ask_for():
    for name, one in recorded.program().formats.items():
        if one.kind == "conversation" and any(endpoint.operation == "generate" for endpoint in one.endpoints):
            assert one.asks.most, name


# -- the real vocabularies, which installing puts in place


@pytest.fixture(scope="module")
def real(shipped) -> Counter:
    if vocabularies.missing((paths.VOCABULARIES,)):
        missing("no vocabularies here: make vocabularies")
    return Counter((paths.VOCABULARIES,), shipped)


def test_the_real_vocabularies_are_those_that_the_library_expects(real):
    from tiktoken_ext import openai_public

    kept = []
    for make in (openai_public.o200k_base, openai_public.cl100k_base):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(openai_public, "load_tiktoken_bpe", lambda _, expected_hash: kept.append(expected_hash) or {})
            make()
    assert kept == list(vocabularies.SHA256.values())
    for name, checksum in vocabularies.SHA256.items():
        packed = (paths.VOCABULARIES / f"{name}.tiktoken.xz").read_bytes()
        assert hashlib.sha256(lzma.decompress(packed)).hexdigest() == checksum
    assert "MIT License" in (paths.VOCABULARIES / "NOTICE").read_text()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", Count(10, "counted")),
        ("gpt-5.1", Count(10, "counted")),
        ("o3-mini", Count(10, "counted")),
        ("gpt-4", Count(18, "counted")),
        ("gpt-3.5-turbo", Count(18, "counted")),
        ("claude-sonnet-4-5", Count(11, "estimated")),
        ("claude-opus-4-8", Count(14, "estimated")),
    ],
)
def test_a_model_is_counted_with_its_own_vocabulary(real, model, expected):
    assert real.answer(model, says("Привет, как дела сегодня? 你好世界")) == expected


def test_marks_of_the_vocabulary_in_a_text_are_text(real):
    assert real.answer("gpt-4o", says("<|endoftext|>")).tokens > 1


def test_a_million_blanks_are_counted(real):
    assert 1_000 < real.answer("gpt-4o", says(" " * 1_000_000)).tokens < 100_000
