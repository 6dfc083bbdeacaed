"""A vendor's bill beside our own cost: what agrees, what differs, what only one of the two has."""

from __future__ import annotations

import pytest

from engine.errors import Invalid
from engine.reports import reconciling
from engine.storage.rows.api import hours

DAY = 1_767_225_600  # 2026-01-01
COLUMNS = {"day": "date", "model": "model", "amount": "amount"}
NANO = 10**9


def sums(*rows: tuple[int, str, int]) -> hours.Sums:
    answer: hours.Sums = {}
    for hour, model, cost in rows:
        hours.put(answer, ("channel_model", f"7|{model}", hour), {"cost": cost, "calls": 1, "costed": 1})
    return answer


def test_days_and_models_are_set_side_by_side_the_largest_difference_first() -> None:
    text = "\ufeffdate,model,amount,more\n2026-01-01,large,$1.50,x\n2026-01-01T07:00:00Z,large,0.25,\n"
    text += '2026-01-02,vendors-name,"1,000.00",\n2026-01-02,theirs,2,\n'
    bill = reconciling.bill_of(text, COLUMNS, {"vendors-name": "small"})
    assert reconciling.days_of(bill) == (DAY, DAY + 2 * hours.DAY - 1)
    ours = sums((DAY, "large", NANO), (DAY + 3600, "large", 3 * NANO // 4), (DAY + hours.DAY, "small", 999 * NANO))
    ours |= sums((DAY + hours.DAY, "ours", 1))
    told = reconciling.compare(bill, ours)
    assert [(row["day"], row["model"], row["difference"]) for row in told["rows"]] == [
        ("2026-01-02", "theirs", "2"),
        ("2026-01-02", "small", "1"),
        ("2026-01-02", "ours", "-0.000000001"),
        ("2026-01-01", "large", "0"),
    ]
    assert (told["ours"], told["theirs"]) == ("1000.750000001", "1003.75")
    assert {row["model"]: row["calls"] for row in told["rows"]} == {"theirs": 0, "small": 1, "ours": 1, "large": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column 'date'"),
        ("date,model\n2026-01-01,a\n", "column 'amount'"),
        ("date,model,amount\n", "Line 2 .*line of the bill"),
        ("date,model,amount\n2026-01-01,a,1\nyesterday,a,1\n", "Line 3 .*day"),
        ("date,model,amount\n2026-01-01,a,much\n", "Line 2 .*amount"),
        ("date,model,amount\n2026-01-01,a,NaN\n", "Line 2 .*amount"),
        ("date,model,amount\n2026-01-01\n", "Line 2 .*amount"),
        ('date,model,amount\n2026-01-01,"' + "x" * 140_000, "CSV"),
    ],
)
def test_a_bill_that_can_not_be_read_names_its_line(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        reconciling.days_of(reconciling.bill_of(text, COLUMNS, {}))
