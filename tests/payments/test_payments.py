"""Payments through a running gateway: services that are strict, notices that come twice, late, forged, in parallel."""

from __future__ import annotations

import base64
import hmac
import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.payments.conftest import CREEM, KEY, PRODUCTS, UNIT, WEBHOOK, Shop, signed
from tests.relay.scripted import Say
from tests.support import PATIENCE, ROOT, until


def test_what_one_can_pay_with(shop: Shop) -> None:
    page = shop.get("/api/user/topup/info", shop.ann)
    assert [page[f"enable_{way}_topup"] for way in ("online", "stripe", "creem", "waffo")] == [True, True, True, False]
    assert [way["type"] for way in page["pay_methods"]] == ["alipay", "wxpay", "stripe"]
    assert page["min_topup"] == 2
    assert json.loads(page["creem_products"]) == PRODUCTS


def test_the_price_is_amount_by_price_by_group_by_discount(shop: Shop) -> None:
    def price(amount: int) -> str:
        return str(shop.post("/api/user/amount", {"amount": amount}, shop.ann)["data"])

    assert price(10) == "73.00"
    shop.set(TopupGroupRatio='{"default": 1.1}', **{"payment_setting.amount_discount": '{"100": 0.85}'})
    try:
        assert price(10) == "80.30"
        assert price(100) == "682.55"
        assert float(shop.epay(100)["money"]) == 682.55
    finally:
        shop.set(TopupGroupRatio="{}", **{"payment_setting.amount_discount": "{}"})


@pytest.mark.parametrize("how", ["get", "post"])
def test_a_signed_form_and_a_notice_that_comes_again_and_again(shop: Shop, how: str) -> None:
    before = shop.balance()
    form = shop.epay(10)
    assert form["sign"] == signed(form)
    assert form["notify_url"] == "https://gateway.example/api/user/epay/notify"
    assert form["out_trade_no"].startswith("USR2NO")
    assert shop.order(form["out_trade_no"])["status"] == "pending"
    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda _: shop.tell(form["out_trade_no"], "73.00", how), range(24)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "success")}
    assert shop.balance() == before + 10 * UNIT
    row = shop.order(form["out_trade_no"])
    assert (row["status"], row["payment_provider"], row["payment_method"]) == ("success", "epay", "alipay")
    assert row["complete_time"] >= row["create_time"]


FORGED: list[dict[str, str]] = [
    {"sign": "0" * 32},
    {"sign": ""},
    {"pid": "1002"},
    {"out_trade_no": "USR2NOnobody1"},
    {"out_trade_no": ""},
    {"trade_status": "TRADE_CLOSED"},
    {"money": "72.99"},
    {"money": "-73.00"},
    {"money": "NaN"},
    {"money": ""},
]


@pytest.mark.parametrize("change", FORGED, ids=str)
def test_a_notice_that_is_not_right_credits_nothing(shop: Shop, change: dict[str, str]) -> None:
    before = shop.balance()
    form = shop.epay(10)
    fields = {"out_trade_no": form["out_trade_no"], "money": "73.00"} | change
    number, money = fields.pop("out_trade_no"), fields.pop("money")
    answer = shop.tell(number, money, **fields)
    assert answer.status_code == 200
    assert answer.text == ("success" if "trade_status" in change else "fail")
    assert shop.balance() == before
    assert shop.order(form["out_trade_no"])["status"] == "pending"


def test_a_service_can_not_tell_of_another_ones_order(shop: Shop) -> None:
    before = shop.balance()
    started = shop.post("/api/user/creem/pay", {"product_id": "prod_1", "payment_method": "creem"}, shop.ann)
    assert shop.tell(started["data"]["order_id"], "4.50").text == "fail"
    assert shop.balance() == before


@pytest.mark.parametrize("amount", [0, 1, -1, 10**12, "10", 1.5, True, None])
def test_an_amount_that_can_not_be_paid_is_told(shop: Shop, amount: Any) -> None:
    for path in ("/api/user/amount", "/api/user/pay"):
        answer = shop.post(path, {"amount": amount, "payment_method": "alipay"}, shop.ann)
        assert answer["message"] != "success", answer
        assert answer.get("data") or answer["message"]


