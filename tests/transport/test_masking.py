"""Secrets and addresses are struck out in every spelling that programs write, and nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import orjson
import pytest

from engine.transport.masking import Mask

SECRET = 'sk-proj-Ab/cd+ef=="12345678901234567890'
SPELLINGS = {
    "as it is": SECRET,
    "after its scheme": f"Authorization: Bearer {SECRET}",
    "in capitals": SECRET.upper(),
    "in an address": f"https://host/v1?key={quote(SECRET, safe='')}&alt=sse",
    "in a form": f"key={quote_plus(SECRET)}",
    "quoted twice": quote(quote(SECRET, safe=""), safe=""),
    "in json": json.dumps({"a": SECRET}),
    "in json with slashes escaped": json.dumps({"a": SECRET}).replace("/", "\\/"),
    "in html": html.escape(SECRET),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in base64 for addresses": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "as a password": "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode(),
    "as a user": "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode(),
    "in hexadecimal": SECRET.encode().hex(),
    "cut off": f"{SECRET[:20]}...",
}


def holds(text: str) -> bool:
    """Whether enough of the secret stands in a text to be of use."""
    plain = (SECRET[:17], SECRET[20:])
    coded = [base64.b64encode(f"{before}{SECRET}".encode()).decode()[6:30] for before in ("", "a", "aa", "aaa", "me:")]
    low = text.lower()
    return any(form.lower() in low for form in (*plain, *coded, SECRET.encode().hex()[:40], quote(SECRET, safe="")))


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_secret_is_struck_out_however_it_is_spelled(how: str) -> None:
    mask = Mask([SECRET])
    text = f"no such key: {SPELLINGS[how]}; look again"
    told = mask.text(text)
    assert told.startswith("no such key: ")
    assert told.endswith("look again")
    assert "***" in told
    assert not holds(told)


def test_json_stays_json_and_is_read_before_it_is_searched() -> None:
    mask = Mask([SECRET])
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    raw = f'{{"error": {{"message": "bad {escaped}", "{escaped}": [1, null, "{escaped}"]}}}}'.encode()
    assert orjson.loads(mask.raw(raw)) == {"error": {"message": "bad ***", "***": [1, None, "***"]}}


def test_what_holds_no_secret_keeps_every_byte_and_object() -> None:
    mask = Mask([SECRET, "key"], ["127.0.0.1:4590", "127.0.0.1"])
    raw = b'{ "error" : {"message":"monkeys at 127.0.0.11, h\\u00e9 \xf0\x9f\x98\x80", "code": 1e2} }'
    assert mask.raw(raw) is raw
    value = {"a": ["keyboard", 1, None, {"b": "x"}]}
    assert mask.value(value) is value


def test_short_secrets_are_words() -> None:
    mask = Mask(["ollama"])
    assert (
        mask.text("the key ollama is not valid; ask Ollama, not ollamas")
        == "the key *** is not valid; ask ***, not ollamas"
    )
    assert Mask(["x", ""]).text("x is no secret") == "x is no secret"


def test_parts_of_a_key_that_is_put_together_are_secrets() -> None:
    mask = Mask(["AKIA-ACCESS-123456|the-secret-part-1234567|eu-west-1"])
    assert mask.text("signature of AKIA-ACCESS-123456 in eu-west-1 by the-secret-part-1234567") == (
        "signature of *** in eu-west-1 by ***"
    )


def test_addresses_with_and_without_ports() -> None:
    mask = Mask([], ["10.1.2.3:8000", "10.1.2.3"])
    assert mask.text("upstream http://10.1.2.3:8000/v1 (10.1.2.3) refused") == "upstream http://***/v1 (***) refused"


def test_each_of_very_many_keys_is_struck_out() -> None:
    keys = [f"sk-{number:05}-{number * 7919:020}" for number in range(3000)]
    mask = Mask(keys)
    for key in (keys[0], keys[19], keys[20], keys[2999]):
        assert mask.text(f'{{"key": "{key}"}}') == '{"key": "***"}'


def test_a_large_body_costs_little() -> None:
    mask = Mask([SECRET], ["10.1.2.3"])
    body = b"sk-1 x 10.1.2 " * 75_000
    begin = time.process_time()
    assert mask.raw(body) is body
    assert time.process_time() - begin < 0.5
