"""Affinity and carried calls: rules of documents and of the console, and options that can't be read."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.store import EmbeddedStore
from engine.relay.attempts.bonds import Bonds
from engine.routing.affinity.bond import Bond
from engine.routing.affinity.rules import AffinityRules, affinity_rules
from engine.routing.overrides.compiled import Overrides
from engine.routing.spoken.speech import speech

OPTION = "channel_affinity_setting."
POLICY = {
    "affinity": {
        "rules": {
            "off": None,
            "chats": {
                "models": ["^m"],
                "paths": ["/v1/chat"],
                "keys": [{"header": "X-Talk"}, {"body": "meta.user"}],
                "pass": ["X-Talk"],
            },
        }
    }
}


@dataclass
class Owner:
    group: str = "default"
    user_id: int = 7


@dataclass
class Asking:
    asked: str = "m-1"
    called: str = "/v1/chat/completions"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=dict)
    account: Any = field(default_factory=Owner)
    size: int = 5000
    cached_price: bool = True


def bond(rules: AffinityRules, **call: Any) -> Bond | None:
    return rules.bond(Asking(**call))  # type: ignore[arg-type]  # what rules ask of a call


def console(*rules: Any, **more: str) -> AffinityRules:
    return affinity_rules(POLICY, {f"{OPTION}rules": json.dumps(rules), **{OPTION + k: v for k, v in more.items()}})


def test_calls_that_tell_the_same_are_bound_and_others_are_not() -> None:
    rules = affinity_rules(POLICY, {})
    first = bond(rules, headers={"x-talk": "a"})
    assert first is not None
    assert (first.rule, first.seconds, first.alone, bool(first.overrides)) == ("chats", 3600, False, True)
    again = bond(rules, headers={"x-talk": " a "}, body={"meta": {"user": "other"}}, asked="m-2")
    assert again is not None
    assert again.key == first.key
    by_body = bond(rules, body={"meta": {"user": "a"}})
    assert by_body is not None
    assert by_body.key == first.key
    for other in ({"headers": {"x-talk": "b"}}, {"headers": {"x-talk": "a"}, "account": Owner("vip")}):
        found = bond(rules, **other)
        assert found is not None
        assert found.key != first.key
    for none in ({}, {"body": {"meta": {"user": ["a"]}}}, {"body": ["a"]}, {"body": {"meta": {"user": ""}}}):
        assert bond(rules, **none) is None
    assert bond(rules, headers={"x-talk": "a"}, called="/v1/embeddings") is None
    assert bond(rules, headers={"x-talk": "a"}, asked="x") is None


def test_the_consoles_rules_stand_in_place_of_the_documents() -> None:
    rule = {"name": "r", "key_sources": [{"type": "context_int", "key": "id"}], "ttl_seconds": 9}
    rules = console({**rule, "skip_retry_on_failure": True, "include_model_name": True, "value_regex": "^7$"})
    first, second = bond(rules), bond(rules, asked="m-2")
    assert first is not None
    assert second is not None
    assert (first.alone, first.seconds, first.key == second.key) == (True, 9, False)
    assert bond(rules, account=Owner(user_id=8)) is None
    assert not console(rule, enabled="false").rules
    assert not console(rule, switch_on_success="false").moves


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("x", "no object"),
        ({"name": "r"}, "key_sources"),
        ({"key_sources": [{"type": "cookie", "key": "a"}]}, "cookie"),
        ({"key_sources": [{"type": "gjson"}]}, "path"),
        ({"key_sources": [{"type": "request_header", "key": "a"}], "model_regex": ["("]}, "missing"),
        (
            {
                "key_sources": [{"type": "request_header", "key": "a"}],
                "param_override_template": {"operations": [{"mode": "x"}]},
            },
            "param_override_template, operation 1",
        ),
    ],
)
def test_a_rule_that_can_not_be_read_is_told_and_the_others_hold(rule: Any, why: str, caplog: Any) -> None:
    sound = {"name": "sound", "key_sources": [{"type": "request_header", "key": "a"}]}
    with caplog.at_level(logging.WARNING):
        rules = console(rule, sound)
    assert [one.name for one in rules.rules] == ["sound"]
    assert why in caplog.text


def test_what_answered_last_is_remembered_for_its_time(tmp_path: Path) -> None:
    now = [100.0]
    store = EmbeddedStore(tmp_path / "state.db", clock=lambda: now[0])
    bonds, key = Bonds(store.space("affinity")), Bond("r", "k", 60, alone=False, overrides=Overrides())
    assert bonds.channel(key) is None
    bonds.keep(key, "3", None, moves=False)
    bonds.keep(key, "4", "3", moves=False)
    assert Bonds(store.space("affinity")).channel(key) == "3"
    bonds.keep(key, "4", "3", moves=True)
    assert bonds.channel(key) == "4"
    now[0] += 61
    assert bonds.channel(key) is None
    assert bonds.question(key) is None, "one machine has nobody to ask"
    store.close()


class Ruled:
    def __init__(self, carried: dict[str, Any]) -> None:
        self.policy = {"carried": carried}


def carried(said: Any) -> Any:
    rule = {"from": ["a"], "to": "b", "option": "o"}
    return speech(Ruled({"x": rule}), {"o": said if isinstance(said, str) else json.dumps(said)})  # type: ignore[arg-type]


def test_calls_are_carried_as_a_rule_or_an_option_says() -> None:
    own = speech(Ruled({"x": {"from": ["a"], "to": "b", "models": ["^up"]}, "y": None}), {})  # type: ignore[arg-type]
    (rule,) = own.of({"b": 1})
    assert [rule.holds("a", "up-1"), rule.holds("a", "x"), rule.holds("c", "up-1")] == [True, False, False]
    assert own.of({"a": 1}) == ()
    some = {"enabled": True, "all_channels": False, "channel_ids": [3], "channel_types": [14], "model_patterns": ["m"]}
    by_option = carried(some)
    assert [len(by_option.of({"b": 1}, *row)) for row in ((3, 1), (4, 14), (4, 1), (0, 14))] == [1, 1, 0, 0]
    assert len(carried({"enabled": True, "model_patterns": ["m"]}).of({"b": 1}, 9, 9)) == 1
    for nothing in ({"enabled": False, "model_patterns": ["m"]}, {"enabled": True}, "", "{", "[1]"):
        assert not carried(nothing).of({"b": 1}, 3, 14)


BEGINNING = {"affinity": {"rules": {"r": {
    "cachedPrice": True,
    "keys": [{"body": "id"}, {"beginning": {"of": ["system", "messages"], "tokens": 1024}}],
}}}}  # fmt: skip


def said(*words: str, system: str = "be brief") -> dict[str, Any]:
    roles = ("user", "assistant") * len(words)
    return {"system": system, "messages": [{"role": r, "content": w} for r, w in zip(roles, words, strict=False)]}


def test_steps_of_a_conversation_have_their_beginning_in_common() -> None:
    rules = affinity_rules(BEGINNING, {})
    first = bond(rules, body=said("a"))
    assert first is not None
    assert bond(rules, body=said("a", "b", "c")) == first
    assert bond(rules, body=said("a", "b", "c", "d", "e")) == first
    for other in (said("b"), said("a", system="be long"), said("a" * 9000), {"messages": "a"}):
        assert bond(rules, body=other) != first
    assert bond(rules, body=said("a" * 9000)) != bond(rules, body=said("a" * 9001))
    assert bond(rules, body={**said("a"), "id": "x"}) == bond(rules, body={**said("b"), "id": "x"})


def test_short_prompts_and_models_without_a_cached_price_go_where_they_are_drawn() -> None:
    rules = affinity_rules(BEGINNING, {})
    assert bond(rules, body=said("a"), size=1023) is None
    assert bond(rules, body=said("a"), cached_price=False) is None
    assert bond(rules, body={"other": 1}) is None
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert bond(rules, body={"system": deep, "messages": [{"role": "user"}] * 5000}) is not None
