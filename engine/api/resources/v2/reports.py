"""Sums of calls per hour, for one dimension at a time; of one's own for everybody."""

from __future__ import annotations

import time

from engine.api import uptime as service
from engine.api.fields import Field, Shape, stored
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import ADMIN, NOBODY, ROOT, USER, Answer, Ask
from engine.api.upkeep import tag_places
from engine.catalogue import options
from engine.errors import Invalid, Unauthenticated
from engine.reports import margins, rollups
from engine.storage.rows.api.hours import DAY, DIMENSIONS, FIRST, SLOW, WHOLE, Asked
from engine.storage.rows.calls import Wanted
from engine.texts import refusal

_OWN = dict(
    (
        told("hour", "When it began, in Unix seconds; of what is older than a month, the day."),
        told("value", "Whose: a number or a name; of a pair both, with | between.", "string"),
        told("calls", "Calls that were served."),
        told("errors", "Calls that failed, where these are logged."),
        told("failed", "Those of them that were no fault of the caller's."),
        told("quota", "Quota units that were charged."),
        told("prompt_tokens", "Tokens of input."),
        told("completion_tokens", "Tokens of output."),
        told("seconds", "How long they took together."),
        *(told(f"slow_{seconds}", f"Those that took {seconds} seconds or more.") for seconds in SLOW),
        told("streamed", "Those whose first byte was timed."),
        *(told(f"first_{ms}", f"Those of them whose first byte came after {ms} ms or more.") for ms in FIRST),
        told("lossy", "Calls that lost something in a conversion."),
        told("errors_by_meaning", "Failed calls by what failed.", "object"),
        told("buckets", "Tokens by bucket.", "object"),
    )
)
OWN_SUMS = Shape("OwnSums", _OWN)
_COSTED = told("costed", "Calls whose cost is known: documents say it.")
_COST = told("cost", "What these cost the operator, in dollars.", "string")
_COSTED_QUOTA = told("costed_quota", "What these were charged, in quota units.")
SUMS = Shape("Sums", {**_OWN, **dict((_COSTED, _COST, _COSTED_QUOTA))})
MARGIN = Shape(
    "Margin",
    dict(
        (
            told("value", "Whose: a number or a name; of a pair both, with | between.", "string"),
            told("calls", "Calls that were served."),
            told("quota", "What all of them were charged, in quota units."),
            _COSTED,
            _COSTED_QUOTA,
            told("charged", "The same in dollars.", "string"),
            _COST,
            told("margin", "What is left of it, in dollars.", "string"),
            told("share", "That as a share of what was charged, 1 at most; nothing where nothing was.", "any"),
        )
    ),
)
UPTIME = Shape(
    "Uptime",
    {
        "recorded": Field(kind="boolean", words="Whether failed calls are recorded; else all looks well.", sent=False),
        "public": Field(kind="boolean", words="Whether everybody may ask.", sent=False),
        "models": Field(
            kind="array",
            words="`name`, `uptime` over a month, `hours` (24) and `days` (30), the oldest first: each the share of "
            "calls that were served, 0 to 1, or nothing where there was none.",
            sent=False,
        ),
    },
)
_TIME = {
    "since": Field(kind="integer", words="From when, in Unix seconds; without it a day.", least=0, most=2**40),
    "until": Field(kind="integer", words="Until when; without it now.", least=0, most=2**40),
}
_BY = {
    "dimension": Field(kind="string", words="What is summed by.", choices=tuple(DIMENSIONS)),
    "value": Field(kind="string", words="Of this value alone.", most=160),
}
_MOST = 10_000
"""PERF: rows of an answer, 20 us each."""
_STEPS = {
    "hour": Asked(most=_MOST),
    "day": Asked(span=DAY, most=_MOST),
    "whole": Asked(span=WHOLE, most=_MOST),
}
_STEP = {
    "step": Field(
        kind="string",
        words=f"What sums are of: hours, days, or the whole time (hour is 0). Above {_MOST} rows none is told.",
        choices=tuple(_STEPS),
    )
}


