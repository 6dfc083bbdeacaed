"""`gatewright ledger`: verify finds what differs, export writes what was charged."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from engine.ledger import export
from engine.ledger.proof import verify
from engine.storage.rows import audit

ROOT = Path(__file__).resolve().parents[2]


def charge(books, count: int = 3) -> None:
    ledger = books.ledger()
    ledger.start()
    for number in range(count):
        entry = books.entry(number, 10)
        entry.row["other"] = {"usage": {"cache_read": 4}, "price": {"usd": "0.00002", "rule": "m"}, "channel": "c"}
        entry.row["upstream_request_id"] = f"up{number}"
        ledger.put(entry)
    assert ledger.close()


def found(books) -> list[tuple[str, str, int, int | None]]:
    proof = verify(books.db, books.db, books.data / "journal")
    return [(one.holder, one.what, one.expected, one.found) for one in proof.differences]


def test_books_that_agree_have_no_differences(books):
    charge(books)
    assert found(books) == []


def test_every_kind_of_difference_is_listed(books):
    charge(books)
    change = (
        "UPDATE users SET quota = quota + 1, request_count = request_count + 1",
        "UPDATE tokens SET used_quota = used_quota - 2",
        "UPDATE logs SET quota = 11 WHERE request_id = 'r1'",
        "DELETE FROM logs WHERE request_id = 'r2'",
    )
    for sql in change:
        books.db.write(lambda connection, sql=sql: connection.exec_driver_sql(sql).rowcount)
    assert sorted(found(books)) == [
        ("log", "quota", 10, 11),
        ("log", "rows", 1, 0),
        ("token", "used", 30, 28),
        ("user", "balance", 99_970, 99_971),
        ("user", "requests", 3, 4),
    ]


def test_money_that_was_given_is_no_difference(books):
    from engine.accounts.credit import give_user

    charge(books, 1)
    books.db.write(lambda connection: give_user(connection, books.user, 500, "admin"))
    charge(books, 4)
    assert found(books) == []
    assert books.state()[0] == 100_000 - 40 + 500


def test_older_sums_are_listed_apart(books):
    books.db.write(lambda c: c.exec_driver_sql(f"UPDATE users SET used_quota = 77 WHERE id = {books.user}").rowcount)
    charge(books)
    proof = verify(books.db, books.db, books.data / "journal")
    assert proof.agrees
    assert [(one.expected, one.found) for one in proof.older] == [(0, 77)]


def test_a_period_is_exported_as_csv_and_json_lines(books):
    charge(books)
    out = io.StringIO()
    rows = list(audit.calls(books.db, books.db, 0, 2**40))
    assert export.write(rows, out, "csv") == 3
    lines = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [line["upstream_request_id"] for line in lines] == ["up0", "up1", "up2"]
    assert (lines[0]["quota"], lines[0]["usd"], lines[0]["cache_read"], lines[0]["channel"]) == (
        "10",
        "0.00002",
        "4",
        "c",
    )
    assert list(audit.calls(books.db, books.db, 0, 1)) == []


def test_a_formula_in_a_name_is_no_formula_in_the_table():
    row = {"request_id": "r", "created_at": 0, "model": "=1+1", "quota": 1}
    out = io.StringIO()
    export.write([row], out, "csv")
    assert ",'=1+1," in out.getvalue()


def test_the_commands_answer_with_exit_codes(light, lite):
    charge(light)
    path = Path(lite.label.removeprefix("sqlite:///"))
    env = {**os.environ, "SQLITE_PATH": str(path), "GATEWRIGHT_DATA": str(light.data)}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "engine.cli", "ledger", *words]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    done = call("verify")
    assert (done.returncode, "all agree" in done.stdout) == (0, True), done
    lite.write(lambda connection: connection.exec_driver_sql("UPDATE users SET used_quota = 0").rowcount)
    done = call("verify", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["differences"][0]["what"] == "used"
    done = call("export", "--format", "jsonl", "--from", "2020-01-01")
    assert [json.loads(line)["quota"] for line in done.stdout.splitlines()] == [10, 10, 10]
