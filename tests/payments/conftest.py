"""A gateway with a root and a payer, and payment services of its own that are strict; one for this folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from engine import paths
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, Lasting
from tests.upstreams.wechatpay import WeChatPay

UNIT = 500_000
KEY, WEBHOOK, CREEM = "epay-secret", "whsec_test", "creem-secret"
PRODUCTS = [{"name": "Small", "productId": "prod_1", "price": 4.5, "currency": "USD", "quota": 1_000_000}]
OPTIONS = {
    "EpayId": "1001",
    "EpayKey": KEY,
    "Price": "7.3",
    "MinTopUp": "2",
    "PayMethods": json.dumps([{"name": "A", "type": "alipay"}, {"name": "W", "type": "wxpay"}]),
    "StripeApiSecret": "sk_test",
    "StripeWebhookSecret": WEBHOOK,
    "StripePriceId": "price_1",
    "CreemApiKey": "creem_key",
    "CreemWebhookSecret": CREEM,
    "CreemProducts": json.dumps(PRODUCTS),
    "ServerAddress": "https://gateway.example",
}


class Services:
    """The services' own side: refuses what is not as their pages say."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.upstream.script = self._answer
        self.refused: list[str] = []
        self.wechatpay = WeChatPay()
        self.intents: dict[str, str] = {}
        """Orders by the payments that were made for them."""

    def _answer(self, say: Say) -> None:
        arrived = say.arrived
        if arrived.path.startswith("/v3/pay/"):
            self.wechatpay.answer(say)
            return
        if arrived.path.startswith("/v1/payment_intents/"):
            assert (arrived.method, arrived.headers.get("authorization")) == ("GET", "Bearer sk_test")
            name = arrived.path.rpartition("/")[2]
            found = {"id": name, "metadata": {"order": self.intents.get(name)}}
            say.whole(found, 200 if name in self.intents else 404)
            return
        wrong = self._stripe(arrived) if arrived.path == "/v1/checkout/sessions" else self._creem(arrived)
        if wrong:
            self.refused.append(wrong)
            say.whole({"error": {"message": wrong}}, 400)
            return
        place = "url" if arrived.path == "/v1/checkout/sessions" else "checkout_url"
        say.whole({"id": "cs_1", place: "https://pay.example/1"})

    @staticmethod
    def _stripe(arrived: Any) -> str:
        form = dict(parse_qsl(arrived.body.decode(), keep_blank_values=True))
        if arrived.method != "POST" or arrived.headers.get("authorization") != "Bearer sk_test":
            return "no key"
        if arrived.headers.get("content-type") != "application/x-www-form-urlencoded":
            return "no form"
        sold = {"payment": "price_1", "subscription": "price_pro"}
        if form.get("line_items[0][price]") != sold.get(form.get("mode", ""), ""):
            return "no price"
        if not form.get("client_reference_id") or not form.get("line_items[0][quantity]", "").isdigit():
            return "no order"
        return "" if form.get("success_url", "").startswith("https://") and "customer_email" not in form else "no place"

    @staticmethod
    def _creem(arrived: Any) -> str:
        if arrived.path != "/v1/checkouts" or arrived.headers.get("x-api-key") != "creem_key":
            return "no key"
        body = arrived.json
        known = body.get("product_id") == "prod_1" and body.get("request_id")
        return "" if known and body.get("success_url") else "no product"


class Shop(Lasting):
    """A gateway with a root and a payer."""

    def __init__(self, gateway: Gateway, services: Services) -> None:
        self.gateway, self.services = gateway, services
        name, password = (gateway.data / "first.login").read_text().split(" ", 1)
        root = self._login(name, password.strip())
        self.post("/api/user/", {"username": "ann", "password": "long enough", "role": 1}, root)
        self.keep_fresh()

    def fresh(self) -> None:
        """Both sign in."""
        name, password = (self.gateway.data / "first.login").read_text().split(" ", 1)
        self.root, self.ann = self._login(name, password.strip()), self._login("ann", "long enough")

    def _login(self, name: str, password: str) -> dict[str, str]:
        answer = self.post("/api/user/login", {"username": name, "password": password})
        return {"authorization": f"Bearer {answer['data']['access_token']}"}

    def post(self, path: str, body: Any, who: dict[str, str] | None = None) -> Any:
        return requests.post(self.gateway.base + path, json=body, headers=who, timeout=PATIENCE).json()

    def get(self, path: str, who: dict[str, str]) -> Any:
        return requests.get(self.gateway.base + path, headers=who, timeout=PATIENCE).json()["data"]

    def set(self, **values: str) -> None:
        for key, value in values.items():
            answer = requests.put(
                f"{self.gateway.base}/api/option/", json={"key": key, "value": value}, headers=self.root, timeout=20
            )
            assert answer.json()["success"], answer.text

    def balance(self) -> int:
        return int(self.get("/api/user/self", self.ann)["quota"])

    def order(self, number: str) -> Any:
        rows = self.get(f"/api/user/topup/self?keyword={number}", self.ann)["items"]
        assert len(rows) == 1
        return rows[0]

    def epay(self, amount: int = 10, **more: Any) -> dict[str, str]:
        answer = self.post("/api/user/pay", {"amount": amount, "payment_method": "alipay", **more}, self.ann)
        assert answer["message"] == "success", answer
        return dict(answer["data"])

    def tell(self, number: str, money: str, how: str = "post", **more: str) -> requests.Response:
        fields = {"pid": "1001", "trade_no": "T1", "out_trade_no": number, "type": "alipay", "name": "x"}
        fields |= {"money": money, "trade_status": "TRADE_SUCCESS", **more}
        fields = {"sign": signed(fields), "sign_type": "MD5", **fields}
        url = f"{self.gateway.base}/api/user/epay/notify"
        if how == "get":
            return requests.get(url, params=fields, timeout=PATIENCE)
        return requests.post(url, data=fields, timeout=PATIENCE)


def signed(fields: dict[str, str], key: str = KEY) -> str:
    pairs = [f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name not in ("sign", "sign_type")]
    return hashlib.md5(("&".join(pairs) + key).encode()).hexdigest()


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    services = Services()
    specs = {
        f"{name}.yaml": (paths.SPECS / "payments" / f"{name}.yaml").read_text().replace(vendor, services.upstream.base)
        for name, vendor in (
            ("stripe", "https://api.stripe.com"),
            ("wechatpay", "https://api.mch.weixin.qq.com"),
            ("creem", "https://{{ 'test-api' if options.CreemTestMode == 'true' else 'api' }}.creem.io"),
        )
    }
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{services.upstream.port}", "CRITICAL_RATE_LIMIT_ENABLE": "false"}
    gateway = Gateway(tmp_path_factory.mktemp("shop"), specs=specs, env=env)
    try:
        one = Shop(gateway.ready(), services)
        assert one.get("/api/user/topup/info", one.ann)["enable_online_topup"] is False
        assert one.post("/api/user/pay", {"amount": 10}, one.ann) == {
            "message": "error",
            "data": "This way to pay is not set up",
        }
        one.set(PayAddress=f"{services.upstream.base}/", **OPTIONS)
        yield one
    finally:
        gateway.stop()
        services.upstream.close()


@pytest.fixture(autouse=True)
def _signed_in(request: pytest.FixtureRequest) -> None:
    if "shop" in request.fixturenames:
        request.getfixturevalue("shop").keep_fresh()
