"""A plan bought with the balance: one transaction takes the units, keeps the order, and begins the subscription."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from engine.accounts import credit
from engine.accounts.keys import random_text
from engine.accounts.plans import catalogue, lives
from engine.errors import Conflict
from engine.storage.database import Database
from engine.storage.rows import crud, jobs, people
from engine.storage.rows.crud import Row
from engine.texts import refusal

BALANCE = "balance"
_RANDOM = 6


def by_balance(db: Database, user: int, which: int, unit: int) -> Row:
    """Buy a plan; its row. Raises ``Conflict`` where the plan may not be paid so or the balance is too small."""

    def work(connection: Connection) -> Row:
        now = int(time.time())
        balance = people.held_balance(connection, user)
        plan = catalogue.one(db, which, connection)
        catalogue.buyable(db, plan, user, connection)
        if plan.get("allow_balance_pay") is False:
            raise refusal(Conflict, "plan.balance")
        units = catalogue.cost(plan, unit)
        if balance < units:
            raise refusal(Conflict, "plan.poor", units=units, balance=balance)
        number = f"SUBBALUSR{user}NO{random_text(_RANDOM)}{now}"
        order = {
            "user_id": user,
            "plan_id": which,
            "money": float(plan.get("price_amount") or 0),
            "trade_no": number,
            "payment_method": BALANCE,
            "payment_provider": BALANCE,
            "status": "success",
            "create_time": now,
            "complete_time": now,
        }
        crud.add(db, connection, jobs.PLAN_ORDERS, order)
        if units:
            credit.give_user(connection, user, -units, "plan", number)
        lives.begin(db, connection, plan, user, "order", number, now)
        return plan

    return db.write(work)
