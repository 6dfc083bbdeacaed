"""Drawing jobs, tasks and orders as lists ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.rows.crud import Row
from engine.storage.tables import tasks as tables
from engine.storage.tables.auth import custom_oauth_providers
from engine.storage.tables.billing import subscription_orders, top_ups

DRAWINGS, TASKS, ORDERS, PLAN_ORDERS = tables.midjourneys, tables.tasks, top_ups, subscription_orders
PROVIDERS = custom_oauth_providers


def page(
    db: Database,
    table: Table,
    equal: Mapping[str, Any],
    offset: int,
    limit: int,
    *,
    since: int = 0,
    until: int = 0,
) -> tuple[list[Row], int]:
    """A page of rows whose columns have these values, newest first; those of nothing are not looked at."""
    if table.name not in db.columns:
        return [], 0
    where = [table.c[name] == value for name, value in equal.items() if value]
    if since:
        where.append(table.c.submit_time >= since)
    if until:
        where.append(table.c.submit_time <= until)
    rows = crud.listed(db, table, where, [table.c.id.desc()], offset=offset, limit=limit)
    return rows, crud.count(db, table, where, most=10_000)


def one(db: Database, table: Table, **equal: Any) -> Row | None:
    """The first row whose columns have these values."""
    if table.name not in db.columns:
        return None
    return crud.one(db, table, *(table.c[name] == value for name, value in equal.items()))


def pending(db: Database, services: list[str], since: int, until: int, most: int) -> list[Row]:
    """Orders of these services that nobody has paid, made between these moments, the newest first of each kind."""
    rows: list[Row] = []
    for table in (ORDERS, PLAN_ORDERS):
        if "payment_provider" in db.columns.get(table.name, ()):
            where = [table.c.status == "pending", table.c.payment_provider.in_(services)]
            where += [table.c.create_time >= since, table.c.create_time <= until]
            rows += crud.listed(db, table, where, [table.c.id.desc()], limit=most, offset=0)
    return rows


def everything(db: Database, table: Table) -> list[Row]:
    """All rows, by id; 1000 at most."""
    return crud.listed(db, table, (), [table.c.id], limit=1000, offset=0) if table.name in db.columns else []


def add(db: Database, table: Table, values: Mapping[str, Any]) -> int:
    """Make a row."""
    return db.write(lambda connection: crud.add(db, connection, table, values))


def change(db: Database, table: Table, which: int, values: Mapping[str, Any]) -> int:
    """Change a row."""
    return db.write(lambda connection: crud.change(db, connection, table, [table.c.id == which], values))


def remove(db: Database, table: Table, which: int) -> int:
    """Delete a row."""
    return db.write(lambda connection: crud.remove(db, connection, table, [table.c.id == which]))


def settle(db: Database, connection: Connection, table: Table, which: int, status: str, before: str, now: int) -> int:
    """Give an order a new status, if it has the one before still."""
    where = [table.c.id == which, table.c.status == before]
    return crud.change(db, connection, table, where, {"status": status, "complete_time": now})


def held(connection: Connection, table: Table, which: int) -> str:
    """The status of an order, which nobody else changes until the transaction ends."""
    chosen = select(table.c.status).where(table.c.id == which).with_for_update()
    return str(connection.execute(chosen).scalar() or "")


def seen(db: Database, connection: Connection, values: Mapping[str, Any]) -> None:
    """Show an order of a plan among the orders of quota, as it stands now."""
    if not crud.change(db, connection, top_ups, [top_ups.c.trade_no == values["trade_no"]], values):
        crud.add(db, connection, top_ups, values)
