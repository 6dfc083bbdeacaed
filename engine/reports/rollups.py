"""Sums of calls per hour, kept up to date from the log and read back with what is not summed yet.

A log row gets its number when it is written and may be seen later than one with a higher number; a write ends within
its bound. So only rows up to the number that was the highest half a minute ago are summed: each is counted once,
whatever worker does it, and sums outlive the log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from engine.errors import Invalid
from engine.storage.database import Database
from engine.storage.rows.api import call_tags, gathering, hours
from engine.storage.rows.api.call_tags import EACH, TagNames
from engine.storage.rows.api.hours import ALL, DIMENSIONS, ERROR_PART, TOKEN_PART, Asked, Sums
from engine.storage.rows.calls import Wanted, conditions
from engine.storage.values import NANO
from engine.texts import refusal

SETTLED = 30
"""Seconds after which no write of a log row is still under way."""
KEPT = 30 * hours.DAY
_STRETCH = 1_000
_DAYS = 366
_NAMES = 500
_TAIL = 5_000
"""PERF: rows that are read one by one for a report, 50 ms."""


def follow(db: Database, log_db: Database, *, quota_data: bool, now: float, tags: int = EACH) -> bool:
    """Sum the next stretch of the log; whether there is more of it that may be summed now.

    ``tags``: by how many an account's calls are summed at most.
    """
    with db.read() as reader:
        before = hours.place(reader)
    done, seen, moment, first = _numbers(before)
    if now - moment < SETTLED:
        return False
    to = min(seen, done + _STRETCH)
    # with the last stretch the highest number of now is noted, for half a minute later
    newest = hours.newest(log_db) if to >= seen else seen
    after = f"{to} {newest} {int(now) if to >= seen else moment} {first if before else newest}"
    sums: Sums = {}
    quotas: list[dict[str, Any]] = []
    names = TagNames(db, tags)
    if to > done:
        sums = log_db.aside(lambda: gathering.tally(log_db, DIMENSIONS, tags=names, after=done, to=to) or {})
        # what was there before is another program's to export, and it has done so
        since = max(done, first)
        quotas = log_db.aside(lambda: hours.quota_rows(log_db, since, to)) if quota_data and to > since else []

    def work(connection: Any) -> bool:
        if not hours.move(db, connection, before, after):
            return False
        hours.add(connection, sums)
        names.note(connection, now)
        hours.add_quota(db, connection, quotas)
        return to < seen

    return db.write(work)


def _numbers(text: str) -> tuple[int, int, int, int]:
    done, seen, moment, first = [*map(int, text.split()), 0, 0, 0, 0][:4]
    return done, seen, moment, first


def compact(db: Database, now: float) -> int:
    """Make days of hours that are older than a month, and forget tags that nobody uses any more."""
    call_tags.forget(db, now)
    return hours.compact(db, int(now) - KEPT)


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """``sums`` by dimension, value and hour; ``whole``: all of it is there.

    Of a log of which more than a few thousand rows are not summed yet, sums of cost, first bytes, losses, meanings,
    buckets, releases and tags lag behind, those of calls and charges do not.
    """

    sums: Sums
    whole: bool


def report(
    db: Database,
    log_db: Database,
    dimension: str,
    since: int,
    until: int,
    *,
    values: Iterable[str] = (),
    begins: str = "",
    wanted: Wanted | None = None,
    tags: int = EACH,
    asked: Asked = ALL,
) -> Report:
    """The sums of whole hours between two moments, by value and hour; ``wanted`` is the same filter for the log.

    ``tags`` as for ``follow``. ``Invalid`` where there are more of them than ``asked`` takes.
    """
    if until < since:
        raise refusal(Invalid, "invalid.field", field="until", what="a moment after since")
    if until - since > _DAYS * hours.DAY:
        raise refusal(Invalid, "data.span", days=_DAYS)
    since -= since % hours.HOUR
    chosen = set(values)
    done, answer = _stored(db, dimension, since, until, chosen, begins, asked)
    where = conditions(log_db, dataclasses.replace(wanted or Wanted(), kind=0, since=since, until=until))
    names = TagNames(db, tags)
    tail = log_db.aside(lambda: gathering.tally(log_db, [dimension], *where, tags=names, after=done, most=_TAIL))
    whole = tail is not None
    if tail is None:
        tail = log_db.aside(lambda: gathering.gather(log_db, dimension, *where, after=done))
    for key, numbers in tail.items():
        if (not chosen or key[1] in chosen) and key[1].startswith(begins):
            hours.put(answer, (*key[:2], asked.begin(key[2])), numbers)
    return Report(answer, whole)


def sums(db: Database, log_db: Database, dimension: str, since: int, until: int, **more: Any) -> Sums:
    """The sums of a ``report``."""
    return report(db, log_db, dimension, since, until, **more).sums


def _stored(
    db: Database, dimension: str, since: int, until: int, values: set[str], begins: str, asked: Asked
) -> tuple[int, Sums]:
    """The sums that are kept, and up to which number of the log they go: read until both belong together."""
    with db.read() as reader:
        before = hours.place(reader)
    while True:
        kept = db.aside(lambda: hours.listed(db, dimension, since, until, values, begins, asked))
        if kept is None:
            raise refusal(Invalid, "data.rows", field="since", most=asked.most)
        with db.read() as reader:
            after = hours.place(reader)
        if _numbers(after)[0] == _numbers(before)[0]:
            return _numbers(after)[0], kept
        before = after


def models(db: Database, log_db: Database, pattern: str) -> list[str] | None:
    """The names of models that fit a pattern; nothing where much of the log is not summed, or a name was cut.

    PERF: a list of names is sought in an index, a pattern is held against each row of a month.
    """
    with db.read() as reader:
        done = _numbers(hours.place(reader))[0]
    fresh = gathering.models_after(log_db, done, pattern, _TAIL)
    if fresh is None:
        return None
    known = {*hours.names(db, "model", pattern), *fresh}
    return None if len(known) > _NAMES or any(len(name) >= hours.LONGEST for name in known) else sorted(known)


def told(answer: Sums) -> list[dict[str, Any]]:
    """Sums as rows, by hour and value; cost in dollars."""
    rows = [{"hour": hour, "value": value, **shown(numbers)} for (_, value, hour), numbers in answer.items()]
    return sorted(rows, key=lambda row: (row["hour"], row["value"]))


def shown(numbers: Mapping[str, int]) -> dict[str, Any]:
    """Numbers of sums as they are told."""
    parts = {begin: _parts(numbers, begin) for begin in (ERROR_PART, TOKEN_PART)}
    fixed: dict[str, Any] = {name: number for name, number in numbers.items() if ":" not in name}
    fixed["cost"] = dollars(numbers["cost"])
    return {**fixed, "errors_by_meaning": parts[ERROR_PART], "buckets": parts[TOKEN_PART]}


def _parts(numbers: Mapping[str, int], begin: str) -> dict[str, int]:
    return {name.removeprefix(begin): number for name, number in sorted(numbers.items()) if name.startswith(begin)}


def dollars(cost: int) -> str:
    """Billionths of a dollar in dollars, exactly."""
    return format(Decimal(cost) / NANO, "f")
