"""Notices: what the caller chose to be told of and how; and for administrators what could not leave."""

from __future__ import annotations

from typing import Any

from engine.accounts.people import Person
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation, matches
from engine.api.refusals import Told
from engine.api.resources.v2.common import ID, page, told
from engine.api.resources.v2.webhooks import TRIED, tried
from engine.api.route import ADMIN, USER, Answer, Ask
from engine.errors import NotFound
from engine.notices import choice
from engine.storage.rows import people
from engine.storage.rows.work import outbox as rows
from engine.storage.tables.outbox import outbox
from engine.texts import refusal

CHOICE = Shape(
    "NoticeChoice",
    {
        "way": Field(kind="string", words="The way on which the caller is told: the name of one of ways.", most=64),
        "threshold": Field(
            kind="number", words="The balance in quota units below which the caller is told.", least=1, most=2**53
        ),
        "events": Field(kind="object", words="By the name of an event whether the caller is told of it."),
        "setting": Field(
            kind="object", words="What the ways need, by name; of a secret only whether it is set is told."
        ),
        "ways": told("ways", "The ways that there are, with what each needs and whether it is ready.", "array")[1],
    },
)
LETTER = Shape(
    "DeadLetter",
    {
        "id": ID,
        **dict(
            (
                told("message", "The id that its receiver knows it by.", "string", filtered=True),
                told("kind", "notice to a person, webhook, or event.", "string", filtered=True),
                told("target", "To whom.", "string", filtered=True),
                told("about", "The event that it tells of.", "string", filtered=True),
                told("body", "What it tells.", "object"),
                told("tries", "How often it was tried."),
                told("error", "Why the last try failed.", "string"),
            )
        ),
        "created_at": Field(
            kind="integer", words="When it was put in, in Unix seconds.", sent=False, filtered=True, sorted=True
        ),
    },
)


def chosen(ask: Ask) -> Answer:
    """What the caller chose."""
    return Answer(choice.shown(ask.worker.notices.ground(), ask.user))


def choose(ask: Ask) -> Answer:
    """Change what is sent of that."""
    db, ground = ask.worker.db, ask.worker.notices.ground()
    ask.before = choice.shown(ground, ask.user)
    if not matches(ask, CHOICE, ask.before):
        raise Told.of("v2.match", 412, "precondition_failed")
    choice.choose(db, ground, ask.user, ask.values)
    row = people.by_id(db, ask.user.id)
    return Answer(choice.shown(ground, Person(row) if row is not None else ask.user))


def attempt(ask: Ask) -> Answer:
    """Tell the caller that the chosen way works, now."""
    return Answer(tried(ask.worker.notices.try_person(ask.user)))


def letters(ask: Ask) -> Answer:
    """What could not leave."""
    return page(ask, outbox.name, LETTER, state=rows.DEAD)


def letter(ask: Ask) -> Answer:
    """One of them."""
    row = rows.one(ask.worker.db, ask.number())
    if row is None or row["state"] != rows.DEAD:
        raise refusal(NotFound, "not_found")
    return Answer(LETTER.tell(row))


def again(ask: Ask) -> Answer:
    """Try one again."""
    return _done(rows.again(ask.worker.db, ask.number()))


def drop(ask: Ask) -> Answer:
    """Forget one."""
    return _done(rows.drop(ask.worker.db, ask.number()))


def _done(there: Any) -> Answer:
    if not there:
        raise refusal(NotFound, "not_found")
    return Answer()


_MINE, _ALL = f"{PREFIX}/me/notices", f"{PREFIX}/dead-letters"
ROUTES = (
    Operation("GET", _MINE, USER, chosen, words="What the caller is told of, and how.", gives=CHOICE),
    Operation(
        "PATCH",
        _MINE,
        USER,
        choose,
        words="Change what the caller is told of.",
        takes=CHOICE,
        gives=CHOICE,
        guarded=True,
    ),
    Operation("POST", f"{_MINE}/test", USER, attempt, words="Tell the caller something now.", gives=TRIED),
    Operation("GET", _ALL, ADMIN, letters, words="What could not leave.", gives=LETTER, many=True, right="outbox.read"),
    Operation("GET", f"{_ALL}/:id", ADMIN, letter, words="A dead letter.", gives=LETTER, right="outbox.read"),
    Operation(
        *("POST", f"{_ALL}/:id/again", ADMIN, again),
        words="Try a dead letter again, from the start.",
        status=204,
        right="outbox.write",
    ),
    Operation("DELETE", f"{_ALL}/:id", ADMIN, drop, words="Forget a dead letter.", status=204, right="outbox.write"),
)
