"""The models that plans and subscriptions pay for, as rows. Nothing stands here of those that pay for all."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from engine.storage.database import Database
from engine.storage.rows import crud
from engine.storage.tables.own import plan_models

PLAN, SUBSCRIPTION = "plan", "subscription"


def put(connection: Connection, holder: str, which: int, models: Sequence[str]) -> None:
    """Have a plan or a subscription pay for these, or for all where there are none."""
    place = (plan_models.c.holder == holder, plan_models.c.holder_id == which)
    connection.execute(delete(plan_models).where(*place))
    if models:
        connection.execute(insert(plan_models).values(holder=holder, holder_id=which, models="\n".join(models)))


def of(db: Database, holder: str, connection: Connection | None = None, which: int = 0) -> dict[int, list[str]]:
    """The models of all of these, or of one, by id."""
    if plan_models.name not in db.columns:
        return {}
    where = [plan_models.c.holder == holder, *([plan_models.c.holder_id == which] if which else [])]
    if connection is None:
        rows = crud.listed(db, plan_models, where)
        return {row["holder_id"]: str(row["models"]).split("\n") for row in rows}
    chosen = select(plan_models.c.holder_id, plan_models.c.models).where(*where)
    return {row[0]: str(row[1]).split("\n") for row in connection.execute(chosen)}
