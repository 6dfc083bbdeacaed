"""A team through a running gateway: it is paid into, buys a plan, pays calls of two members, and the books agree."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.payments.conftest import UNIT, Shop
from tests.payments.test_plans import ask, make
from tests.relay.scripted import Say
from tests.support import PATIENCE, ROOT, until


def answers(say: Say) -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 998, "total_tokens": 1000}
    message = {"role": "assistant", "content": "ok"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    say.whole({"id": "c", "object": "chat.completion", "model": "m-team", "choices": [choice], "usage": usage})


def test_a_team_pays_in_buys_a_plan_and_pays_its_members_calls(shop: Shop) -> None:
    shop.post("/api/user/", {"username": "bob", "password": "long enough", "role": 1}, shop.root)
    bob = shop._login("bob", "long enough")
    team = ask(shop, "POST", "/api/v2/teams", {"name": "crew"}, shop.ann)["id"]
    place = f"/api/v2/teams/{team}"
    member = ask(shop, "POST", f"{place}/members", {"username": "bob"}, shop.ann)["id"]
    assert ask(shop, "POST", f"{place}/invitation", who=bob)["joined_at"]

    def balance() -> int:
        return int(ask(shop, "GET", place, who=shop.ann)["quota"])

    mine = shop.balance()
    refused = shop.post("/api/user/pay", {"amount": 10, "payment_method": "alipay", "team": team}, bob)
    assert refused["message"] == "error"
    form = shop.epay(10, team=team)
    with ThreadPoolExecutor(4) as many:
        assert {one.text for one in many.map(lambda _: shop.tell(form["out_trade_no"], "73.00"), range(8))} == {
            "success"
        }
    assert (balance(), shop.balance()) == (10 * UNIT, mine)
    plan = make(shop, title="Crew", price_amount=1, total_amount=3000)
    assert shop.post("/api/subscription/balance/pay", {"plan_id": plan["id"], "team": team}, bob)["success"] is False
    assert shop.post("/api/subscription/balance/pay", {"plan_id": plan["id"], "team": team}, shop.ann)["success"]
    assert balance() == 9 * UNIT

    ratio = '{"m-1": 1, "m-team": 1}'
    shop.set(ModelRatio=ratio, CompletionRatio=ratio)
    channel = {"type": 1, "name": "team", "key": "sk-1", "models": "m-team", "group": "default"}
    assert ask(shop, "POST", "/api/channel/", {**channel, "base_url": shop.services.upstream.base})["success"]
    cap = {"holder": "member", "holder_id": member, "period": "month", "unit": "quota", "amount": 10_500}
    assert ask(shop, "POST", f"{place}/budgets", cap, shop.ann)["name"] == "bob"
    keys = []
    for name, who in (("a", shop.ann), ("b1", bob), ("b2", bob)):
        made = ask(shop, "POST", f"{place}/keys", {"name": name, "unlimited": True}, who)
        assert "key" in made, made
        keys.append(made["key"])
    script, body = shop.services.upstream.script, {"model": "m-team", "max_tokens": 1000}
    body["messages"] = [{"role": "user", "content": "hi"}]

    def call(number: int) -> Any:
        headers = {"authorization": f"Bearer {keys[number % 3]}"}
        return shop.gateway.post("/v1/chat/completions", body, headers=headers)

    shop.services.upstream.script = answers
    try:
        time.sleep(3.1)  # a budget that was set is known within three seconds
        with ThreadPoolExecutor(12) as many:
            called = list(many.map(call, range(60)))
    finally:
        shop.services.upstream.script = script
    served = [number % 3 for number, answer in enumerate(called) if answer.status_code == 200]
    of_bob = len([key for key in served if key])
    assert len(served) - of_bob == 20  # nothing bounds ann's
    assert 1 <= of_bob <= 10
    refusals = [answer for answer in called if answer.status_code != 200]
    assert all("the member's budget of 10500" in answer.text for answer in refusals), refusals[0].text

    def usage() -> list[dict[str, Any]]:
        return ask(shop, "GET", f"{place}/usage", who=shop.ann)["items"]  # type: ignore[no-any-return]

    until(lambda: sum(row["quota"] for row in usage()) >= 1000 * len(served), words=usage)
    used = usage()
    assert {(row["key"], row["member"]) for row in used} >= {("a", "ann")}
    assert sum(row["quota"] for row in used if row["member"] == "bob") == 1000 * of_bob <= 10_500
    # the plan paid what it could hold, the team's wallet the rest, and nobody's own
    assert 9 * UNIT - balance() == 1000 * len(served) - 2000
    assert shop.balance() == mine
    (mias,) = {row["member"] for row in ask(shop, "GET", f"{place}/usage", who=bob)["items"]}
    assert mias == "bob"
    command = [sys.executable, "-m", "engine.cli", "ledger", "verify"]
    env = {"GATEWRIGHT_DATA": str(shop.gateway.data), "PATH": "/usr/bin:/bin"}
    verdict = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert requests.get(shop.gateway.base + place, headers=bob, timeout=PATIENCE).json()["quota"] == 0
