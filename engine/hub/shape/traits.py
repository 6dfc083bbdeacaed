"""What the target's model takes of thinking, sampling and prefilled answers, as Model documents say it.

Takes ``ctx.traits``; changes the request, and tells each change. A model of which nothing is said changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.hub.shape.work import Work

_GO_ON = "Go on from exactly where your words end."


def fit(work: Work) -> None:
    """Bring the request to what the model takes."""
    traits = work.ctx.get("traits")
    if not traits:
        return
    thinking: Mapping[str, Any] = traits.get("thinking") or {}
    if work.request.get("reasoning"):
        _thinking(work, thinking, traits.get("effort") or {})
    if thinking.get("returns") == "words" and thinking.get("mode") == "optional":
        _broken(work)
    _sampling(work, traits, thinking.get("mode"))
    if traits.get("prefill") is False:
        _ending(work)


def _thinking(work: Work, thinking: Mapping[str, Any], efforts: Mapping[str, str]) -> None:
    reasoning: dict[str, Any] = work.request["reasoning"]
    mode = thinking.get("mode")
    if mode == "never":
        if _wanted(reasoning):
            work.report("reasoning", "this model does not think")
        del work.request["reasoning"]
        return
    if mode == "always" and _off(reasoning):
        work.request["reasoning"] = _least(work, reasoning, thinking, efforts)
        return
    effort = reasoning.get("effort")
    stands = efforts.get(effort) if effort else None
    if stands is not None and stands != effort:
        work.report("reasoning.effort", f"this model has no {effort}, {stands} was sent")
        work.request["reasoning"] = {**reasoning, "effort": stands}


def _broken(work: Work) -> None:
    """Calls of the turn under way that lack the thought which led to them: a model that wants it back refuses them."""
    if _off(work.request.get("reasoning") or {}):
        return
    for message in reversed(work.messages):
        parts = message["parts"]
        if message["role"] == "user" and not all(part.get("type") == "tool_result" for part in parts):
            return
        calls = any(part.get("type") == "tool_call" for part in parts)
        if calls and not any(part.get("type") == "thinking" and part.get("text") for part in parts):
            work.request["reasoning"] = {"enabled": False}
            work.report(
                "reasoning", "calls of this turn were made without the thought that the model wants back with them"
            )
            return


def _least(
    work: Work, reasoning: dict[str, Any], thinking: Mapping[str, Any], efforts: Mapping[str, str]
) -> dict[str, Any]:
    """The least thought, for a model that can't be kept from thinking."""
    least = {key: value for key, value in reasoning.items() if key not in ("enabled", "effort", "budget", "adaptive")}
    budget = thinking.get("budget")
    if efforts:
        least.update(enabled=True, effort=efforts["none"])
    elif budget:
        least.update(enabled=True, budget=budget["min"])
    how = least.get("effort") or (f"{least['budget']} tokens" if "budget" in least else "its usual thought")
    work.report("reasoning", f"this model always thinks; {how} is the least")
    return least


def _wanted(reasoning: Mapping[str, Any]) -> bool:
    """Whether thought is asked for."""
    if reasoning.get("enabled") is not None:
        return bool(reasoning["enabled"])
    return bool(reasoning.get("adaptive") or reasoning.get("budget") or reasoning.get("effort") not in (None, "none"))


def _off(reasoning: Mapping[str, Any]) -> bool:
    """Whether it is asked not to think."""
    return reasoning.get("enabled") is False or reasoning.get("effort") == "none" or reasoning.get("budget") == 0


def _sampling(work: Work, traits: Mapping[str, Any], mode: str | None) -> None:
    for name in traits.get("refuses", ()):
        _drop(work, name, "this model does not take it")
    refused = traits.get("refusesThinking")
    if refused and (mode == "always" or _wanted(work.request.get("reasoning") or {})):
        for name in refused:
            _drop(work, name, "this model does not take it while it thinks")


def _drop(work: Work, name: str, why: str) -> None:
    above, _, key = name.rpartition(".")
    holder = work.request.get(above) if above else work.request
    if not holder or holder.get(key) is None:
        return
    value = holder[key]
    rest = {member: setting for member, setting in holder.items() if member != key}
    if above:
        work.request[above] = rest
    else:
        work.request.pop(key)
    if value != 1 or key not in ("temperature", "top_p"):  # 1 is what it would be anyway
        work.report(name, why)


def _ending(work: Work) -> None:
    """A conversation that ends with the model's own words, which it won't go on from."""
    last = next((message for message in reversed(work.messages) if message["role"] != "system"), None)
    if last is None or last["role"] != "assistant" or any(part.get("type") == "tool_call" for part in last["parts"]):
        return
    work.messages.append({"role": "user", "parts": [{"type": "text", "text": _GO_ON}]})
    where = f"messages[{len(work.messages) - 2}]"
    work.report(where, "this model does not go on from words of its own; it was asked to by a user's turn")
