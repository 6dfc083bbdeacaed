"""``gatewright prices``: the real command on a database, with another gateway on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.catalogue import options
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows import options as rows
from tests.support import ROOT
from tests.upstreams.prices import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    one = Shop()
    yield one
    one.close()


def stored(data: Path) -> dict[str, Any]:
    db = open_database(Settings(data=data))
    try:
        return {name: json.loads(rows.load(db).get(name, "{}")) for name in ("ModelRatio", "ModelPrice")}
    finally:
        db.close()


@pytest.mark.timeout(600)
def test_a_plan_is_read_agreed_to_and_taken_up(tmp_path: Path, shop: Shop) -> None:
    shop.prices = {"model_ratio": {"a": 0.5, "b": 9.0, "c": 0, "new": 1.5}, "model_price": {"drawn": 0.4}}
    db = open_database(Settings(data=tmp_path))
    own = {"ModelRatio": {"a": 1.0, "b": 2.0, "c": 3.0}, "ModelPrice": {"drawn": 0.5}}
    options.put_all(db, {}, {name: json.dumps(table) for name, table in own.items()}, 0)
    db.close()
    env = {**os.environ, "GATEWRIGHT_DATA": str(tmp_path), "GATEWRIGHT_EGRESS_ALLOW": "127.0.0.1"}
    for name in ("SQL_DSN", "SQLITE_PATH", "GATEWRIGHT_SPECS"):
        env.pop(name, None)

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "engine.cli", "prices", *words, "--url", shop.base, "--rise", "0.2"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    code, told = run("plan")
    assert code == 2, told
    lines = [re.split(r"  +", line) for line in told.splitlines()]
    assert ["a", "model_ratio", "1", "0.5"] in lines
    assert ["b", "model_ratio", "2", "9", "it rises by more than --rise"] in lines
    assert ["c", "model_ratio", "3", "0", "it would be free"] in lines
    assert ["new", "model_ratio", "-", "1.5"] in lines
    assert stored(tmp_path) == own
    plan = re.search(r"^plan (\w{32})$", told, re.MULTILINE)
    assert plan is not None
    code, told = run("apply", "--plan", "0" * 32)
    assert (code, stored(tmp_path)) == (1, own), told
    code, told = run("apply", "--plan", plan[1], "--agree", "c", "--json")
    assert code == 2, told
    assert {change["model"] for change in json.loads(told)["changes"]} == {"a", "c", "new", "drawn"}
    after = {"ModelRatio": {"a": 0.5, "b": 2.0, "c": 0, "new": 1.5}, "ModelPrice": {"drawn": 0.4}}
    assert stored(tmp_path) == after
    shop.prices = {"model_ratio": {"b": 2.1}}
    code, told = run("plan", "--json")
    assert (code, json.loads(told)["held"]) == (0, 0)
    code, told = run("apply", "--plan", json.loads(told)["plan"])
    assert (code, "1 prices are taken up; 0 models wait" in told) == (0, True)
    assert run("plan") == (0, "no price is another\n")
    assert run("plan", "--channel", "1")[0] == 2
