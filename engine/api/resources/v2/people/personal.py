"""What a team's own systems do: provision people, hand out what is kept of one, erase one."""

from __future__ import annotations

from engine.accounts import personal
from engine.accounts.factors import proofs
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import STATES, told
from engine.api.resources.v2.people.users import USER_SHAPE
from engine.api.rights import prove
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.errors import NotFound
from engine.reports import personal as reports
from engine.storage.rows import people
from engine.storage.rows.crud import Row
from engine.texts import refusal

PROVISION = Shape(
    "Provision",
    {
        "display_name": Field(kind="string", words="The name that is shown.", least=1, most=20),
        "email": Field(kind="string", words="Its address, that nobody else has.", most=254),
        "group": Field(kind="string", words="The group that decides models and prices.", least=1, most=64),
        "remark": Field(kind="string", words="A note of administrators.", most=255),
        "status": Field(kind="string", words="Whether it is let in.", codes=STATES),
        "password": Field(
            kind="string",
            words="Counts where the user is made by this call; without it nobody signs in by a password.",
            told=False,
            least=8,
            most=20,
        ),
    },
)
ERASED = Shape(
    "Erased",
    dict((told("id", "The number that stays in the books."), told("log_rows", "How many log rows lost the name."))),
)
EXPORT = Shape(
    "PersonalData",
    dict(
        (
            told("exported_at", "When, in Unix seconds."),
            told("user", "The account.", "object"),
            *((name, Field(kind="array", words=words, sent=False)) for name, words in reports.LISTS.items()),
        )
    ),
)


def provision(ask: Ask) -> Answer:
    """Make a user, or change what is sent of the one who has the name; again it changes nothing."""
    row, is_new = personal.provision(ask.worker.db, ask.user, ask.path["username"], ask.values)
    headers = {"location": f"{PREFIX}/users/{row['id']}"} if is_new else {}
    return Answer(USER_SHAPE.tell(row), status=201 if is_new else 200, headers=headers)


def erase(ask: Ask) -> Answer:
    """Erase a user of a lower role for good; its calls stay in the books under its number."""
    which = ask.number()
    prove(ask, proofs.SECURE)
    return Answer(personal.erase(ask.worker.db, ask.worker.log_db, ask.user, which))


def _sent(ask: Ask, row: Row) -> Answer:
    name = f'attachment; filename="user-{row["id"]}.json"'
    headers = {"content-type": "application/json", "content-disposition": name}
    return Answer(stream=reports.export(ask.worker.db, ask.worker.log_db, row), headers=headers)


def export(ask: Ask) -> Answer:
    """All that is kept of a user."""
    row = people.by_id(ask.worker.db, ask.number(), deleted=True)
    if row is None:
        raise refusal(NotFound, "not_found")
    return _sent(ask, row)


def own(ask: Ask) -> Answer:
    """All that is kept of who asks."""
    return _sent(ask, ask.user.row)


ROUTES = (
    Operation(
        *("PUT", f"{PREFIX}/users/by-name/:username", ADMIN, provision),
        words="Have a user be as it is told, made where there is none; the same call again changes nothing.",
        takes=PROVISION,
        gives=USER_SHAPE,
        also=(201,),
        right="user.write",
    ),
    Operation(
        *("GET", f"{PREFIX}/users/:id/export", ADMIN, export),
        words="All that is kept of a user, as JSON.",
        gives=EXPORT,
        stream=("application/json",),
        heavy=True,
        right="user.read",
    ),
    Operation(
        *("GET", f"{PREFIX}/me/export", USER, own),
        words="All that is kept of who asks, as JSON.",
        gives=EXPORT,
        stream=("application/json",),
        heavy=True,
    ),
    Operation(
        *("POST", f"{PREFIX}/users/:id/erase", ADMIN, erase),
        words="Erase a user for good: names, addresses, keys; its calls stay in the books under its number.",
        gives=ERASED,
        right="user.write",
    ),
)
