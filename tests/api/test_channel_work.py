"""Tests, balances and new models of channels, as one process of a running gateway does them by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from sqlalchemy import insert, select, update

from engine.api.channel_work import ChannelWork
from engine.catalogue import channel_tests, updates
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.tables import core, own
from tests.relay import plain
from tests.relay.failing import example
from tests.relay.scripted import Arrived, Say, Upstream
from tests.support import PATIENCE, Gateway, until

pytestmark = pytest.mark.xdist_group("channel work")
ON, OFF, BY_ITSELF = 1, 2, 3
LOOKS = json.dumps(
    {"upstream_model_update_check_enabled": True, "upstream_model_update_ignored_models": ["regex:^old-"]}
)
TAKES = json.dumps({"upstream_model_update_check_enabled": True, "upstream_model_update_auto_sync_enabled": True})
CHANNELS: dict[str, dict[str, Any]] = {
    "well": {"models": "m,text-embedding-m"},
    "dead": {"models": "m"},
    "dead-but-kept": {"models": "m", "auto_ban": 0},
    "slow": {"models": "m"},
    "back": {"models": "back", "status": BY_ITSELF, "test_model": "back"},
    "still-dead": {"models": "m", "status": BY_ITSELF},
    "by-hand": {"models": "m", "status": OFF},
    "vectors": {"models": "text-embedding-m"},
    "several": {
        "models": "several",
        "key": "k-on\nk-back\nk-dead\nk-by-hand",
        "channel_info": {
            "is_multi_key": True,
            "multi_key_size": 4,
            "multi_key_mode": "polling",
            "multi_key_status_list": {"1": BY_ITSELF, "2": BY_ITSELF, "3": OFF},
        },
    },
    "poor": {"models": "m"},
    "looks": {"models": "m,gone,mapped", "settings": LOOKS, "model_mapping": json.dumps({"mapped": "up"})},
    "takes": {"models": "m", "settings": TAKES},
    "proxied": {"models": "m", "settings": LOOKS, "setting": json.dumps({"proxy": "http://127.0.0.1:1"})},
}
OPTIONS = {
    "AutomaticDisableChannelEnabled": "true",
    "AutomaticEnableChannelEnabled": "true",
    "ChannelDisableThreshold": "5",
    "monitor_setting.auto_test_channel_enabled": "true",
    "ModelPrice": json.dumps(dict.fromkeys(("m", "back", "several", "text-embedding-m"), 0.5)),
}
BILLED = 250_000


class Site:
    """A gateway whose channels are the rows above; ``results`` are those of its jobs when each was done once."""

    def __init__(self, data: Path) -> None:
        self.upstream = Upstream()
        self.upstream.script = self.script
        self.db: Database = open_database(Settings(data=data))
        self.ids: dict[str, int] = {}
        for number, (name, row) in enumerate(CHANNELS.items(), 1):
            usual = {"type": 1, "status": ON, "key": f"k-{name}", "group": "default", "base_url": self.upstream.base}
            values = {"auto_ban": 1, **usual, "id": number, "name": name, **row}
            self.db.write(lambda c, values=values: c.execute(insert(core.channels).values(**values)).rowcount)
            self.ids[name] = number
        for key, value in OPTIONS.items():
            self.db.write(lambda c, row=(key, value): c.execute(insert(core.options).values(key=row[0], value=row[1])))
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port}", "CHANNEL_UPDATE_FREQUENCY": "60"}
        self.gateway = Gateway(data, specs={"zz.yaml": example("short-tests")}, env=env, priced=True).ready()
        self.headers = self.gateway.root()
        self.results: dict[str, str] = {}
        self.tried: list[Arrived] = []

    def first_round(self) -> None:
        """Wait until each job was done once, and keep what came of it."""
        until(lambda: {"channels.test", "channels.balance", "channels.models"} <= self.done().keys())
        self.results = self.done()
        self.tried = [arrived for arrived in self.upstream.got if arrived.method == "POST"]

    def script(self, say: Say) -> None:
        key, path = say.arrived.headers["authorization"].removeprefix("Bearer k-"), say.arrived.path
        if path.startswith("/v1/dashboard/billing/subscription"):
            say.whole({"hard_limit_usd": 3})
        elif path.startswith("/v1/dashboard/billing/usage"):
            say.whole({"total_usage": 300 if key == "poor" else 100})
        elif path == "/v1/models":
            say.whole({"data": [{"id": name} for name in ("m", "new", "old-one", "up")]})
        elif "dead" in key:
            say.whole(plain.error("openai.chat", status=401), 401)
        elif path == "/v1/embeddings":
            say.whole({"object": "list", "data": [{"index": 0, "embedding": [1]}], "usage": {"prompt_tokens": 1}})
        else:
            time.sleep(5.5 if key == "slow" else 0)
            say.whole(plain.whole("openai.chat", "ok"))

    def api(self, method: str, path: str, body: Any = None) -> Any:
        return requests.request(
            method, self.gateway.base + path, json=body, headers=self.headers, timeout=PATIENCE
        ).json()

    def done(self) -> dict[str, str]:
        """What jobs that were done once came to, by their names."""
        return {job["name"]: job["result"] for job in self.api("GET", "/api/v2/jobs")["items"] if job["last_at"]}

    def row(self, name: str) -> Any:
        with self.db.read() as reader:
            return reader.execute(select(core.channels).where(core.channels.c.id == self.ids[name])).mappings().one()

    def again(self, job: str) -> None:
        """Have a job done once more, now."""
        due = update(own.jobs).where(own.jobs.c.name == job)
        self.db.write(lambda c: c.execute(due.values(next_at=0, last_at=0)))
        until(lambda: job in self.done())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("work"))
    try:
        made.first_round()
        yield made
    finally:
        made.gateway.stop()
        made.upstream.close()
        made.db.close()
    assert "Traceback" not in made.gateway.output, made.gateway.output


def test_what_fails_or_is_slow_is_switched_off_and_what_answers_again_is_switched_on(site: Site) -> None:
    after = {name: site.row(name)["status"] for name in CHANNELS if name != "poor"}
    off = {"dead": BY_ITSELF, "slow": BY_ITSELF, "still-dead": BY_ITSELF, "by-hand": OFF}
    assert after == {name: off.get(name, ON) for name in after}
    reason = json.loads(site.row("slow")["other_info"])["status_reason"]
    assert reason.endswith("s, longer than ChannelDisableThreshold (5 s)")
    for line in (
        r"channel dead \(#2\) is disabled: ",
        r"channel slow \(#4\) is disabled: a test took",
        r"channel back \(#5\) answers again and is enabled",
        r"channel several \(#9\) key answers again and is enabled",
    ):
        site.gateway.wait_for(line)
    assert "1 disabled" in site.results["channels.test"]
    assert "2 enabled" in site.results["channels.test"]
    assert "channel dead (#2): " in site.results["channels.test"]
    body = {"model": "back", "messages": [{"role": "user", "content": "River?"}]}
    until(lambda: site.gateway.post("/v1/chat/completions", body).status_code == 200)  # it serves at once


def test_each_key_is_tried_by_itself_and_the_others_are_left_alone(site: Site) -> None:
    states = site.row("several")["channel_info"]["multi_key_status_list"]
    assert states == {"2": BY_ITSELF, "3": OFF}
    keys = {arrived.headers["authorization"].removeprefix("Bearer ") for arrived in site.tried}
    assert {"k-on", "k-back", "k-dead"} <= keys
    assert "k-by-hand" not in keys
    assert "k-proxied" not in _keys(site), "nothing leaves without its channel's proxy"
    site.upstream.got.clear()
    body = {"model": "several", "messages": [{"role": "user", "content": "River?"}]}
    until(lambda: site.gateway.post("/v1/chat/completions", body) and _keys(site) == {"k-on", "k-back"})


def _keys(site: Site) -> set[str]:
    return {arrived.headers["authorization"].removeprefix("Bearer ") for arrived in site.upstream.got}


def test_what_is_sent_is_declared_and_a_trial_is_charged_and_logged_like_a_call(site: Site) -> None:
    sent = {arrived.headers["authorization"].removeprefix("Bearer k-"): arrived for arrived in site.tried}
    assert (sent["vectors"].path, sent["vectors"].json["input"]) == ("/v1/embeddings", ["hello world"])
    assert (sent["back"].json["max_tokens"], sent["back"].json["messages"][0]["content"]) == (16, "hi")
    assert (sent["well"].json["max_tokens"], sent["well"].json["messages"][0]["content"]) == (1, "ok?")

    def charged() -> dict[str, int]:
        with site.db.read() as reader:
            rows = reader.execute(select(core.logs).where(core.logs.c.type == 2)).mappings().all()
        return {row["token_name"]: row["quota"] for row in rows}

    names = {f"test-{site.ids[name]}" for name in ("well", "slow", "back", "several", "vectors")}
    until(lambda: names <= charged().keys())
    assert {charged()[name] for name in names} == {BILLED}
    assert f"test-{site.ids['dead']}" not in charged()


def test_an_account_that_has_nothing_left_is_switched_off_by_its_balance(site: Site) -> None:
    assert site.row("well")["balance"] == 2
    assert (site.row("poor")["status"], site.row("poor")["balance"]) == (BY_ITSELF, 0)
    assert "channel poor (#10): its account has nothing left (balance $0.00)" in site.results["channels.balance"]


def test_models_that_came_or_went_are_proposed_or_taken_up(site: Site) -> None:
    settings = json.loads(site.row("looks")["settings"])
    assert settings["upstream_model_update_last_detected_models"] == ["new"]
    assert settings["upstream_model_update_last_removed_models"] == ["gone"]
    assert site.row("looks")["models"] == "m,gone,mapped"
    assert site.row("takes")["models"] == "m,new,old-one,up"
    told = "3 of 3 channels looked at: 4 models came, 1 went, 3 taken up; channel proxied (#13): "
    assert site.results["channels.models"].startswith(told)
    site.gateway.wait_for(r"models of the upstream of channel looks \(#11\): \+new -gone")


def test_a_channel_that_is_switched_off_can_be_tried_by_hand_and_stays_off(site: Site) -> None:
    told = site.api("GET", f"/api/channel/test/{site.ids['by-hand']}")
    assert told["success"], told
    assert site.row("by-hand")["status"] == OFF
    told = site.api("GET", f"/api/channel/test/{site.ids['still-dead']}")
    assert (told["success"], "401" in told["message"] or bool(told["message"])) == (False, True)


def test_passive_recovery_tries_what_is_switched_off_alone(site: Site) -> None:
    name = "monitor_setting.channel_test_mode"
    assert site.api("PUT", "/api/option/", {"key": name, "value": "passive_recovery"})["success"]
    site.db.write(lambda c: c.execute(update(core.channels).where(core.channels.c.id == 1).values(status=BY_ITSELF)))
    time.sleep(1.5)  # the process for jobs has read it by then
    site.upstream.got.clear()
    site.again("channels.test")
    assert _keys(site) == {"k-dead", "k-still-dead", "k-slow", "k-well", "k-poor"}
    after = {name: site.row(name)["status"] for name in ("well", "dead", "slow")}
    assert after == {"well": ON, "dead": BY_ITSELF, "slow": BY_ITSELF}, "one that is slow still is not switched on"
    assert "1 slow" in site.done()["channels.test"]


def due(**settings: Any) -> dict[str, float]:
    """The jobs that settings come to, and every how many seconds; the options say ten minutes and no tests."""
    worker: Any = SimpleNamespace(settings=Settings(**settings), options={})
    return {job.name: job.every for job in ChannelWork(worker).jobs()}


def test_settings_say_how_often_and_go_before_options() -> None:
    paid = {"channels.paid": 60}
    assert due() == {**paid, "channels.models": 1800}
    assert due(model_update=False) == paid
    assert due(model_update_minutes=5) == {**paid, "channels.models": 300}
    assert due(model_update=False, channel_test_frequency=3) == {**paid, "channels.test": 180}
    assert due(model_update=False, channel_test_enabled="true") == {**paid, "channels.test": 600}
    assert due(model_update=False, channel_test_frequency=3, channel_test_enabled="false") == paid
    assert due(model_update=False, channel_update_frequency=2) == {**paid, "channels.balance": 120}


def test_a_channel_that_somebody_looked_at_is_left_alone_for_a_while() -> None:
    checked = {
        "upstream_model_update_check_enabled": True,
        "upstream_model_update_last_check_time": int(time.time()) - 100,
    }
    row = {"settings": json.dumps(checked)}
    assert (updates.due(row, 300), updates.due(row, 60)) == (False, True)
    assert not updates.due({"settings": "{}"}, 0)


def test_what_is_sent_is_the_last_rule_that_fits_and_a_providers_own_goes_before() -> None:
    own = {"chat": None, "answers": {"models": ["^x"], "path": "/models/{model}", "body": {"stream": False}}}
    usual = {
        "chat": {"path": "/chat", "body": {"max_tokens": 16}},
        "codex": {"models": ["codex"], "path": "/r", "body": {}},
    }
    provider = SimpleNamespace(channel_tests=own, auth={})
    program: Any = SimpleNamespace(
        policy={"channelTests": usual}, providers={"p": provider}, legacy={("newApi", 1): ("p",)}
    )
    row: Any = SimpleNamespace(type=1, keys=("k",))
    assert channel_tests.request(program, row, "Codex-1") == ("/r", b'{"model":"Codex-1"}')
    assert channel_tests.request(program, row, "x/1", stream=True) == (
        "/models/x%2F1",
        b'{"model":"x/1","stream":true}',
    )
    with pytest.raises(LookupError, match="channelTests"):
        channel_tests.request(program, row, "other")
    provider.channel_tests = {}
    assert channel_tests.request(program, row, "other") == ("/chat", b'{"model":"other","max_tokens":16}')


def test_an_error_in_an_answer_with_status_200_is_none() -> None:
    assert channel_tests.read(200, [b'{"choices": []}']) == (True, "", "")
    assert channel_tests.read(200, [b'{"error": {"message": "no", "code": "c"}}']) == (False, "no", "c")
    assert channel_tests.read(200, [b'data: {"choices": []}\n\n', b'data: {"error": {"message": "cut"}}\n\n']) == (
        False,
        "cut",
        "",
    )
    assert channel_tests.read(502, [b"x"]) == (False, "status 502", "")
