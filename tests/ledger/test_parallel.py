"""Two hundred calls of one user at once, through four workers, while its account is changed from elsewhere."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.accounts import redemptions, users
from engine.accounts.keys import create_key, revoke_key
from engine.storage.database import open_database
from tests.soak.site import Seen, Site
from tests.support import PATIENCE

pytestmark = pytest.mark.xdist_group("ledger-crash")
CALLS = 200


def test_parallel_calls_and_changes_of_one_user_all_succeed(crowds: Callable[[str], Site], kind: str) -> None:
    site = crowds(kind)
    site.payer("parallel", 10**12)
    before, said_before = len(site.rows()), len(site.said())
    seen, over, failed = Seen(), threading.Event(), []
    command = [sys.executable, "-m", "engine.cli", "key", "list"]
    env = {"PATH": "", "GATEWRIGHT_DATA": str(site.settings.data), "SQL_DSN": site.settings.sql_dsn}

    def change() -> None:
        db = open_database(site.settings, migrate=False)
        try:
            while not over.is_set():
                users.change_quota(db, site.user, add=3)
                code = redemptions.create(db, "c", 5, creator=site.user)[0]
                redemptions.redeem(db, db, code, site.user)
                revoke_key(db, create_key(db, site.user, "more").token_id)
        except Exception as error:
            failed.append(error)
        finally:
            db.close()

    others = [threading.Thread(target=change) for _ in range(2)]
    try:
        for other in others:
            other.start()
        with ThreadPoolExecutor(CALLS) as pool:
            sent = [pool.submit(site.send, number, "whole", seen) for number in range(1, CALLS + 1)]
            told = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
            for one in sent:
                one.result()
        over.set()
        for other in others:
            other.join()
        assert (told.returncode, told.stderr) == (0, "")
        assert failed == []
        assert seen.statuses == {"200": CALLS}
        assert site.settle().agrees
        rows = [(int(name[1:]), quota) for name, quota, _ in site.rows()]
        own = {number: quota for number, quota in rows if number <= CALLS}
        assert own == {number: 10 + number for number in range(1, CALLS + 1)}
        assert len(rows) - before == CALLS
        said = site.said()[said_before:].lower()
        assert not [word for word in ("locked", "deadlock", "traceback", "is away") if word in said], said[-3000:]
    finally:
        over.set()
