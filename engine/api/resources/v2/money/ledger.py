"""What was charged, once for each call, and the proof that balances agree with it."""

from __future__ import annotations

import dataclasses

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.questions import question_of
from engine.api.resources.v2.common import page, told
from engine.api.resources.v2.exports import FORMAT, STREAMED, file_of
from engine.api.route import ROOT, Answer, Ask
from engine.reports import lists, proof, reconciling, rollups

ENTRY = Shape(
    "LedgerEntry",
    dict(
        (
            told("request_id", "The call.", "string", filtered=True),
            told("created_at", "When, in Unix seconds.", filtered=True, sorted=True),
            told("user_id", "Who called.", filtered=True),
            told("token_id", "With which key; 0 for none.", filtered=True),
            told("channel_id", "Through which channel.", filtered=True),
            told("model", "The model.", "string", filtered=True),
            told("quota", "Quota units that were charged.", filtered=True),
            told("cost", "What it cost the operator, in billionths of a dollar; null: nobody says.", nullable=True),
            told("prompt_tokens", "Tokens of input."),
            told("completion_tokens", "Tokens of output."),
            told("counted", "Whether it was served, not only refused.", "boolean"),
            told("source", "Who told its usage.", "string", filtered=True),
            ("tags", Field(kind="array", words="Its tags.", sent=False, lines=",")),
            told("plan", "The plan (user_subscriptions) that paid; 0: the balance.", filtered=True),
        )
    ),
)
PROOF = Shape(
    "LedgerProof",
    dict(
        (
            told("agrees", "Whether every sum is what it should be.", "boolean"),
            told("calls", "Calls in the ledger."),
            told("charged", "Quota units in the ledger."),
            told("users", "Users compared."),
            told("tokens", "Keys compared."),
            told("channels", "Channels compared."),
            told("plans", "Plans of users compared."),
            told("waiting", "Calls in journals, which no sum has yet."),
            told("refused", "Calls that could not be booked."),
            told("served", "Calls whose answer began to reach its caller."),
            told("open", "Calls that are not over."),
            told("lost", "Calls that were served and never booked."),
            told("differences", "What differs: holder, id, what, expected, found.", "array"),
            told("older", "What differed before the first charge.", "array"),
        )
    ),
)


def entries(ask: Ask) -> Answer:
    """The ledger, newest first by time."""
    return page(ask, "gatewright_ledger", ENTRY)


def export(ask: Ask) -> Answer:
    """All entries that fit, as they are read."""
    question = question_of(ask, ENTRY, FORMAT)
    rows = lists.everything(ask.worker.db, "gatewright_ledger", question)
    return file_of(ask, ENTRY, (ENTRY.tell(row) for row in rows), "ledger")


def verify(ask: Ask) -> Answer:
    """Compare users, keys, channels and log rows with the ledger."""
    worker = ask.worker
    result = worker.db.aside(lambda: proof.verify(worker.db, worker.log_db, worker.settings.data))
    return Answer({**dataclasses.asdict(result), "agrees": result.agrees})


def _name(words: str) -> Field:
    return Field(kind="string", words=words, least=1, most=100)


BILL = Shape(
    "Bill",
    {
        "channel": Field(kind="string", words="The channel's number, or a document's name.", needed=True, most=80),
        "csv": Field(kind="string", words="The bill, with a head.", needed=True, least=1, most=4_000_000),
        "day": _name("The column of days; without it `date`. Days are UTC."),
        "model": _name("The column of models; without it `model`."),
        "amount": _name("The column of dollars; without it `amount`."),
        "models": Field(kind="object", words="Our names of models that the vendor calls otherwise."),
    },
)
RECONCILED = Shape(
    "Reconciliation",
    dict(
        (
            told("ours", "What calls cost by our documents, in dollars.", "string"),
            told("theirs", "What the bill says.", "string"),
            told("difference", "How much the bill is above.", "string"),
            told("whole", "Whether all calls are summed already.", "boolean"),
            told("rows", "`day`, `model`, the same three, `calls`, and those of which a cost is known.", "array"),
        )
    ),
)


def reconcile(ask: Ask) -> Answer:
    """Compare a vendor's bill with what calls cost."""
    body, worker = ask.values, ask.worker
    columns = {"day": body.get("day") or "date"} | {name: body.get(name) or name for name in ("model", "amount")}
    models = {str(theirs): str(ours) for theirs, ours in (body.get("models") or {}).items()}
    bill = reconciling.bill_of(body["csv"], columns, models)
    begins = f"{body['channel']}|"
    report = rollups.report(worker.db, worker.log_db, "channel_model", *reconciling.days_of(bill), begins=begins)
    return Answer({**reconciling.compare(bill, report.sums), "whole": report.whole})


ROUTES = (
    Operation(
        *("POST", f"{PREFIX}/ledger/reconcile", ROOT, reconcile),
        words="Compare a vendor's bill with what calls cost, by day and model.",
        takes=BILL,
        gives=RECONCILED,
        makes=True,
        noted=False,
        heavy=True,
    ),
    Operation("GET", f"{PREFIX}/ledger/entries", ROOT, entries, words="What was charged.", gives=ENTRY, many=True),
    Operation(
        *("GET", f"{PREFIX}/ledger/export", ROOT, export),
        words="What was charged, as a file.",
        gives=ENTRY,
        many=True,
        query=FORMAT,
        stream=STREAMED,
        heavy=True,
    ),
    Operation("GET", f"{PREFIX}/ledger/verify", ROOT, verify, words="Prove the books.", gives=PROOF, heavy=True),
)