def test_ways_and_places_that_are_not_offered_are_told(shop: Shop) -> None:
    answer = shop.post("/api/user/pay", {"amount": 10, "payment_method": "gold"}, shop.ann)
    assert answer == {
        "message": "error",
        "data": "there is no such way to pay; there are: alipay, wxpay",
        "field": "payment_method",
    }
    answer = shop.post("/api/user/stripe/pay", {"amount": 10, "success_url": "https://evil.example/x"}, shop.ann)
    assert answer["field"] == "success_url"
    answer = shop.post("/api/user/creem/pay", {"product_id": "prod_2"}, shop.ann)
    assert answer["field"] == "product_id"
    for path in ("/api/user/pay", "/api/user/amount", "/api/user/stripe/pay", "/api/user/creem/pay"):
        assert requests.post(shop.gateway.base + path, json={"amount": 10}, timeout=PATIENCE).status_code == 401


def stripe_event(number: str, kind: str = "checkout.session.completed", paid: str = "paid") -> bytes:
    one = {"client_reference_id": number, "payment_status": paid, "amount_total": 8000, "currency": "usd"}
    return json.dumps({"id": "evt_1", "type": kind, "data": {"object": one}}).encode()


def stripe_tell(shop: Shop, body: bytes, secret: str = WEBHOOK, age: int = 0, before: str = "") -> int:
    stamp = int(time.time()) - age
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    headers = {"stripe-signature": f"t={stamp},{before}v1={digest}", "content-type": "application/json"}
    return requests.post(
        f"{shop.gateway.base}/api/stripe/webhook", data=body, headers=headers, timeout=PATIENCE
    ).status_code


def stripe_order(shop: Shop) -> str:
    answer = shop.post("/api/user/stripe/pay", {"amount": 10, "payment_method": "stripe"}, shop.ann)
    assert answer == {"message": "success", "data": {"pay_link": "https://pay.example/1"}}
    return str(dict(parse_qsl(shop.services.upstream.got[-1].body.decode()))["client_reference_id"])


def test_a_checkout_and_its_events(shop: Shop) -> None:
    before, number = shop.balance(), stripe_order(shop)
    assert stripe_tell(shop, stripe_event(number, paid="unpaid")) == 200
    assert shop.balance() == before
    assert stripe_tell(shop, stripe_event(number, "checkout.session.expired")) == 200
    assert shop.order(number)["status"] == "expired"
    late = stripe_event(number, "checkout.session.async_payment_succeeded")
    assert [stripe_tell(shop, late, before=f"v1={'0' * 64},") for _ in range(3)] == [200] * 3
    assert shop.balance() == before + 10 * UNIT
    assert stripe_tell(shop, stripe_event(number, "checkout.session.async_payment_failed")) == 200
    assert shop.order(number)["status"] == "success"


def test_what_a_checkout_gave_back_whole_is_taken_back_once(shop: Shop) -> None:
    before, number = shop.balance(), stripe_order(shop)
    form = dict(parse_qsl(shop.services.upstream.got[-1].body.decode()))
    assert form["payment_intent_data[metadata][order]"] == number

    def charge(whole: Any, **more: Any) -> bytes:
        one = {"object": "charge", "refunded": whole, "metadata": {"order": number}, "payment_status": None, **more}
        return json.dumps({"id": "evt_2", "type": "charge.refunded", "data": {"object": one}}).encode()

    assert stripe_tell(shop, charge(True)) == 200  # before it was paid: there is nothing to take back
    assert shop.order(number)["status"] == "pending"
    assert stripe_tell(shop, stripe_event(number)) == 200
    for body in (
        charge(False),
        charge("true"),
        charge(True, metadata={}),
        charge(True, metadata={"order": "x"}),
        charge(False, amount_refunded=-5, amount=1000),
        charge(False, amount_refunded=5, amount=0),
    ):
        stripe_tell(shop, body)
    assert stripe_tell(shop, charge(True), secret="other") == 400
    assert (shop.balance(), shop.order(number)["status"]) == (before + 10 * UNIT, "success")
    for part, left in ((300, 7), (300, 7), (100, 7), (600, 4)):  # all so far; an older notice comes late
        assert stripe_tell(shop, charge(False, amount_refunded=part, amount=1000)) == 200
        assert (shop.balance(), shop.order(number)["status"]) == (before + left * UNIT, "success")
    assert [stripe_tell(shop, charge(True)) for _ in range(3)] == [200] * 3
    assert stripe_tell(shop, stripe_event(number)) == 200  # its old event once more
    assert (shop.balance(), shop.order(number)["status"]) == (before, "refunded")