def _span(ask: Ask) -> tuple[int, int]:
    until = _moment(ask, "until", int(time.time()))
    return _moment(ask, "since", until - DAY), until


def _moment(ask: Ask, name: str, default: int) -> int:
    if name not in ask.query:
        return default
    value = ask.whole(name)
    if value is None:
        raise refusal(Invalid, "invalid.type", field=name, what="a whole number")
    return int(stored(name, _TIME[name], value))


def _asked(ask: Ask) -> tuple[str, list[str]]:
    """The dimension, and the one value that is asked for, if any."""
    dimension = stored("dimension", _BY["dimension"], ask.query.get("dimension", "all"))
    value = ask.query.get("value")
    return dimension, [] if value is None else [stored("value", _BY["value"], value)]


def hourly(ask: Ask) -> Answer:
    """Sums by one dimension."""
    dimension, values = _asked(ask)
    worker = ask.worker
    report = rollups.report(
        *(worker.db, worker.log_db, dimension, *_span(ask)),
        values=values,
        tags=tag_places(worker.snapshot),
        asked=_STEPS[stored("step", _STEP["step"], ask.query.get("step", "hour"))],
    )
    return _answer(SUMS, report)


def own(ask: Ask) -> Answer:
    """The caller's sums by model."""
    user, worker = ask.user.id, ask.worker
    wanted = Wanted(user=user)
    report = rollups.report(
        *(worker.db, worker.log_db, "user_model", *_span(ask)),
        begins=f"{user}|",
        wanted=wanted,
        asked=_STEPS[stored("step", _STEP["step"], ask.query.get("step", "hour"))],
    )
    mine = {(name, value.partition("|")[2], hour): sums for (name, value, hour), sums in report.sums.items()}
    return _answer(OWN_SUMS, rollups.Report(mine, report.whole))


def _answer(shape: Shape, report: rollups.Report) -> Answer:
    rows = [shape.tell(row) for row in rollups.told(report.sums)]
    return Answer(rows, beside={"next": None, "whole": report.whole})


def margin(ask: Ask) -> Answer:
    """What calls were charged and what they cost, by one dimension, the dearest first."""
    dimension, values = _asked(ask)
    worker = ask.worker
    report = rollups.report(
        *(worker.db, worker.log_db, dimension, *_span(ask)),
        values=values,
        tags=tag_places(worker.snapshot),
        asked=Asked(margins.KEPT, parts=False, span=WHOLE, most=_MOST),
    )
    rows = margins.rows(report.sums, options.value_of(worker.options, "QuotaPerUnit"))
    return Answer(rows, beside={"next": None, "whole": report.whole})


def uptime(ask: Ask) -> Answer:
    """How well the models of one's groups answered; to everybody, where the operator says so, those of new users."""
    public = service.public(ask)
    if ask.person is None and not public:
        raise refusal(Unauthenticated, "auth.none")
    models = [
        {"name": one.name, "uptime": one.share, "hours": one.hours, "days": one.days} for one in service.answered(ask)
    ]
    return Answer({"recorded": ask.worker.settings.error_log_enabled, "public": public, "models": models})


ROUTES = (
    Operation("GET", f"{PREFIX}/uptime", NOBODY, uptime, words="How well models answered.", gives=UPTIME),
    Operation(
        *("GET", f"{PREFIX}/reports/hours", ADMIN, hourly),
        words="Calls per hour.",
        gives=SUMS,
        many=True,
        paged=False,
        query={**_BY, **_TIME, **_STEP},
        right="log.read",
        heavy=True,
    ),
    Operation(
        *("GET", f"{PREFIX}/reports/margin", ROOT, margin),
        words="What calls were charged and what they cost, of those whose cost is known.",
        gives=MARGIN,
        many=True,
        paged=False,
        query={**_BY, **_TIME},
        heavy=True,
    ),
    Operation(
        *("GET", f"{PREFIX}/me/reports/hours", USER, own),
        words="The caller's calls per hour and model.",
        gives=OWN_SUMS,
        many=True,
        paged=False,
        query={**_TIME, **_STEP},
    ),
)
