"""What a caller's text costs before anything is known of it: a look at its length; and nothing is kept of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
import requests

from engine import bounds
from engine.bounds import Kept
from engine.filters import operations
from engine.hub import fold, naming
from engine.hub.shape import work
from engine.ledger.counting.tokens import Counter
from engine.routing.channel import LiveChannel
from engine.routing.table import Table
from engine.transport import url
from engine.transport.faults import TransportError
from tests.relay import plain
from tests.support import PATIENCE, ROOT

PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
}
LONG = "x" * (bounds.MODEL_NAME.most + 1)


def test_the_page_is_the_table():
    assert bounds.PAGE.read_text(encoding="utf-8") == bounds.page()
    assert bounds.MAPPED.most == operations.STEPS
    assert f"{1 << operations.MORE} characters" in bounds.MAPPED.unit


@pytest.mark.parametrize("fmt", PATHS)
@pytest.mark.parametrize("name", [LONG, "é" * 1000, "m" * 200_000, "claude-model" * 50])
def test_a_long_name_in_a_body_is_refused_by_its_length(gateway, one, fmt, name):
    answer = gateway.post(PATHS[fmt], {"model": name, "messages": [], "input": []})
    assert answer.status_code == 400
    assert f"model: {len(name)} characters" in answer.text
    assert "255" in answer.text
    assert not one.got


@pytest.mark.parametrize("verb", [":generateContent", ":streamGenerateContent", ":countTokens"])
def test_a_long_name_in_a_path_is_refused_by_its_length(gateway, verb):
    answer = gateway.post(f"/v1beta/models/{LONG}{verb}", {"contents": []})
    assert answer.status_code == 400
    assert "256 characters" in answer.text


@pytest.mark.parametrize("path", ["/v1/models/", "/v1beta/models/"])
def test_a_long_name_is_looked_up_in_no_list(gateway, path):
    answer = requests.get(
        gateway.base + path + LONG, headers={"authorization": f"Bearer {gateway.key}"}, timeout=PATIENCE
    )
    assert answer.status_code == 400
    assert "256 characters" in answer.text


def test_a_long_name_to_be_counted_is_refused(gateway):
    answer = gateway.post("/v1/messages/count_tokens", {"model": LONG, "messages": []})
    assert answer.status_code == 400
    assert "256 characters" in answer.text


def test_the_longest_name_is_only_not_found(gateway):
    answer = gateway.post(PATHS["openai.chat"], {"model": LONG[:-1], "messages": []})
    assert answer.status_code == 404


def test_a_long_id_is_refused(gateway):
    body = {"model": "responses-model", "input": "x", "previous_response_id": "r" * 2000}
    answer = gateway.post("/v1/responses", body)
    assert answer.status_code == 400
    assert "previous_response_id: 2000 characters" in answer.text
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = requests.get(f"{gateway.base}/v1/responses/{'r' * 2000}", headers=headers, timeout=PATIENCE)
    assert answer.status_code == 400
    assert "the id in the path" in answer.text


def test_a_long_key_is_nobodys(gateway):
    headers = {"authorization": f"Bearer {gateway.key}{'x' * 5000}"}
    answer = requests.post(
        f"{gateway.base}/v1/chat/completions", json={"model": "m"}, headers=headers, timeout=PATIENCE
    )
    assert answer.status_code == 401


def channel(*models):
    return LiveChannel(1, "c", provider=None, keys=(), models=frozenset(models), groups=("default",))


def test_nothing_is_kept_of_a_name_that_nobody_serves():
    table = Table([channel("m-one")])
    for number in range(50):
        assert not table.candidates("default", f"no-such-{number}")
    assert not table._known
    assert table.candidates("default", "m-one")
    assert len(table._known) == 1


def test_names_are_compared_with_a_few_of_about_their_length():
    compared = [f"model-{number:04}" for number in range(5000)]
    table = Table([channel("gpt-4o-mini", *compared)])
    assert table.nearest(["default"], "gpt-4o-mni") == "gpt-4o-mini"
    assert table.nearest(["default"], "gpt-4o-mini" * 10) is None


def test_long_texts_are_kept_by_no_cache():
    address = f"http://example.org/{'a' * 5000}"
    before = url._parsed.cache_info().currsize
    assert url.parse_url(address).target == "/" + "a" * 5000
    assert url._parsed.cache_info().currsize == before
    with pytest.raises(TransportError, match="characters"):
        url.parse_url("http://example.org/" + "a" * 10_000)
    sizes = [cache.cache_info().currsize for cache in (work._matches, naming._known, fold._camel)]
    assert not work.matches("[a-z]{1,64}", "x" * 5000)
    assert naming.made_name("ü" * 5000, "[a-z]+", 64)
    assert naming.made_id("ü" * 5000, "[a-z]+", 64, None)
    assert fold.fold_keys({"a_b" * 1000: 1}, {"fold": "camel"})
    assert [cache.cache_info().currsize for cache in (work._matches, naming._known, fold._camel)] == sizes
    counter = Counter([], [])
    counter.exact("x" * 5000)
    assert not counter._rules


def test_a_cache_has_no_more_entries_and_bytes_than_it_says():
    kept: Kept[tuple[str, ...], int] = Kept(10)
    for number in range(25):
        assert kept.keep(("group", str(number)), number) == number
    assert len(kept) == 5
    assert kept.keep(("group", "x" * 600), 1) == 1
    assert len(kept) == 5


@pytest.fixture(scope="module")
def empty(running):
    """A key without quota."""
    env = {**os.environ, "GATEWRIGHT_DATA": str(running.data)}
    command = [sys.executable, "-m", "engine.cli", "key", "create", "empty", "--quota", "0", "--json"]
    made = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(made.stdout)["key"]


def test_nothing_that_costs_is_done_for_a_key_without_quota(gateway, one, empty):
    pictures = [{"type": "image", "source": {"type": "url", "url": f"{one.base}/{number}"}} for number in range(50)]
    body = {"model": "gpt-5-base", "messages": [{"role": "user", "content": pictures}]}
    headers = {"authorization": f"Bearer {empty}"}
    answer = requests.post(f"{gateway.base}/v1/messages/count_tokens", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 402
    assert not one.got
    body = {"model": "chat-modle", "messages": []}
    answer = requests.post(gateway.base + PATHS["openai.chat"], json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 404
    assert "did you mean" not in answer.text


def test_the_hint_costs_only_who_may_spend(gateway):
    answer = gateway.post(PATHS["openai.chat"], {"model": "chat-modle", "messages": []})
    assert answer.status_code == 404
    assert "did you mean" in answer.text


DIGITS = [
    (PATHS["openai.chat"], {"logit_bias": {"2": "b"}, "messages": [{"role": "user", "content": "x"}]}, "logit_bias.2"),
    (PATHS["openai.chat"], {"metadata": {"0": []}, "messages": [{"role": "user", "content": "x"}]}, "metadata.0"),
    (PATHS["openai.responses"], {"metadata": {"10": {"a": 1}}, "input": "x"}, "metadata.10"),
]


@pytest.mark.parametrize(("path", "body", "place"), DIGITS)
def test_a_name_of_digits_is_no_position(gateway, path, body, place):
    answer = gateway.post(path, {"model": "claude-model", **body})
    assert answer.status_code in (200, 400, 502)
    if answer.status_code == 400:
        assert place in answer.text


@pytest.mark.parametrize("place", ["unknown", "role", "stop"])
def test_a_long_name_is_not_told_in_full(gateway, one, place):
    one.script = lambda say: say.whole(plain.whole("anthropic.messages", "short"))
    long = "n" * 500_000
    body = {"model": "claude-model", "messages": [{"role": "user", "content": "x"}]}
    more = {
        "unknown": {long: 1},
        "role": {"messages": [{"role": long, "content": "x"}]},
        "stop": {"stop": {long: long}},
    }[place]
    answer = gateway.post(PATHS["openai.chat"], {**body, **more})
    assert answer.status_code == (200 if place == "unknown" else 400)
    assert len(answer.content) < 5_000
    assert len(answer.headers.get("x-gatewright-loss", "")) <= 2_000


def test_a_long_name_of_a_tool_is_spelt_anew_from_its_beginning():
    began = time.thread_time()
    names = {naming.made_name("é.-'" * 500_000 + end, "[a-zA-Z0-9_-]{1,64}", 64) for end in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) <= 64
    assert time.thread_time() - began < 0.1