def test_what_a_dispute_took_is_taken_back(shop: Shop) -> None:
    """A dispute names its payment alone: the service is asked whose that is."""
    before, number = shop.balance(), stripe_order(shop)
    assert stripe_tell(shop, stripe_event(number)) == 200
    one = {"object": "dispute", "payment_intent": "pi_1", "amount": 1000, "status": "needs_response", "metadata": {}}
    body = {"id": "evt_3", "type": "charge.dispute.funds_withdrawn", "data": {"object": one}}
    shop.services.intents.clear()
    assert stripe_tell(shop, json.dumps(body).encode()) != 200  # it can't be asked: it tells again
    shop.services.intents["pi_1"] = number
    other = {**body, "data": {"object": {**one, "payment_intent": "../accounts"}}}
    assert stripe_tell(shop, json.dumps(other).encode()) == 400
    assert shop.balance() == before + 10 * UNIT
    assert [stripe_tell(shop, json.dumps(body).encode()) for _ in range(2)] == [200, 200]
    assert (shop.balance(), shop.order(number)["status"]) == (before, "refunded")


def test_an_event_that_is_not_genuine(shop: Shop) -> None:
    before, number = shop.balance(), stripe_order(shop)
    body = stripe_event(number)
    assert stripe_tell(shop, body, secret="other") == 400
    assert stripe_tell(shop, body, age=301) == 400
    assert stripe_tell(shop, body, age=-301) == 400
    for signature in ("", "t=1", "v1=abc", "t=x,v1=", f"t={int(time.time())},v1=" + "0" * 64):
        headers = {"stripe-signature": signature}
        answer = requests.post(f"{shop.gateway.base}/api/stripe/webhook", data=body, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 400
    answer = requests.post(f"{shop.gateway.base}/api/stripe/webhook", data=b"{", timeout=PATIENCE)
    assert answer.status_code == 400
    assert shop.balance() == before


def test_a_product_is_credited_in_units(shop: Shop) -> None:
    before = shop.balance()
    answer = shop.post("/api/user/creem/pay", {"product_id": "prod_1", "payment_method": "creem"}, shop.ann)
    number = answer["data"]["order_id"]
    assert answer["data"]["checkout_url"] == "https://pay.example/1"
    one = {"request_id": number, "order": {"status": "paid", "amount": 450}}
    body = json.dumps({"eventType": "checkout.completed", "object": one}).encode()
    url = f"{shop.gateway.base}/api/creem/webhook"
    for secret, status in (("other", 401), (CREEM, 200), (CREEM, 200)):
        headers = {"creem-signature": hmac.digest(secret.encode(), body, "sha256").hex()}
        assert requests.post(url, data=body, headers=headers, timeout=PATIENCE).status_code == status
    assert shop.balance() == before + 1_000_000


def rsa_pair() -> tuple[rsa.RSAPrivateKey, str, str]:
    """A key, and both halves as consoles of services show them: base64 without lines of dashes."""
    key = rsa.generate_private_key(65537, 2048)
    plain, spki = serialization.NoEncryption(), serialization.PublicFormat.SubjectPublicKeyInfo
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain)
    public = key.public_key().public_bytes(serialization.Encoding.DER, spki)
    return key, base64.b64encode(private).decode(), base64.b64encode(public).decode()


def rsa_text(fields: dict[str, str]) -> bytes:
    names = sorted(name for name in fields if fields[name] and name != "sign")
    return "&".join(f"{name}={fields[name]}" for name in names).encode()


