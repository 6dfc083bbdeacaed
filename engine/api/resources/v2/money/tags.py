"""Tags that calls are counted for: those of an account's calls, or of everybody's; budgets bind them."""

from __future__ import annotations

from engine.accounts import budgets as rules
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import ID, MADE, page
from engine.api.route import ADMIN, Answer, Ask
from engine.storage.rows.budgets import TAG

SHAPE = Shape(
    "Tag",
    {
        "id": ID,
        "name": Field(kind="string", words="As calls say it.", least=1, most=64, needed=True, filtered=True),
        "user_id": Field(
            kind="integer",
            words="The account, a user's or a team's, whose calls it counts; 0: everybody's.",
            least=0,
            most=2**53,
            filtered=True,
        ),
        "created_at": MADE,
    },
)


def listed(ask: Ask) -> Answer:
    """Tags that calls or keys are counted for."""
    return page(ask, "gatewright_labels", SHAPE, kind=TAG)


def create(ask: Ask) -> Answer:
    """Make a tag, so that budgets can bind it."""
    row = rules.add_tag(ask.worker.db, ask.values["name"], ask.values.get("user_id") or 0)
    return Answer(SHAPE.tell(row), headers={"location": f"{PREFIX}/tags/{row['id']}"})


def delete(ask: Ask) -> Answer:
    """Take a tag away, with its budgets."""
    rules.drop_tag(ask.worker.db, ask.number())
    return Answer()


ROUTES = (
    Operation(
        *("GET", f"{PREFIX}/tags", ADMIN, listed),
        words="Tags that budgets can bind.",
        gives=SHAPE,
        many=True,
        right="budget.read",
    ),
    Operation(
        *("POST", f"{PREFIX}/tags", ADMIN, create),
        words="Make a tag that budgets can bind.",
        takes=SHAPE,
        gives=SHAPE,
        status=201,
        makes=True,
        right="budget.write",
    ),
    Operation(
        *("DELETE", f"{PREFIX}/tags/:id", ADMIN, delete),
        words="Take a tag away, with its budgets; calls may have it as before.",
        status=204,
        right="budget.write",
    ),
)
