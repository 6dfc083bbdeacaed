"""A key with a budget: served, warned, refused, and counted in the database."""

from __future__ import annotations

import json
import time

from engine.accounts import keys
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows import accounts, budgets
from engine.storage.rows.budgets import Budget
from tests.support import until

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "chat-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


def test_a_budget_in_tokens_warns_and_then_refuses(gateway, one) -> None:
    one.script = lambda say: say.whole(ANSWER)
    db = open_database(Settings(data=gateway.data), migrate=False)
    try:
        made = keys.create_key(db, "root", "bounded")
        budgets.put(db, db, Budget(0, "key", made.token_id, "day", "tokens", 50, 10))
        time.sleep(3.1)  # a worker remembers for three seconds that nobody has a budget
        body = {"model": "chat-model", "max_tokens": 10, "messages": [{"role": "user", "content": "x"}]}
        headers = {"authorization": f"Bearer {made.key}"}

        def ask():
            return gateway.post("/v1/chat/completions", body, headers=headers)

        answers = [ask(), ask(), ask()]
        assert [answer.status_code for answer in answers] == [200, 200, 402], answers[-1].text
        told = answers[1].headers["x-gatewright-budget"]
        assert told.startswith("this API key's budget of 50 tokens a day is used to ")
        refusal = answers[2].json()["error"]
        assert refusal["code"] == "budget_exceeded"
        assert "has 14 left, which can't hold the" in refusal["message"]
        assert "it begins anew in" in refusal["message"]
        assert int(answers[2].headers["retry-after"]) > 0
        assert len(one.got) == 2

        (budget,) = budgets.load(db)["key", made.token_id]
        until(lambda: budgets.used(db, budget, time.time()) >= 36)
        assert budgets.used(db, budget, time.time()) == 36
        account = accounts.find_key(db, made.key[3:])
        with db.read() as connection:
            sql = "SELECT other FROM logs WHERE token_id = ? AND type = 2 ORDER BY id DESC"
            (other,) = connection.exec_driver_sql(sql, (account.token_id,)).first()
        assert json.loads(other)["budget"] == [told]
    finally:
        db.close()