def test_a_service_that_signs_with_rsa(shop: Shop) -> None:
    mine, private, _ = rsa_pair()
    theirs, _, public = rsa_pair()
    shop.set(
        **{
            "payment.alipay.app_id": "app",
            "payment.alipay.private_key": private,
            "payment.alipay.public_key": public,
        }
    )
    before = shop.balance()
    form = shop.post("/api/user/alipay/pay", {"amount": 10}, shop.ann)["data"]
    given = base64.b64decode(form["sign"])
    mine.public_key().verify(given, rsa_text(form), padding.PKCS1v15(), hashes.SHA256())
    number = json.loads(form["biz_content"])["out_trade_no"]
    told = {"app_id": "app", "out_trade_no": number, "trade_status": "TRADE_SUCCESS", "total_amount": "73.00"}
    url = f"{shop.gateway.base}/api/alipay/notify"
    for key, text in ((mine, "fail"), (theirs, "success"), (theirs, "success")):
        sign = base64.b64encode(key.sign(rsa_text(told), padding.PKCS1v15(), hashes.SHA256())).decode()
        answer = requests.post(url, data={**told, "sign": sign, "sign_type": "RSA2"}, timeout=PATIENCE)
        assert answer.text == text
    assert shop.balance() == before + 10 * UNIT
    part = {**told, "refund_fee": "1.00"}
    closed = {**told, "trade_status": "TRADE_CLOSED"}
    whole = {**closed, "refund_fee": "73.00"}
    odd = {**told, "refund_fee": "x"}
    for fields, left in (
        (closed, 10),
        (odd, 10),
        (part, 10 - 1 / 7.3),
        (part, 10 - 1 / 7.3),
        (whole, 0),
        (whole, 0),
        (told, 0),
    ):
        sign = base64.b64encode(theirs.sign(rsa_text(fields), padding.PKCS1v15(), hashes.SHA256())).decode()
        answer = requests.post(url, data={**fields, "sign": sign, "sign_type": "RSA2"}, timeout=PATIENCE)
        assert (answer.text, shop.balance()) == ("success", before + int(left * UNIT)), fields


def test_an_order_whose_notice_was_lost_is_found(shop: Shop) -> None:
    """The service is asked for orders from half a minute on; here the order is older by a hand on its row."""
    before, form = shop.balance(), shop.epay(10)
    number, asked = form["out_trade_no"], []

    def answer(say: Say) -> None:
        asked.append(dict(parse_qsl(say.arrived.path.partition("?")[2])))
        paid = asked[-1].get("out_trade_no") == number
        say.whole({"code": 1, "status": int(paid), "money": "73.00"})

    script, shop.services.upstream.script = shop.services.upstream.script, answer
    try:
        with closing(sqlite3.connect(shop.gateway.data / "gatewright.db", timeout=PATIENCE)) as db, db:
            db.execute("UPDATE top_ups SET create_time = create_time - 40 WHERE trade_no = ?", (number,))
        until(lambda: shop.order(number)["status"] == "success", words=lambda: shop.order(number))
    finally:
        shop.services.upstream.script = script
    assert {"act": "order", "pid": "1001", "key": KEY, "out_trade_no": number} in asked
    assert shop.balance() == before + 10 * UNIT
    assert shop.tell(number, "73.00").text == "success"
    assert shop.balance() == before + 10 * UNIT


def test_a_service_that_is_away_fails_the_order(shop: Shop) -> None:
    script, shop.services.upstream.script = shop.services.upstream.script, lambda say: say.whole({"no": 1}, 500)
    try:
        answer = shop.post("/api/user/stripe/pay", {"amount": 10}, shop.ann)
    finally:
        shop.services.upstream.script = script
    assert answer["message"] == "error"
    assert "status 500" in answer["data"]
    assert shop.get("/api/user/topup/self", shop.ann)["items"][0]["status"] == "failed"


def test_an_order_is_completed_by_hand_once_and_the_books_agree(shop: Shop) -> None:
    before, number = shop.balance(), stripe_order(shop)
    assert shop.post("/api/user/topup/complete", {"trade_no": number}, shop.root)["success"]
    assert not shop.post("/api/user/topup/complete", {"trade_no": number}, shop.root)["success"]
    assert stripe_tell(shop, stripe_event(number)) == 200
    assert shop.balance() == before + 10 * UNIT
    assert not shop.services.refused
    command = [sys.executable, "-m", "engine.cli", "ledger", "verify"]
    env = {"GATEWRIGHT_DATA": str(shop.gateway.data), "PATH": "/usr/bin:/bin"}
    verdict = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
