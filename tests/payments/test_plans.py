"""Plans through a running gateway: kept by administrators, bought by each service, and calls that they pay."""

from __future__ import annotations

import hmac
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from tests.payments.conftest import CREEM, WEBHOOK, Shop, signed
from tests.relay.scripted import Say
from tests.support import PATIENCE, ROOT, until

ADMIN = "/api/subscription/admin"
PLAN = {
    "title": "Pro",
    "subtitle": "For those who build",
    "price_amount": 9.9,
    "total_amount": 1_000_000,
    "quota_reset_period": "monthly",
    "stripe_price_id": "price_pro",
    "creem_product_id": "prod_1",
}


def ask(shop: Shop, method: str, path: str, body: Any = None, who: dict[str, str] | None = None) -> Any:
    return requests.request(
        method, shop.gateway.base + path, json=body, headers=who or shop.root, timeout=PATIENCE
    ).json()


def make(shop: Shop, **more: Any) -> dict[str, Any]:
    answer = ask(shop, "POST", f"{ADMIN}/plans", {"plan": {**PLAN, **more}})
    assert answer["success"], answer
    return dict(answer["data"])


def owned(shop: Shop) -> dict[str, Any]:
    return dict(shop.get("/api/subscription/self", shop.ann))


def newest(shop: Shop) -> dict[str, Any]:
    return dict(owned(shop)["all_subscriptions"][0]["subscription"])


def lives(shop: Shop, plan: dict[str, Any]) -> int:
    """How many subscriptions of a plan the payer has."""
    return [each["subscription"]["plan_id"] for each in owned(shop)["subscriptions"]].count(plan["id"])


def test_a_plan_is_made_changed_and_offered_no_longer(shop: Shop) -> None:
    plan = make(shop, sort_order=9)
    usual = {"currency": "USD", "duration_unit": "month", "duration_value": 1, "allow_balance_pay": True}
    assert {name: plan[name] for name in (*PLAN, *usual)} == PLAN | usual
    assert shop.get("/api/subscription/plans", shop.ann)[0]["plan"] == plan
    changed = ask(shop, "PUT", f"{ADMIN}/plans/{plan['id']}", {"plan": {**plan, "title": "Max", "price_amount": 12}})
    assert (changed["data"]["title"], changed["data"]["price_amount"], changed["data"]["sort_order"]) == ("Max", 12, 9)
    off = ask(shop, "PATCH", f"{ADMIN}/plans/{plan['id']}", {"enabled": False})
    assert off["data"]["enabled"] is False
    assert plan["id"] not in [each["plan"]["id"] for each in shop.get("/api/subscription/plans", shop.ann)]
    assert plan["id"] in [each["plan"]["id"] for each in shop.get(f"{ADMIN}/plans", shop.root)]
    answer = shop.post("/api/subscription/balance/pay", {"plan_id": plan["id"]}, shop.ann)
    assert (answer["success"], answer["message"]) == (False, "this plan is not offered")


