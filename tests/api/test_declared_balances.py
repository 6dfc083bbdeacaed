"""What operators say was paid in, counted down by what calls cost them, as a running gateway does it by itself."""

from __future__ import annotations

import datetime
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import insert, select, update

from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows.work import spent
from engine.storage.rows.work.paid import PaidIn
from engine.storage.tables import core, own
from tests.relay import plain
from tests.relay.scripted import Say, Upstream
from tests.support import Gateway, until

ON, BY_ITSELF = 1, 3
JOB = "channels.paid"
TODAY = str(datetime.datetime.now(datetime.UTC).date())
COST = 0.25
PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: calls}
spec: {models: [{match: ".*", call: 0.5}]}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: our-cost}
spec: {cost: {channels: [row, declared, quiet]}, models: [{match: ".*", call: 0.25}]}
"""
ROUTE = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: prepaid}
spec: {baseUrl: "BASE", formats: {openai.chat: {path: /v1/chat/completions}}, auth: {scheme: none}}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: paid-in}
spec:
  channels:
    - name: declared
      provider: prepaid
      models: [of-declared]
      balance: {paid: 1.1, since: "TODAY", warnBelow: 0.5, setAside: true}
"""


class Site:
    """A gateway with a channel of a row and one of a document, at each of which a little was paid in."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.upstream = Upstream()
        self.upstream.script = self.script
        self.db: Database = open_database(Settings(data=data))
        for number, (name, rule) in enumerate(
            {
                "row": {"paid": 1, "since": TODAY, "warnBelow": 0.6, "setAside": True},
                "quiet": {"paid": 0.3, "since": TODAY},
            }.items(),
            1,
        ):
            values = {"id": number, "name": name, "type": 1, "status": ON, "key": f"k-{name}", "group": "default"}
            values |= {"models": f"of-{name}", "base_url": self.upstream.base, "auto_ban": 1}
            values |= {"settings": json.dumps({"balance": rule})}
            self.db.write(lambda c, values=values: c.execute(insert(core.channels).values(**values)).rowcount)
        self.start()
        self.headers = self.gateway.root()
        events = ["channel.low", "channel.aside", "channel.back"]
        hook = {"name": "told", "url": f"{self.upstream.base}/told", "events": events}
        made = requests.post(f"{self.gateway.base}/api/v2/webhooks", json=hook, headers=self.headers, timeout=60)
        assert made.status_code in (200, 201), made.text

    def start(self) -> None:
        """Begin, or begin again on the same data."""
        specs = {
            "prices.yaml": PRICES,
            "route.yaml": ROUTE.replace("BASE", self.upstream.base).replace("TODAY", TODAY),
        }
        env = dict.fromkeys(("GATEWRIGHT_EGRESS_ALLOW", "GATEWRIGHT_FETCH_ALLOW"), f"127.0.0.1:{self.upstream.port}")
        self.gateway = Gateway(self.data, specs=specs, env=env, priced=True).ready()

    def script(self, say: Say) -> None:
        say.whole({} if say.arrived.path == "/told" else plain.whole("openai.chat", "ok"))

    def call(self, channel: str) -> int:
        body = {"model": f"of-{channel}", "messages": [{"role": "user", "content": "River?"}]}
        return self.gateway.post("/v1/chat/completions", body).status_code

    def count(self) -> str:
        """Have them counted down once more; what came of it, once all calls so far stand in the log."""
        asked = len([arrived for arrived in self.upstream.got if arrived.path != "/told"])
        until(lambda: self.logged() == asked)
        due = update(own.jobs).where(own.jobs.c.name == JOB)
        until(lambda: self.job() is not None)
        self.db.write(lambda c: c.execute(due.values(next_at=0, last_at=0, result="")))
        until(lambda: self.job()["last_at"])
        return str(self.job()["result"])

    def logged(self) -> int:
        with self.db.read() as reader:
            return len(reader.execute(select(core.logs.c.id).where(core.logs.c.type == 2)).all())

    def job(self) -> Any:
        with self.db.read() as reader:
            return reader.execute(select(own.jobs).where(own.jobs.c.name == JOB)).mappings().one_or_none()

    def row(self, number: int) -> Any:
        with self.db.read() as reader:
            return reader.execute(select(core.channels).where(core.channels.c.id == number)).mappings().one()

    def tells(self, *events: tuple[str, str]) -> None:
        """Wait until just these events were told so far, each with the name of its channel."""
        want = sorted(events)
        until(lambda: self.told() == want, words=self.told)

    def told(self) -> list[tuple[str, str]]:
        arrived = [json.loads(arrived.body) for arrived in self.upstream.got if arrived.path == "/told"]
        return sorted((body["type"], body["data"]["name"]) for body in arrived)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    try:
        yield made
    finally:
        made.gateway.stop()
        made.upstream.close()
        made.db.close()
    assert "Traceback" not in made.gateway.output, made.gateway.output


def test_what_was_paid_in_is_counted_down_by_cost_and_its_end_is_the_channels(site: Site) -> None:
    assert [site.call(name) for name in ("row", "row", "declared", "quiet")] == [200] * 4
    result = site.count()
    assert result.startswith("3 of 3 declared balances counted down")
    assert "channel row has $0.50 of $1.00 left" in result
    assert site.row(1)["balance"] == 1 - 2 * COST
    assert site.row(1)["balance_updated_time"] > 0
    assert site.row(2)["balance"] == pytest.approx(0.3 - COST)
    site.tells(("channel.low", "row"))  # half is left, and six tenths are to be told

    # killed and begun again: the sum is the ledger's, and nothing is told twice
    site.gateway.stop(signal.SIGKILL)
    site.start()
    assert [site.call(name) for name in ("row", "declared", "declared", "quiet")] == [200] * 4
    site.count()
    assert site.row(1)["balance"] == pytest.approx(1 - 3 * COST)
    assert site.row(2)["balance"] == pytest.approx(0.3 - 2 * COST)
    assert site.row(2)["status"] == ON, "it does not say that it be set aside"
    low = [("channel.low", name) for name in ("row", "declared", "quiet")]
    site.tells(*low)

    assert [site.call(name) for name in ("row", "declared", "declared")] == [200] * 3
    site.count()
    assert site.row(1)["balance"] == 0
    assert site.row(1)["status"] == BY_ITSELF
    assert json.loads(site.row(1)["other_info"])["status_reason"].startswith("what was paid in is used up")
    site.gateway.wait_for(r"channel declared is set aside: what was paid in is used up")
    until(lambda: site.call("declared") == 503)
    until(lambda: site.call("row") == 404)
    assert spent.documents(site.db) == {"declared"}
    site.tells(*low, ("channel.aside", "row"), ("channel.aside", "declared"))


def test_more_that_was_paid_in_brings_a_channel_back(site: Site) -> None:
    for name in ("row", "declared"):
        assert [site.call(name) for _ in range(5 if name == "declared" else 4)].count(200) >= 4
    site.count()
    assert site.row(1)["status"] == BY_ITSELF
    until(lambda: site.call("declared") == 503)
    site.tells(("channel.aside", "row"), ("channel.aside", "declared"))
    asked = len(site.upstream.got)

    settings = json.dumps({"balance": {"paid": 10, "since": TODAY, "warnBelow": 0.1, "setAside": True}})
    url, body = f"{site.gateway.base}/api/channel/", {"id": 1, "settings": settings}
    assert requests.put(url, json=body, headers=site.headers, timeout=60).json()["success"]
    text = ROUTE.replace("BASE", site.upstream.base).replace("TODAY", TODAY).replace("paid: 1.1", "paid: 10")
    site.gateway.write_spec("route.yaml", text)
    site.gateway.wait_for(r"release \w+ compiled[\s\S]*release \w+ compiled", 60)
    assert len(site.upstream.got) == asked
    until(lambda: "left" not in site.count() and site.row(1)["status"] == ON)
    assert site.row(1)["balance"] == pytest.approx(10 - 4 * COST)
    until(lambda: site.call("row") == 200 and site.call("declared") == 200)
    aside = [("channel.aside", "row"), ("channel.aside", "declared")]
    site.tells(*aside, ("channel.back", "row"), ("channel.back", "declared"))
    assert spent.levels(site.db) == {}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("much", "it must be a map"),
        ({"paid": 5}, "since must be a day"),
        ({"paid": -1, "since": TODAY}, "paid must be dollars"),
        ({"paid": True, "since": TODAY}, "paid must be dollars"),
        ({"paid": 5, "since": "tomorrow"}, "since must be a day"),
        ({"paid": 5, "since": TODAY, "warnBelow": 20}, "from 0 to 1"),
        ({"paid": 5, "since": TODAY, "setAside": "yes"}, "true or false"),
        ({"paid": 5, "since": TODAY, "warn": 0.2}, "it has no 'warn'"),
    ],
)
def test_a_declaration_that_can_t_be_read_says_what_is_wrong(said: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        PaidIn.of(said)


def test_money_is_counted_in_billionths() -> None:
    rule = PaidIn.of({"paid": 0.1, "since": "2026-11-01", "warnBelow": 0.2})
    assert (rule.paid, rule.low, rule.since, rule.set_aside) == (100_000_000, 20_000_000, 1_793_491_200, False)
