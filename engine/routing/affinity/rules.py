"""Affinity: which earlier calls a call belongs to, so that it goes where a prompt cache knows them.

``affinity_rules(policy, options)`` reads a Policy's rules, or the console's where its option holds some; ``bond`` gives
what a call has in common with others, or nothing. Remembers nothing itself, knows no channels.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.bounds import Kept
from engine.filters.patterns import Pattern, pattern
from engine.routing.affinity.beginning import prompt_beginning
from engine.routing.affinity.bond import Bond
from engine.routing.overrides.compiled import Overrides, overrides_of
from engine.routing.overrides.paths import MISSING, find, path_of

if TYPE_CHECKING:
    from engine.routing.request import RoutedCall

log = logging.getLogger(__name__)
_OPTION = "channel_affinity_setting."
_SECONDS = 3600
_MOST_RULES = 200
_KEPT = 2_000
_LONGEST = 4096
"""Characters of a value that calls are told apart by; a longer one is cut."""
Source = Callable[["RoutedCall"], Any]


@dataclass(frozen=True, slots=True)
class AffinityRule:
    """One rule: the calls that it is for, and where what they share is found: the first source that tells something."""

    name: str
    sources: tuple[Source, ...]
    models: tuple[Pattern, ...] = ()
    paths: tuple[Pattern, ...] = ()
    agents: tuple[str, ...] = ()
    value: Pattern | None = None
    seconds: float = _SECONDS
    alone: bool = False
    cached: bool = False
    """Only for calls whose cached input costs less."""
    within: frozenset[str] = frozenset()
    """What else keeps calls apart: ``rule``, ``group``, ``model``."""
    overrides: Overrides = field(default_factory=Overrides)

    def fits(self, model: str, path: str) -> bool:
        """Whether it is for calls for a model at a path."""
        return _any(self.models, model) and _any(self.paths, path)

    def meets(self, call: RoutedCall) -> bool:
        """Whether it is for who makes the call."""
        if self.cached and not call.cached_price:
            return False
        agent = call.headers.get("user-agent", "").lower() if self.agents else ""
        return not self.agents or any(word in agent for word in self.agents)

    def shared(self, call: RoutedCall) -> str:
        """What the call shares with others; empty where it tells nothing."""
        for source in self.sources:
            text = _text(source(call))
            if text:
                return text if self.value is None or self.value.found(text) else ""
        return ""


@dataclass(frozen=True, slots=True)
class AffinityRules:
    """All rules, in their order. ``moves``: a call that another channel answered stays with that one."""

    rules: tuple[AffinityRule, ...] = ()
    moves: bool = True
    _fitting: Kept[tuple[str, str], tuple[AffinityRule, ...]] = field(default_factory=lambda: Kept(_KEPT))
    """Those that fit, by model and path. PERF: calls for most models have none."""

    def bond(self, call: RoutedCall) -> Bond | None:
        """What binds the call, by the first rule that finds something in it."""
        if not self.rules:
            return None
        model, path = call.asked, call.called
        fitting = self._fitting.get((model, path))
        if fitting is None:
            fitting = tuple(rule for rule in self.rules if rule.fits(model, path))
            self._fitting.keep((model, path), fitting)
        for rule in fitting:
            if rule.meets(call) and (shared := rule.shared(call)):
                parts = [shared]
                parts += [rule.name] if "rule" in rule.within else [""]
                parts += [call.account.group if call.account and "group" in rule.within else ""]
                parts += [call.asked if "model" in rule.within else ""]
                key = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
                return Bond(rule.name, key, rule.seconds, rule.alone, rule.overrides)
        return None


def affinity_rules(policy: Mapping[str, Any], options: Mapping[str, str]) -> AffinityRules:
    """The rules that hold; one of the console's that can't be read is left out, and says why in the log."""
    own = policy.get("affinity") or {}
    on = options.get(f"{_OPTION}enabled", str(own.get("enabled", True)).lower()) == "true"
    if not on:
        return AffinityRules()
    moves = options.get(f"{_OPTION}switch_on_success", "true") == "true"
    listed = _listed(options)
    if listed is None:
        seconds = float(own.get("seconds", _SECONDS))
        declared = [_declared(name, rule, seconds) for name, rule in (own.get("rules") or {}).items()]
        return AffinityRules(tuple(rule for rule in declared if rule is not None), moves)
    seconds = _seconds(options.get(f"{_OPTION}default_ttl_seconds"), _SECONDS)
    rules = []
    for number, entry in enumerate(listed[:_MOST_RULES], 1):
        try:
            rules.append(_written(entry, seconds))
        except (ValueError, LookupError) as ex:
            why = ex.args[0] if ex.args else ex
            log.warning("option %srules: rule %d is left out: %s", _OPTION, number, why)
    return AffinityRules(tuple(rules), moves)


def _listed(options: Mapping[str, str]) -> list[Any] | None:
    text = options.get(f"{_OPTION}rules")
    if not text:
        return None
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if isinstance(listed, list):
        return listed
    log.warning("option %srules is no list that can be read: the Policy's rules hold", _OPTION)
    return None


def _declared(name: str, rule: Mapping[str, Any], seconds: float) -> AffinityRule | None:
    """A Policy's rule; null in a document of one's own switches a shipped one off."""
    if not rule:
        return None
    passed = {"mode": "pass_headers", "value": rule.get("pass") or [], "keep_origin": True}
    return AffinityRule(
        name=name,
        sources=tuple(_place(source) for source in rule.get("keys") or ()),
        models=_patterns(rule.get("models")),
        paths=_patterns(rule.get("paths")),
        agents=tuple(word.lower() for word in rule.get("agents") or ()),
        seconds=float(rule.get("seconds", seconds)),
        alone=bool(rule.get("alone")),
        cached=bool(rule.get("cachedPrice")),
        within=frozenset(rule.get("within") or ("rule", "group")),
        overrides=overrides_of({"operations": [passed]} if passed["value"] else {}),
    )


def _written(rule: Any, seconds: float) -> AffinityRule:
    """A rule of the console's option; raises ValueError or LookupError that says what is wrong."""
    if not isinstance(rule, dict):
        raise ValueError("it is no object")
    sources = [_source(source) for source in rule.get("key_sources") or ()]
    if not sources:
        raise ValueError("it has no key_sources")
    name, template = str(rule.get("name") or ""), rule.get("param_override_template") or {}
    words = {"rule": "include_rule_name", "group": "include_using_group", "model": "include_model_name"}
    return AffinityRule(
        name=name,
        sources=tuple(sources),
        models=_patterns(rule.get("model_regex")),
        paths=_patterns(rule.get("path_regex")),
        agents=tuple(str(word).lower() for word in rule.get("user_agent_include") or ()),
        value=pattern(rule["value_regex"]) if rule.get("value_regex") else None,
        seconds=_seconds(rule.get("ttl_seconds"), seconds),
        alone=rule.get("skip_retry_on_failure") is True,
        within=frozenset(word for word, member in words.items() if rule.get(member) is True),
        overrides=overrides_of(template, "its param_override_template"),
    )


