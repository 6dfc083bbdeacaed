"""Content codings: undone, stacked, bounded, and cut or broken data told."""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from typing import Any

import brotli
import pytest
import zstandard

from engine.errors import CallError
from engine.transport.coding import CodingError, Inflater, codings, decode_body

TEXT = b'{"messages": "' + b"some words, " * 20_000 + b'"}'


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


CODED: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("X-GZIP", gzip.compress(TEXT)),
    "two gzip members": ("gzip", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
    "zlib": ("deflate", zlib.compress(TEXT)),
    "raw deflate": ("deflate", raw_deflate(TEXT)),
    "br": ("br", brotli.compress(TEXT)),
    "zstd": ("zstd", zstandard.compress(TEXT)),
    "two zstd frames": ("zstd", zstandard.compress(TEXT[:1000]) + zstandard.compress(TEXT[1000:])),
    "stacked": ("gzip, br", brotli.compress(gzip.compress(TEXT))),
    "none": ("identity", TEXT),
}


def meaning_of(call: Any) -> str:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value.meaning


@pytest.mark.parametrize("name", CODED)
def test_a_coded_body_is_undone_from_bytes_and_from_a_reader(name: str) -> None:
    encoding, raw = CODED[name]
    assert decode_body(encoding, raw, len(TEXT)) == TEXT
    assert decode_body(encoding, io.BytesIO(raw), len(TEXT)) == TEXT


@pytest.mark.parametrize("name", CODED)
def test_a_body_over_the_limit_is_too_large(name: str) -> None:
    encoding, raw = CODED[name]
    assert meaning_of(lambda: decode_body(encoding, raw, len(TEXT) - 1)) == "too_large"


@pytest.mark.parametrize("name", [name for name in CODED if name != "none"])
def test_a_coded_body_that_is_cut_or_broken_is_a_bad_request(name: str) -> None:
    encoding, raw = CODED[name]
    assert meaning_of(lambda: decode_body(encoding, raw[: len(raw) // 2], len(TEXT))) == "bad_request"
    assert meaning_of(lambda: decode_body(encoding, b"\xffnot that" + raw, len(TEXT))) == "bad_request"
    assert meaning_of(lambda: decode_body(encoding, b"", len(TEXT))) == "bad_request"


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("name", CODED)
def test_pieces_of_any_size_give_the_same(name: str, size: int) -> None:
    encoding, raw = CODED[name]
    made = Inflater(codings(encoding))
    out = b"".join(b"".join(made.feed(raw[at : at + size])) for at in range(0, len(raw), size))
    made.finish()
    assert out == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    make: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}
    zeros = b"\0" * 50_000_000
    bomb = brotli.compress(zeros, quality=3) if encoding == "br" else make[encoding](zeros)
    assert len(bomb) < 200_000
    assert meaning_of(lambda: decode_body(encoding, bomb, 1_000_000)) == "too_large"
    sizes = []
    for piece in Inflater([encoding]).feed(bomb):
        sizes.append(len(piece))
        if sum(sizes) > 20_000_000:
            break
    assert max(sizes) <= 10_000_000


def test_an_unknown_coding_names_the_known_ones() -> None:
    with pytest.raises(CallError, match="gzip, deflate, br, zstd") as caught:
        decode_body("compress", b"x", 10)
    assert caught.value.status == 415


def test_a_tower_of_codings_is_refused() -> None:
    assert meaning_of(lambda: decode_body("gzip," * 5, b"x", 10)) == "unsupported_media"


def test_bytes_after_the_end_are_a_fault() -> None:
    for coding, raw in (("deflate", zlib.compress(b"x")), ("br", brotli.compress(b"x"))):
        made = Inflater([coding])
        with pytest.raises(CodingError):
            list(itertools.chain.from_iterable(map(made.feed, [raw + b"more", b"more"])))
