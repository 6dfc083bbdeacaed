"""WeChat Pay against a service that is as strict as its pages: signed calls, sealed notices, twelve refused."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.payments.conftest import UNIT, Shop
from tests.support import PATIENCE, until
from tests.upstreams.wechatpay import WeChatPay

Notice = tuple[bytes, dict[str, str]]


@pytest.fixture
def service(shop: Shop) -> WeChatPay:
    shop.set(**shop.services.wechatpay.options)
    return shop.services.wechatpay


def order(shop: Shop) -> str:
    answer = shop.post("/api/user/wechatpay/pay", {"amount": 10}, shop.ann)
    assert answer["message"] == "success", (answer, shop.services.wechatpay.refused)
    assert answer["data"]["code_url"].startswith("weixin://wxpay/")
    return str(answer["data"]["order_id"])


def tell(shop: Shop, notice: Notice) -> requests.Response:
    body, headers = notice
    return requests.post(f"{shop.gateway.base}/api/wechatpay/notify", data=body, headers=headers, timeout=PATIENCE)


def test_an_order_is_signed_and_its_notice_credits_once(shop: Shop, service: WeChatPay) -> None:
    before, number = shop.balance(), order(shop)
    assert service.orders[number] == 7300
    assert tell(shop, service.notice(service.told(number, trade_state="PAYERROR"))).status_code == 200
    for _ in range(3):
        answer = tell(shop, service.notice(service.told(number)))
        assert (answer.status_code, answer.json()["code"]) == (200, "SUCCESS")
    assert shop.balance() == before + 10 * UNIT
    refund = {"mchid": "1900000109", "out_trade_no": number, "refund_status": "SUCCESS"}
    for name, sum_, left in (
        ("r1", 100, 7200),
        ("r1", 100, 7200),
        ("r2", 3500, 3700),
        ("r1", 100, 3700),
    ):  # each is its own
        part = {**refund, "refund_id": name, "amount": {"total": 7300, "refund": sum_}}
        assert tell(shop, service.notice(part, event="REFUND.SUCCESS")).status_code == 200
        assert 0 <= before + 10 * UNIT * left / 7300 - shop.balance() < 2, name
        assert shop.order(number)["status"] == "success"
    whole = {**refund, "refund_id": "r3", "amount": {"total": 7300, "refund": 3700}}
    assert [tell(shop, service.notice(whole, event="REFUND.SUCCESS")).status_code for _ in range(2)] == [200, 200]
    assert (shop.balance(), shop.order(number)["status"]) == (before, "refunded")
    shop.set(**{"payment.wechatpay.platform_key": service.public_key})  # what new merchants get is a key alone
    number = order(shop)
    assert tell(shop, service.notice(service.told(number))).status_code == 200
    assert shop.balance() == before + 10 * UNIT
    assert not service.refused


STRANGER = rsa.generate_private_key(65537, 2048)


def _changed(notice: Notice, **headers: str) -> Notice:
    return notice[0], {**notice[1], **headers}


REFUSED: dict[str, Callable[[WeChatPay, str], Notice]] = {
    "signed by another key": lambda one, number: one.notice(one.told(number), signed_by=STRANGER),
    "a probe of its own": lambda one, number: _changed(
        one.notice(one.told(number)), **{"wechatpay-signature": "WECHATPAY/SIGNTEST/abc"}
    ),
    "no signature": lambda one, number: _changed(one.notice(one.told(number)), **{"wechatpay-signature": ""}),
    "another time in its header": lambda one, number: _changed(
        one.notice(one.told(number)), **{"wechatpay-timestamp": str(int(time.time()) - 1)}
    ),
    "old": lambda one, number: one.notice(one.told(number), age=301),
    "sealed by another key": lambda one, number: one.notice(one.told(number), sealed_by="f" * 32),
    "other words beside the seal": lambda one, number: one.notice(one.told(number), beside="refund"),
    "another algorithm": lambda one, number: one.notice(one.told(number), algorithm="AEAD_SM4_GCM"),
    "of an order that nobody made": lambda one, number: one.notice(one.told(f"{number}0")),
    "too little": lambda one, number: one.notice(one.told(number, amount={"total": 7299, "currency": "CNY"})),
    "in another currency": lambda one, number: one.notice(one.told(number, amount={"total": 7300, "currency": "USD"})),
    "of another merchant": lambda one, number: one.notice(one.told(number, mchid="1900000110")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_notice_that_is_refused(shop: Shop, service: WeChatPay, what: str) -> None:
    before, number = shop.balance(), order(shop)
    answer = tell(shop, REFUSED[what](service, number))
    assert (answer.status_code, answer.json()["code"]) == (400, "FAIL")
    assert (shop.balance(), shop.order(number)["status"]) == (before, "pending")


WRONG: dict[str, dict[str, Any]] = {
    "SIGN_ERROR: authorization": {"payment.wechatpay.serial_no": "other"},
    "SIGN_ERROR: signature": {"payment.wechatpay.private_key": ""},
    "APPID_MCHID_NOT_MATCH": {"payment.wechatpay.app_id": "wx1"},
}


@pytest.mark.parametrize("code", WRONG)
def test_a_call_that_the_service_refuses_is_told_in_words(shop: Shop, service: WeChatPay, code: str) -> None:
    values = WRONG[code]
    if "" in values.values():
        values = {"payment.wechatpay.private_key": WeChatPay().options["payment.wechatpay.private_key"]}
    shop.set(**values)
    count = len(service.refused)
    answer = shop.post("/api/user/wechatpay/pay", {"amount": 10}, shop.ann)
    assert (answer["message"], service.refused[count:]) == ("error", [code])
    assert "can't take orders now (status 40" in answer["data"]
    assert shop.get("/api/user/topup/self", shop.ann)["items"][0]["status"] == "failed"


def test_a_lost_notice_is_found(shop: Shop, service: WeChatPay) -> None:
    before, number = shop.balance(), order(shop)
    service.paid.add(number)
    with closing(sqlite3.connect(shop.gateway.data / "gatewright.db", timeout=PATIENCE)) as db, db:
        db.execute("UPDATE top_ups SET create_time = create_time - 40 WHERE trade_no = ?", (number,))
    until(lambda: shop.order(number)["status"] == "success", words=lambda: shop.order(number))
    assert shop.balance() == before + 10 * UNIT


def test_the_wallet_shows_the_code_and_goes_on_to_other_services(shop: Shop, service: WeChatPay) -> None:
    plan = {"plan": {"title": "Scanned", "price_amount": 1, "allow_balance_pay": False}}
    which = shop.post("/api/subscription/admin/plans", plan, shop.root)["data"]["id"]
    with requests.Session() as browser:
        login = browser.post(
            f"{shop.gateway.base}/console/login", data={"username": "ann", "password": "long enough"}, timeout=20
        )
        browser.headers["x-seal"] = login.text.split('data-seal="')[1].split('"')[0]

        def buy(way: str) -> requests.Response:
            place = f"{shop.gateway.base}/console/wallet/plans/{which}"
            return browser.post(place, data={"way": way}, timeout=PATIENCE)

        assert "Scanned" in browser.get(f"{shop.gateway.base}/console/wallet", timeout=PATIENCE).text
        page = buy("/api/subscription/wechatpay/pay wechatpay_native").text
        number = page.split("<p>")[1].split("</p>")[0]
        assert service.orders[number] == 730
        assert '<path d="M4 4h1v1h-1zM5 4h1v1h-1z' in page
        assert "submit.php?pid=1001&amp;" in buy("/api/subscription/epay/pay alipay").text
        for way in ("", "/api/user/pay alipay"):
            told = buy(way)
            assert (told.status_code, 'class="note bad"' in told.text) == (422, True)
