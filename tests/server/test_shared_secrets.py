"""Machines of one database run with the same secrets: another one's start ends with words that say which differs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import Conflict
from engine.storage.database import Database, open_database
from engine.storage.releases import agreement, machines
from tests.databases import server_database
from tests.support import ROOT, Gateway, free_port

SECRETS = {"SESSION_SECRET": "one for sessions", "CRYPTO_SECRET": "one for rows"}


def start(data: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A start that is to end by itself."""
    command = [sys.executable, "-m", "engine.cli", "serve", "--data", str(data), "--bind", "127.0.0.1"]
    environ = {**os.environ, **env}
    return subprocess.run(
        [*command, "--port", str(free_port())], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120
    )


def test_a_second_machine_with_another_secret_is_refused_in_words(tmp_path: Path) -> None:
    with server_database("postgresql", tmp_path) as settings:
        dsn = {"SQL_DSN": settings.sql_dsn}
        first = Gateway(tmp_path / "one", env={**dsn, **SECRETS, "NODE_NAME": "one"})
        try:
            first.ready()
            for name, said in (
                ("CRYPTO_SECRET", "CRYPTO_SECRET is not the one that the machine 'one' on the same database runs with"),
                ("SESSION_SECRET", "SESSION_SECRET is not set here, but the machine 'one'"),
            ):
                other = "another" if "not the one" in said else ""
                done = start(tmp_path / name, {**dsn, **SECRETS, name: other, "NODE_NAME": "two"})
                assert done.returncode == 1
                assert f"gatewright: {said}" in done.stderr
                assert f"set {name} to theirs" in done.stderr
                assert "Traceback" not in done.stderr
                assert "another" not in done.stderr, "no secret is told"
            db = open_database(settings, migrate=False)
            assert [machine.name for machine in machines.listed(db)] == ["one"]
            second = Gateway(tmp_path / "CRYPTO_SECRET", env={**dsn, **SECRETS, "NODE_NAME": "two"})
            try:
                second.wait_for("gatewright .* at http")
                assert [machine.name for machine in machines.listed(db)] == ["one", "two"]
            finally:
                assert second.stop() == 0
            db.close()
        finally:
            assert first.stop() == 0
        turned = Gateway(tmp_path / "one", env={**dsn, **SECRETS, "SESSION_SECRET": "of tomorrow"})
        try:
            turned.wait_for("gatewright .* at http")
        finally:
            assert turned.stop() == 0


def began(db: Database, **secrets: str) -> None:
    agreement.join(db, "first", {**SECRETS, **secrets})


def test_fingerprints_tell_nothing_but_whether_secrets_are_the_same(lite: Database) -> None:
    began(lite)
    (row,) = machines.listed(lite)
    told = row.report["secrets"]
    assert set(told) == {"salt", *SECRETS}
    other = agreement.fingerprints(lite, {**SECRETS, "CRYPTO_SECRET": SECRETS["SESSION_SECRET"]})
    assert other["SESSION_SECRET"] == told["SESSION_SECRET"], "one salt for all machines"
    assert other["CRYPTO_SECRET"] not in told.values(), "one text is two fingerprints under two names"


def test_a_machine_that_is_silent_binds_nobody(lite: Database) -> None:
    began(lite)
    (row,) = machines.listed(lite)
    with pytest.raises(Conflict, match="CRYPTO_SECRET is not the one"):
        agreement.join(lite, "second", {**SECRETS, "CRYPTO_SECRET": "x"})
    assert [machine.id for machine in machines.listed(lite)] == ["first"]
    machines.report(lite, replace(row, seen_at=row.seen_at - machines.SILENT - 2))
    agreement.join(lite, "second", {**SECRETS, "CRYPTO_SECRET": "x"})
    assert {machine.id for machine in machines.listed(lite)} == {"first", "second"}


def test_a_machine_begins_anew_with_other_secrets(lite: Database) -> None:
    began(lite)
    began(lite, CRYPTO_SECRET="x")


def test_where_no_session_secret_is_set_the_second_machine_is_told(lite: Database) -> None:
    nothing = dict.fromkeys(SECRETS, "")
    assert agreement.join(lite, "first", nothing) == []
    assert "SESSION_SECRET is not set" in agreement.join(lite, "second", nothing)[0]


def test_a_machine_of_an_older_program_binds_nobody(lite: Database) -> None:
    began(lite)
    (row,) = machines.listed(lite)
    machines.report(lite, replace(row, report={"faults": []}))
    assert agreement.join(lite, "second", {**SECRETS, "CRYPTO_SECRET": "x"}) == []
