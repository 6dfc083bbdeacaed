"""Monthly statements as CSV: one's own, a team's, and for administrators anybody's."""

from __future__ import annotations

from engine.accounts.orders import unit_of
from engine.accounts.teams import standing
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.errors import NotFound
from engine.reports import statements
from engine.storage.rows import people
from engine.texts import refusal

_MONTH = {"month": Field(kind="string", words="The month, such as 2026-03; left out, the running one.", most=7)}
STATEMENT = Shape("Statement", dict(told(name, "A column.", "string") for name in statements.COLUMNS))


def _sent(ask: Ask, which: int) -> Answer:
    row = people.by_id(ask.worker.db, which, deleted=True)
    if row is None:
        raise refusal(NotFound, "not_found")
    statement = statements.of(ask.worker.db, row, ask.query.get("month", ""))
    name = f'attachment; filename="statement-{which}-{statement.month}.csv"'
    headers = {"content-type": "text/csv; charset=utf-8", "content-disposition": name}
    return Answer(stream=statements.as_csv(statement, unit_of(ask.worker.options)), headers=headers)


def own(ask: Ask) -> Answer:
    """One's own statement of a month."""
    return _sent(ask, ask.user.id)


def of_user(ask: Ask) -> Answer:
    """A user's statement of a month."""
    return _sent(ask, ask.number())


def of_team(ask: Ask) -> Answer:
    """A team's statement of a month, for who may see its use."""
    standing.of(ask.worker.db, ask.user, ask.number()).need("usage")
    return _sent(ask, ask.number())


def _operation(path: str, role: int, call: object, words: str, right: str = "") -> Operation:
    return Operation(
        *("GET", f"{PREFIX}/{path}/statement", role, call),  # type: ignore[arg-type]
        words=words,
        gives=STATEMENT,
        stream=("text/csv",),
        query=_MONTH,
        heavy=True,
        right=right,
    )


ROUTES = (
    _operation("me", USER, own, "One's own statement of a month, as CSV."),
    _operation("users/:id", ADMIN, of_user, "A user's statement of a month, as CSV.", "user.read"),
    _operation("teams/:id", USER, of_team, "A team's statement of a month, as CSV."),
)
