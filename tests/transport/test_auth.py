"""Where a credential goes, and that no fault shows it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth import jwt as google_jwt

from engine.transport.auth import apply, tokens, unfit
from engine.transport.auth.signature import sign
from engine.transport.faults import TransportError
from engine.transport.url import parse_url
from tests.transport.auth_vectors import VECTORS

URL = "https://h.test/v1"


@pytest.mark.parametrize(
    ("auth", "headers", "url"),
    [
        ({"scheme": "bearer"}, [("Authorization", "Bearer s+1")], URL),
        ({"scheme": "bearer", "name": "X-Auth", "prefix": "Token"}, [("X-Auth", "Token s+1")], URL),
        ({"scheme": "header", "name": "x-api-key"}, [("x-api-key", "s+1")], URL),
        ({"scheme": "header", "name": "x-key", "prefix": "Key "}, [("x-key", "Key s+1")], URL),
        ({"scheme": "query"}, [], f"{URL}?key=s%2B1"),
        ({"scheme": "query", "name": "api-version"}, [], f"{URL}?api-version=s%2B1"),
        ({"scheme": "none"}, [], URL),
        (None, [], URL),
    ],
)
def test_a_scheme_puts_the_secret_in_its_place(auth: Any, headers: Any, url: str) -> None:
    made: list[tuple[str, str]] = []
    assert apply(auth, "s+1\n", made, URL)[0] == url
    assert made == headers


def test_a_second_query_parameter_is_joined() -> None:
    assert apply({"scheme": "query"}, "a&b=c", [], f"{URL}?x=1")[0] == f"{URL}?x=1&key=a%26b%3Dc"


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ({"scheme": "bearer"}, "sec\r\nret: 1"),
        ({"scheme": "bearer"}, "sec\0ret"),
        ({"scheme": "bearer"}, "secr\u00e9t"),
        ({"scheme": "bearer"}, ""),
        ({"scheme": "bearer"}, None),
        ({"scheme": "header"}, "secret"),
        ({"scheme": "magic"}, "secret"),
    ],
)
def test_a_fault_names_the_cause_and_never_the_secret(auth: Any, secret: Any) -> None:
    headers: list[tuple[str, str]] = []
    with pytest.raises(TransportError) as caught:
        apply(auth, secret, headers, URL)
    assert caught.value.kind == "invalid"
    assert "sec" not in str(caught.value).replace("second", "")
    assert headers == []


PARTS = {
    "scheme": "bearer",
    "key": {"parts": ["token", "app"], "least": 1},
    "value": "{token}",
    "headers": {"appid": "{app}"},
}


def test_a_credential_of_several_parts_is_put_where_each_belongs() -> None:
    headers: list[tuple[str, str]] = []
    apply(PARTS, "t1|a1", headers, URL)
    assert headers == [("appid", "a1"), ("Authorization", "Bearer t1")]
    headers.clear()
    apply(PARTS, "t1", headers, URL)
    assert headers == [("Authorization", "Bearer t1")]


@pytest.mark.parametrize("secret", ["a1|b2", "a1|b2|", "|b2|c3", "a1"])
def test_a_credential_of_another_form_is_told_and_not_shown(secret: str) -> None:
    auth = {"scheme": "header", "name": "x", "key": {"parts": ["id", "name", "secret"]}}
    why = unfit(auth, secret)
    assert why == "the channel's credential must have the form id|name|secret"


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_a_signature_is_the_one_that_its_vendor_publishes(vector: dict[str, Any]) -> None:
    headers = list(vector["headers"])
    url = parse_url(vector["url"])
    sign(vector["recipe"], vector["words"], headers, url, vector["method"], vector["body"], vector["now"])
    assert dict(headers)["Authorization"].endswith(f"Signature={vector['signature']}")
    headers = list(vector["headers"])
    sign(vector["recipe"], vector["words"], headers, url, vector["method"], vector["body"] + b"x", vector["now"])
    assert not dict(headers)["Authorization"].endswith(vector["signature"]), "the body is signed"


def test_a_signed_request_has_time_hash_and_no_secret() -> None:
    recipe = {**VECTORS["volc"]["recipe"], "hashHeader": "x-content-sha256"}
    auth = {"scheme": "signature", "key": {"parts": ["id", "secret"]}, "sign": recipe}
    headers: list[tuple[str, str]] = []
    assert apply(auth, "i1|s1", headers, "https://h.test/?b=2&a=1", "POST", b"{}")[0] == "https://h.test/?b=2&a=1"
    sent = dict(headers)
    assert sent["x-content-sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert "Credential=i1/" in sent["Authorization"]
    assert "s1" not in sent["Authorization"].partition("Signature=")[0]


def test_a_token_says_its_claims_and_is_signed() -> None:
    claims = {
        "api_key": "{id}",
        "exp": {"in": 60, "unit": "ms"},
        "timestamp": {"in": 0, "unit": "ms"},
        "nbf": {"in": -5},
    }
    auth = {
        "scheme": "jwt",
        "prefix": "",
        "key": {"parts": ["id", "secret"], "separator": "."},
        "token": {"secret": "{secret}", "header": {"sign_type": "SIGN"}, "claims": claims},
    }
    headers: list[tuple[str, str]] = []
    apply(auth, "i1.s.1", headers, URL)
    token = dict(headers)["Authorization"]
    head, body, mac = token.split(".")
    assert json.loads(_raw(head)) == {"alg": "HS256", "sign_type": "SIGN"}
    told = json.loads(_raw(body))
    assert (told["api_key"], told["exp"] - told["timestamp"]) == ("i1", 60_000)
    assert abs(told["timestamp"] / 1000 - time.time()) < 60
    assert abs(told["nbf"] + 5 - time.time()) < 60
    assert _raw(mac) == hmac.digest(b"s.1", f"{head}.{body}".encode(), hashlib.sha256)


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


BOTO = [
    ("POST", "https://bedrock-runtime.eu-central-1.amazonaws.com/model/a.b-v1%3A0/invoke", b"{}"),
    ("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Ax%2Fy/converse", b'{"a": "\xc3\xa9"}'),
    ("GET", "https://bedrock.us-east-1.amazonaws.com/foundation-models?byProvider=a%20b&z=&a=1", b""),
    ("POST", "https://h.test:8443/a%20b/~c/-_.", b"x" * 1000),
]


@pytest.mark.parametrize(("method", "url", "body"), BOTO)
@pytest.mark.parametrize("session", [None, "session+/="])
def test_a_signature_is_the_one_that_botocore_makes(method: str, url: str, body: bytes, session: str | None) -> None:
    key = {"parts": ["id", "secret", "region", "session"], "least": 3}
    auth = {
        "scheme": "signature",
        "key": key,
        "headers": {"x-amz-security-token": "{session}"},
        "sign": {
            "algorithm": "AWS4-HMAC-SHA256",
            "time": {"header": "x-amz-date"},
            "path": "encoded",
            "signed": ["content-type", "host", "x-amz-date", "x-amz-security-token"],
            "keys": ["AWS4{secret}", "{day}", "{region}", "bedrock", "aws4_request"],
            "scope": "{day}/{region}/bedrock/aws4_request",
        },
    }
    headers = [("content-type", "application/json"), ("accept", "*/*")]
    secret = "AKID|se/cr+et|eu-west-1" + (f"|{session}" if session else "")
    apply(auth, secret, headers, url, method, body)
    sent = dict(headers)
    request = AWSRequest(method, url, {"content-type": "application/json"}, body)
    request.context["timestamp"] = request.headers["X-Amz-Date"] = sent["x-amz-date"]
    if session:
        request.headers["X-Amz-Security-Token"] = session
    signer = SigV4Auth(Credentials("AKID", "se/cr+et", session), "bedrock", "eu-west-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert sent["Authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_a_token_by_rsa_is_one_that_google_auth_takes() -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    token = {
        "algorithm": "RS256",
        "secret": "{pem}",
        "header": {"kid": "{kid}"},
        "claims": {"aud": "a", "iat": {"in": 0}, "exp": {"in": 60}},
    }
    made = tokens.made(token, {"pem": pem, "kid": "k1"}, time.time())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert google_jwt.decode(made, certs=public, audience="a")["aud"] == "a"
    assert google_jwt.decode_header(made) == {"alg": "RS256", "kid": "k1"}
    with pytest.raises(TransportError) as caught:
        tokens.made(token, {"pem": "no-pem-secret", "kid": ""}, time.time())
    assert "no-pem-secret" not in str(caught.value)