WRONG: list[dict[str, Any]] = [
    {"title": " "},
    {"title": "x" * 129},
    {"price_amount": -1},
    {"price_amount": 10_000},
    {"price_amount": "9"},
    {"price_amount": 0.0000001},
    {"duration_value": 0},
    {"duration_unit": "fortnight"},
    {"duration_unit": "custom", "custom_seconds": 0},
    {"quota_reset_period": "hourly"},
    {"quota_reset_period": "custom", "quota_reset_custom_seconds": 5},
    {"total_amount": -1},
    {"max_purchase_per_user": 1.5},
    {"enabled": "yes"},
    {"upgrade_group": "nowhere"},
    {"currency": "EUR"},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_a_plan_that_can_not_be_says_what_is_wrong(shop: Shop, change: dict[str, Any]) -> None:
    answer = ask(shop, "POST", f"{ADMIN}/plans", {"plan": {**PLAN, **change}})
    assert answer["success"] is False
    assert answer["field"] in change, answer


def test_a_plan_by_a_signed_form_begins_once(shop: Shop) -> None:
    plan, before, count = make(shop), shop.balance(), len(owned(shop)["all_subscriptions"])
    form = shop.post("/api/subscription/epay/pay", {"plan_id": plan["id"], "payment_method": "alipay"}, shop.ann)[
        "data"
    ]
    number = form["out_trade_no"]
    assert (form["sign"], form["money"], form["name"]) == (signed(form), "9.90", "Pro")
    assert number.startswith("SUBUSR2NO")
    assert shop.tell(number, "9.89").text == "fail"
    assert [shop.tell(number, "9.90").text for _ in range(3)] == ["success"] * 3
    life = newest(shop)
    assert (len(owned(shop)["all_subscriptions"]), shop.balance()) == (count + 1, before)
    assert (life["plan_id"], life["status"], life["amount_total"], life["source"]) == (
        plan["id"], "active", 1_000_000, "order",
    )  # fmt: skip
    assert life["next_reset_time"] > time.time()
    row = shop.order(number)
    assert (row["status"], row["money"], row["amount"]) == ("success", 9.9, 0)


def test_notices_and_payers_that_come_where_an_older_program_sent_them(shop: Shop) -> None:
    plan = make(shop)
    for path in ("/api/subscription/epay/notify", "/api/subscription/epay/return"):
        form = shop.post("/api/subscription/epay/pay", {"plan_id": plan["id"]}, shop.ann)["data"]
        fields = {"pid": "1001", "out_trade_no": form["out_trade_no"], "money": "9.90"}
        fields |= {"trade_status": "TRADE_SUCCESS"}
        for change, told, place in (({"money": "1.00"}, "fail", "fail"), ({}, "success", "success")):
            given = {**fields, **change}
            url = shop.gateway.base + path
            given["sign"] = signed(given)
            answer = requests.get(url, params=given, timeout=PATIENCE, allow_redirects=False)
            if path.endswith("return"):
                assert (answer.status_code, answer.headers["location"]) == (302, f"/console/wallet?pay={place}")
            else:
                assert answer.text == told
        assert shop.order(form["out_trade_no"])["status"] == "success"


def test_a_plan_by_a_checkout(shop: Shop) -> None:
    plan = make(shop)
    answer = shop.post("/api/subscription/stripe/pay", {"plan_id": plan["id"]}, shop.ann)
    assert answer == {"message": "success", "data": {"pay_link": "https://pay.example/1"}}
    form = dict(parse_qsl(shop.services.upstream.got[-1].body.decode()))
    assert (form["mode"], form["line_items[0][price]"], form["line_items[0][quantity]"]) == (
        "subscription", "price_pro", "1",
    )  # fmt: skip
    number = form["client_reference_id"]
    one = {"client_reference_id": number, "payment_status": "paid"}
    body = json.dumps({"id": "e", "type": "checkout.session.completed", "data": {"object": one}}).encode()
    stamp = int(time.time())
    sign = hmac.digest(WEBHOOK.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    for _ in range(2):
        headers = {"stripe-signature": f"t={stamp},v1={sign}"}
        assert requests.post(f"{shop.gateway.base}/api/stripe/webhook", data=body, headers=headers, timeout=PATIENCE).ok
    assert lives(shop, plan) == 1
    assert form["subscription_data[metadata][order]"] == number
    for invoice, reason, count in (
        *(("in_1", "subscription_create", 1), ("in_2", "subscription_cycle", 2), ("in_2", "subscription_cycle", 2)),
        ("in_3", "subscription_cycle", 3),
    ):
        one = {"id": invoice, "billing_reason": reason}
        details = {"subscription_details": {"metadata": {"order": number}}}
        one |= details if invoice == "in_3" else {"parent": details}
        event = json.dumps({"id": "e", "type": "invoice.paid", "data": {"object": one}}).encode()
        sign = hmac.digest(WEBHOOK.encode(), f"{stamp}.".encode() + event, "sha256").hex()
        headers = {"stripe-signature": f"t={stamp},v1={sign}"}
        assert requests.post(
            f"{shop.gateway.base}/api/stripe/webhook", data=event, headers=headers, timeout=PATIENCE
        ).ok
        assert lives(shop, plan) == count
    assert shop.order("in_3")["status"] == "success"
    nameless = make(shop, stripe_price_id="")
    answer = shop.post("/api/subscription/stripe/pay", {"plan_id": nameless["id"]}, shop.ann)
    assert answer["message"] == "error"
    assert "can't be bought through this service" in answer["data"]


def test_a_plan_by_a_product(shop: Shop) -> None:
    plan = make(shop)
    answer = shop.post("/api/subscription/creem/pay", {"plan_id": plan["id"]}, shop.ann)
    assert shop.services.upstream.got[-1].json["product_id"] == "prod_1"
    one = {"request_id": answer["data"]["order_id"], "order": {"status": "paid", "amount": 990}}
    body = json.dumps({"eventType": "checkout.completed", "object": one}).encode()
    headers = {"creem-signature": hmac.digest(CREEM.encode(), body, "sha256").hex()}
    before = shop.balance()
    assert requests.post(f"{shop.gateway.base}/api/creem/webhook", data=body, headers=headers, timeout=PATIENCE).ok
    assert (newest(shop)["plan_id"], shop.balance()) == (plan["id"], before)


def test_what_administrators_do_with_a_users_plans(shop: Shop) -> None:
    plan, users = make(shop, title="Gift"), f"{ADMIN}/users/2/subscriptions"
    assert ask(shop, "POST", f"{ADMIN}/bind", {"user_id": 2, "plan_id": plan["id"]})["success"]
    assert ask(shop, "POST", users, {"plan_id": plan["id"]})["success"]
    rows = [row["subscription"] for row in ask(shop, "GET", users)["data"]]
    first, second = rows[1]["id"], rows[0]["id"]
    assert [row["source"] for row in rows[:2]] == ["admin", "admin"]
    assert ask(shop, "POST", f"{users}/reset", {"plan_id": plan["id"], "advance_reset_time": False})["data"] == {
        "plan_id": plan["id"], "matched_count": 2, "reset_count": 2, "user_count": 1, "advance_reset_time": False,
    }  # fmt: skip
    every = ask(shop, "POST", f"{ADMIN}/plans/{plan['id']}/subscriptions/reset", {})["data"]
    assert (every["reset_count"], every["advance_reset_time"]) == (2, True)
    assert ask(shop, "POST", f"{ADMIN}/user_subscriptions/{first}/invalidate")["success"]
    again = ask(shop, "POST", f"{ADMIN}/user_subscriptions/{first}/invalidate")
    assert (again["success"], again["message"]) == (False, "this plan has ended already")
    assert ask(shop, "DELETE", f"{ADMIN}/user_subscriptions/{second}")["success"]
    assert not ask(shop, "DELETE", f"{ADMIN}/user_subscriptions/{second}")["success"]
    left = {row["subscription"]["id"]: row["subscription"]["status"] for row in ask(shop, "GET", users)["data"]}
    assert (left[first], second in left) == ("cancelled", False)
    for path in (f"{ADMIN}/plans", users):
        assert ask(shop, "GET", path, who=shop.ann)["success"] is False


def test_a_running_gateway_resets_and_ends_what_is_due(shop: Shop) -> None:
    plan = make(shop, title="Due")
    ids = [ask(shop, "POST", f"{ADMIN}/bind", {"user_id": 2, "plan_id": plan["id"]})["data"]["id"] for _ in range(2)]
    with closing(sqlite3.connect(shop.gateway.data / "gatewright.db", timeout=PATIENCE)) as db, db:
        db.execute("UPDATE user_subscriptions SET end_time = start_time - 1 WHERE id = ?", (ids[0],))
        db.execute("UPDATE user_subscriptions SET next_reset_time = 5, last_reset_time = 0 WHERE id = ?", (ids[1],))

    def states() -> tuple[str, bool]:
        rows = {row["subscription"]["id"]: row["subscription"] for row in owned(shop)["all_subscriptions"]}
        return rows[ids[0]]["status"], rows[ids[1]]["last_reset_time"] > 0

    until(lambda: states() == ("expired", True), words=states)


def test_calls_are_paid_by_the_plan_and_the_books_agree(shop: Shop) -> None:
    def answers(say: Say) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        message = {"role": "assistant", "content": "ok"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        say.whole({"id": "c", "object": "chat.completion", "model": "m-1", "choices": [choice], "usage": usage})

    for row in owned(shop)["subscriptions"]:
        ask(shop, "POST", f"{ADMIN}/user_subscriptions/{row['subscription']['id']}/invalidate")
    shop.set(ModelRatio='{"m-1": 1}', CompletionRatio='{"m-1": 1}')
    channel = {"type": 1, "name": "up", "key": "sk-1", "models": "m-1", "group": "default"}
    made = ask(shop, "POST", "/api/channel/", {**channel, "base_url": shop.services.upstream.base})
    assert made["success"], made
    shop.post("/api/token/", {"name": "k", "unlimited_quota": True}, shop.ann)
    row = shop.get("/api/token/?p=1", shop.ann)["items"][0]
    key = ask(shop, "POST", f"/api/token/{row['id']}/key", who=shop.ann)["data"]["key"]
    plan = make(shop, title="Paid", price_amount=0, total_amount=3000)
    assert shop.post("/api/subscription/balance/pay", {"plan_id": plan["id"]}, shop.ann)["success"]
    assert shop.tell(shop.epay(10)["out_trade_no"], "73.00").text == "success"
    before, script = shop.balance(), shop.services.upstream.script
    shop.services.upstream.script = answers
    try:
        body = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1000}
        for _ in range(2):
            answer = shop.gateway.post("/v1/chat/completions", body, headers={"authorization": f"Bearer sk-{key}"})
            assert answer.status_code == 200, answer.text
        until(lambda: shop.balance() != before)
    finally:
        shop.services.upstream.script = script
    # the first call took 2000 of 3000, the second would hold more than is left, and so the balance paid it
    assert (newest(shop)["amount_used"], before - shop.balance()) == (2000, 2000)
    sources = [
        json.loads(each["other"]).get("billing_source") for each in shop.get("/api/log/self?type=2", shop.ann)["items"]
    ]
    assert sources[:2] == [None, "subscription"]
    told = requests.put(
        f"{shop.gateway.base}/api/subscription/self/preference",
        json={"billing_preference": "wallet_only"}, headers=shop.ann, timeout=PATIENCE,
    ).json()  # fmt: skip
    assert told["data"] == {"billing_preference": "wallet_only"}
    assert owned(shop)["billing_preference"] == "wallet_only"
    command = [sys.executable, "-m", "engine.cli", "ledger", "verify"]
    env = {"GATEWRIGHT_DATA": str(shop.gateway.data), "PATH": "/usr/bin:/bin"}
    verdict = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "1 plans compared" in verdict.stdout
