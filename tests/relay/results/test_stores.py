"""Stores of results: signatures by published vectors and by botocore, files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from engine import paths
from engine.relay.results.ranges import whole_or_part
from engine.relay.results.stores import Directory, Remote
from engine.transport.auth import signature
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.leg import Pool
from engine.transport.spool import Spool
from engine.transport.url import parse_url
from tests.upstreams import buckets
from tests.upstreams.buckets import Bucket

DATA = b"Welcome to Amazon S3."
NAME = "2026-11/ab/0-abcdef"


@cache
def shipped() -> dict[str, Any]:
    """The store `s3` as it is shipped."""
    document = yaml.safe_load((paths.SPECS / "policies" / "results.yaml").read_text())
    store: dict[str, Any] = document["spec"]["results"]["stores"]["s3"]
    return store


# docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples: Signature Calculations".
VECTORS: dict[str, tuple[str, str, dict[str, str], bytes, str]] = {
    "get object": (
        "GET", "https://examplebucket.s3.amazonaws.com/test.txt", {"range": "bytes=0-9"}, b"",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": (
        "PUT", "https://examplebucket.s3.amazonaws.com/test%24file.text",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}, DATA,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "get bucket lifecycle": (
        "GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", {}, b"",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_the_published_signatures_are_ours(name: str) -> None:
    method, url, more, body, expected = VECTORS[name]
    recipe = shipped()["auth"]["sign"]
    words = {"id": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "region": "us-east-1"}
    headers = list(more.items())
    moment = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
    recipe = {**recipe, "signed": [*recipe["signed"], *more]}
    signature.sign(recipe, words, headers, parse_url(url), method, body, moment)
    assert dict(headers)["Authorization"].endswith(f"Signature={expected}")


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    made = Bucket()
    yield made
    made.close()


@pytest.fixture
def pool(bucket: Bucket) -> Iterator[Pool]:
    made = Pool(Guard([f"127.0.0.1:{bucket.port}"]))
    yield made
    made.close()


def remote(bucket: Bucket, pool: Pool, secret: str = f"{buckets.ID}|{buckets.SECRET}", **more: str) -> Remote:
    return Remote(pool, {**shipped(), "url": f"{bucket.base}/films/", "region": buckets.REGION, **more}, secret)


def spooled(directory: Path, data: bytes = DATA) -> Spool:
    spool = Spool(directory)
    spool.write(data)
    return spool


def read(store: Directory | Remote, asked: Mapping[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
    reply = store.get(NAME, "video/mp4", asked or {})
    assert reply is not None
    body = b"".join(reply.stream) if reply.stream is not None else reply.body
    return reply.status, body, dict(reply.headers)


@pytest.mark.parametrize("which", ["directory", "remote"])
def test_what_is_put_can_be_had_in_parts_until_it_is_removed(
    which: str, bucket: Bucket, pool: Pool, tmp_path: Path
) -> None:
    store: Directory | Remote = Directory(tmp_path / "films") if which == "directory" else remote(bucket, pool)
    assert store.get(NAME, "video/mp4", {}) is None
    store.put(NAME, spooled(tmp_path), "video/mp4")
    store.put(NAME, spooled(tmp_path), "video/mp4")  # as after a crash between store and row
    status, body, headers = read(store)
    assert (status, body, headers["content-type"], headers["content-length"]) == (200, DATA, "video/mp4", "21")
    assert read(store, {"range": "bytes=0-6"})[:2] == (206, b"Welcome")
    assert read(store, {"range": "bytes=99-"})[0] == 416
    assert read(store, {"if-none-match": headers["etag"]})[0] == 304
    store.remove(NAME)
    store.remove(NAME)
    assert store.get(NAME, "video/mp4", {}) is None
    assert bucket.faults == []


def test_who_signs_wrongly_is_refused_and_no_secret_is_told(bucket: Bucket, pool: Pool, tmp_path: Path) -> None:
    wrong = f"{buckets.ID}|{buckets.SECRET[:-1]}x"
    for store in (remote(bucket, pool, wrong), remote(bucket, pool, region="us-west-2"), remote(bucket, pool, "AK|x")):
        for act in (
            lambda store=store: store.put(NAME, spooled(tmp_path), "video/mp4"),
            lambda store=store: store.get(NAME, "video/mp4", {}),
            lambda store=store: store.remove(NAME),
        ):
            with pytest.raises(TransportError, match=r"status 403 \(\w+\)") as refused:
                act()
            assert buckets.ID not in str(refused.value)
            assert buckets.SECRET[:8] not in str(refused.value)
    assert len(bucket.faults) == 9
    assert bucket.objects == {}
    assert requests.put(f"{bucket.base}/films/{NAME}", data=DATA, timeout=10).status_code == 403


@pytest.mark.parametrize("secret", [None, "", "only-one-part"])
def test_a_credential_that_is_none_is_told_before_anything_is_sent(bucket: Bucket, pool: Pool, secret: Any) -> None:
    with pytest.raises(LookupError, match="credential"):
        remote(bucket, pool, secret)
    assert bucket.asked == []


def test_a_private_address_is_refused_unless_it_was_opened(bucket: Bucket) -> None:
    closed = Pool(Guard([]))
    with pytest.raises(TransportError) as refused:
        remote(bucket, closed).get(NAME, "video/mp4", {})
    assert refused.value.kind == "refused_address"


def test_a_file_that_was_left_in_the_middle_is_gone_with_the_next(tmp_path: Path) -> None:
    store, root = Directory(tmp_path / "films"), tmp_path / "films"
    (root / NAME).parent.mkdir(parents=True)
    (root / f"{NAME}.part-1-aa").write_bytes(b"half")

    class Broken(Spool):
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise OSError("a spooled body has ended early")

    with pytest.raises(OSError, match="ended early"):
        store.put(NAME, Broken(tmp_path), "video/mp4")
    assert [path for path in root.rglob("*") if path.is_file()] == []
    store.put(NAME, spooled(tmp_path), "video/mp4")
    assert read(store)[1] == DATA


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ({}, 200, 0, 10),
        ({"range": "bytes=2-4"}, 206, 2, 5),
        ({"range": "bytes=-3"}, 206, 7, 10),
        ({"range": "bytes=-99"}, 206, 0, 10),
        ({"range": "bytes=9-"}, 206, 9, 10),
        ({"range": "bytes=10-"}, 416, 0, 0),
        ({"range": "bytes=5-4"}, 200, 0, 10),
        ({"range": "bytes=-0"}, 416, 0, 0),
        ({"range": "bytes=-"}, 200, 0, 10),
        ({"range": "bytes=0-1,4-5"}, 200, 0, 10),
        ({"range": "chapters=1"}, 200, 0, 10),
        ({"range": "bytes=2-4", "if-range": '"t"'}, 206, 2, 5),
        ({"range": "bytes=2-4", "if-range": '"older"'}, 200, 0, 10),
        ({"if-none-match": '"older", "t"'}, 304, 0, 0),
    ],
)
def test_which_part_is_wanted(asked: dict[str, str], status: int, start: int, end: int) -> None:
    found, headers, first, last = whole_or_part(asked, 10, '"t"', 0.0)
    assert (found, first, last) == (status, start, end)
    assert ("content-range" in dict(headers)) == (status in (206, 416))