def _source(entry: Any) -> Source:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "gjson":
        return _member(entry.get("path"))
    name = entry.get("key") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError("a source needs a key, or for gjson a path")
    if kind == "request_header":
        return _header(name)
    if kind in ("context_int", "context_string") and name in _CONTEXT:
        return _CONTEXT[name]
    raise ValueError(f"the source {str(kind)[:40]} {name[:40]!r} is not known")


_CONTEXT: dict[str, Source] = {
    "id": lambda call: call.account.user_id if call.account else None,
    "token_id": lambda call: call.account.token_id if call.account else None,
    "username": lambda call: call.account.username if call.account else None,
    "group": lambda call: call.account.group if call.account else None,
    "token_group": lambda call: call.account.token_group if call.account else None,
    "user_group": lambda call: call.account.user_group if call.account else None,
    "original_model": lambda call: call.asked,
}


def _place(declared: Mapping[str, Any]) -> Source:
    """A source of a Policy's rule."""
    if "header" in declared:
        return _header(declared["header"])
    if "body" in declared:
        return _member(declared["body"])
    return prompt_beginning(tuple(declared["beginning"]["of"]), int(declared["beginning"].get("tokens", 0)))


def _header(name: str) -> Source:
    lower = name.lower()
    return lambda call: call.headers.get(lower)


def _member(path: Any) -> Source:
    keys = path_of(path)
    return lambda call: find(call.body, keys)


def _patterns(listed: Any) -> tuple[Pattern, ...]:
    return tuple(pattern(str(text)) for text in listed or ())


def _any(patterns: tuple[Pattern, ...], text: str) -> bool:
    return not patterns or any(compiled.found(text) for compiled in patterns)


def _text(value: Any) -> str:
    if value is MISSING or value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()[:_LONGEST]


def _seconds(value: Any, usual: float) -> float:
    text = str(value or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 12 and int(text) else usual
