"""Turns in the order and under the roles that the target takes.

Declared: ``turns: {alternate, first, system: field|first|anywhere, system_late: hoist|user, results: in_user|
own_message, results_follow_calls, failed: TEXT, empty: drop|TEXT, blank, shown: user}``. Neighbouring assistant
messages are always joined, since some formats decode one turn to several of them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from engine.errors import Refusal
from engine.hub.shape.work import Work
from engine.hub.types import Part

Turn = dict[str, Any]

_MODEL = frozenset({"assistant", "tool"})
_ALL = _MODEL | {"user"}
_SHOWN = frozenset({"image", "audio", "video"})
_FIRST_TEXT = "."
_SHOWN_TEXT = "This is what you showed:"
_NO_RESULT = "no result was given for this call"


def fit(work: Work) -> None:
    """Arrange the conversation."""
    rules: dict[str, Any] = work.rules.get("turns") or {}
    seen = work.seen
    calls = "tool_call" in seen.kinds or "tool_result" in seen.kinds or "tool" in seen.roles
    in_user = rules.get("results") == "in_user"
    turns = work.messages
    if seen.strays:
        turns = _split_results(turns)
    if calls:
        turns = _once(turns, work)
    turns = _systems(turns, rules, work)
    if rules.get("shown") and _SHOWN & seen.kinds:
        turns = _shown(turns, work)
    if seen.empty:
        turns = _without_empty(turns, rules, work)
    if work.messages and not turns:
        raise Refusal("messages", "say nothing: every turn is empty")
    if calls and rules.get("results_follow_calls"):
        turns = _merge(turns, _MODEL)
        turns = turns if _in_order(turns) else _results_after_calls(turns, work)
    if seen.failed and rules.get("failed"):
        turns = [_failures_told(turn, rules["failed"], work) for turn in turns]
    if calls and in_user:
        turns = [{**turn, "role": "user"} if turn["role"] == "tool" else turn for turn in turns]
    turns = _merge(turns, _ALL if rules.get("alternate") or in_user else _MODEL)
    if calls and in_user:
        turns = [_results_first(turn) for turn in turns]
    work.request["messages"] = _begin_right(turns, rules, work)


def _is_result(part: Part) -> bool:
    return part.get("type") == "tool_result"


def _split_results(turns: list[Turn]) -> list[Turn]:
    """Results said inside another role's turn become a tool turn before the rest."""
    split: list[Turn] = []
    for turn in turns:
        results = [part for part in turn["parts"] if _is_result(part)] if turn.get("role") != "tool" else []
        if not results:
            split.append(turn)
            continue
        rest = [part for part in turn["parts"] if not _is_result(part)]
        split.append({"role": "tool", "parts": results})
        if rest:
            split.append({**turn, "parts": rest})
    return split


def _shown(turns: list[Turn], work: Work) -> list[Turn]:
    """What the model showed, as the user's after its turn; beside calls, whose results come first, it is left out."""
    new_turns: list[Turn] = []
    for number, turn in enumerate(turns):
        media = [part for part in turn["parts"] if part.get("type") in _SHOWN] if turn["role"] == "assistant" else []
        if not media:
            new_turns.append(turn)
            continue
        rest = [part for part in turn["parts"] if part.get("type") not in _SHOWN]
        calls = any(part.get("type") == "tool_call" for part in rest)
        why = "left out" if calls else "shown as the user's"
        for index, part in enumerate(turn["parts"]):
            if part.get("type") in _SHOWN:
                path = f"messages[{number}].parts[{index}]"
                work.report(path, f"what the model showed has no place in its turn here; it was {why}", part)
        if rest:
            new_turns.append({**turn, "parts": rest})
        if not calls:
            new_turns.append({"role": "user", "parts": [{"type": "text", "text": _SHOWN_TEXT}, *media]})
    return new_turns


def _once(turns: list[Turn], work: Work) -> list[Turn]:
    """A result that was given twice goes to the target once: there are clients that repeat them on resuming."""
    kept: list[Turn] = []
    seen: set[Any] = set()
    for number, turn in enumerate(turns):
        if turn["role"] == "assistant":
            seen.clear()
        elif turn["role"] == "tool":
            parts: list[Part] = []
            for part in turn["parts"]:
                if part.get("id") is None or part["id"] not in seen:
                    parts.append(part)
                    seen.add(part.get("id"))
            if len(parts) != len(turn["parts"]):
                work.report(f"messages[{number}]", "a second result of one call was left out")
                turn = {**turn, "parts": parts}
        if turn["parts"] or turn["role"] != "tool":
            kept.append(turn)
    return kept


def _systems(turns: list[Turn], rules: dict[str, Any], work: Work) -> list[Turn]:
    where = rules.get("system", "anywhere")
    if where == "anywhere":
        return turns
    leading = 0
    while leading < len(turns) and turns[leading]["role"] == "system":
        leading += 1
    late = [turn for turn in turns[leading:] if turn["role"] == "system"]
    systems, rest = turns[:leading], turns[leading:]
    if late and rules.get("system_late") == "user":
        work.report("messages", "system text in mid-conversation went to the target as the user's")
        rest = [{"role": "user", "parts": turn["parts"]} if turn["role"] == "system" else turn for turn in rest]
    elif late:
        work.report("messages", "system text in mid-conversation was moved to the front")
        systems = systems + late
        rest = [turn for turn in rest if turn["role"] != "system"]
    if where == "first" and len(systems) > 1:
        systems = [{**systems[0], "parts": [part for turn in systems for part in turn["parts"]]}]
    return systems + rest


def _says_nothing(part: Part, blank: bool) -> bool:
    """A text without a letter; with ``blank`` one of nothing but space, too."""
    if part.get("type") != "text":
        return False
    text = part.get("text")
    if blank and isinstance(text, str) and text.isspace():
        return not part.get("signature")
    return not (text or part.get("signature") or part.get("cache"))


def _without_empty(turns: list[Turn], rules: dict[str, Any], work: Work) -> list[Turn]:
    how, blank = rules.get("empty"), bool(rules.get("blank"))
    if how is None:
        return turns
    kept: list[Turn] = []
    for number, turn in enumerate(turns):
        parts = [part for part in turn["parts"] if not _says_nothing(part, blank)]
        if not parts and how != "drop" and turn["role"] != "system":
            parts = [{"type": "text", "text": how}]
        if len(parts) != len(turn["parts"]) or not parts:
            work.report(f"messages[{number}]", "empty text, which the target refuses, was left out")
        if parts:
            kept.append(turn if len(parts) == len(turn["parts"]) else {**turn, "parts": parts})
    return kept


def _merge(turns: list[Turn], roles: frozenset[str]) -> list[Turn]:
    """Neighbours of one role become one turn; a speaker's name keeps turns apart."""
    merged: list[Turn] = []
    grown = 0
    before = None
    for turn in turns:
        role = turn["role"]
        if role == before and role in roles and merged[-1].get("name") == turn.get("name"):
            last = merged[-1]
            if len(merged) != grown:
                merged[-1] = last = {**last, "parts": list(last["parts"])}
                grown = len(merged)
            last["parts"].extend(turn["parts"])
        else:
            merged.append(turn)
        before = role
    return merged


def _results_after_calls(turns: list[Turn], work: Work) -> list[Turn]:
    """Each turn with calls is followed at once by the results of all of them."""
    arranged: list[Turn] = []
    taken: set[int] = set()
    results: dict[Any, deque[tuple[int, Part]]] = defaultdict(deque)
    for index, turn in enumerate(turns):
        if turn["role"] == "tool":
            for part in turn["parts"]:
                results[part.get("id")].append((index, part))
    for index, turn in enumerate(turns):
        if turn["role"] == "tool":
            parts = [part for part in turn["parts"] if id(part) not in taken]
            if parts:
                arranged.append({**turn, "parts": parts})
            continue
        arranged.append(turn)
        calls = [part for part in turn["parts"] if part.get("type") == "tool_call"]
        if turn["role"] != "assistant" or not calls:
            continue
        _check_calls(calls, turns, index, work)
        answers: list[Part] = []
        for call in calls:
            answers.append(_answer(index, results[call["id"]], taken) or _missing_result(call, index, work))
        arranged.append({"role": "tool", "parts": answers})
    return arranged


def _missing_result(call: Part, index: int, work: Work) -> Part:
    """An error in place of a result that never came."""
    work.report(f"messages[{index}]", f"call {call['id']} has no result; an error result was put in")
    work.seen.failed = True
    result: Part = {"type": "tool_result", "id": call["id"], "error": True}
    result["parts"] = [{"type": "text", "text": _NO_RESULT}]
    if call.get("name"):
        result["name"] = call["name"]
    return result


def _check_calls(calls: list[Part], turns: list[Turn], index: int, work: Work) -> None:
    """Refuse calls that nothing follows, and two under one id: no result could be told to be of either."""
    ids = [call["id"] for call in calls]
    if index == len(turns) - 1:
        wrong, why = calls[0], "which has no result; send its result too"
    elif len(set(ids)) < len(ids):
        wrong = next(call for place, call in enumerate(calls) if call["id"] in ids[:place])
        why = "as another one of this turn; give each call an id of its own"
    else:
        return
    work.request["messages"] = turns
    place = next(number for number, part in enumerate(turns[index]["parts"]) if part is wrong)
    raise Refusal(f"messages[{index}].parts[{place}]", f"is the call {wrong['id']}, {why}")


def _in_order(turns: list[Turn]) -> bool:
    """Whether each turn with calls has its results after it, one for each and in their order, and nothing else has."""
    calls: list[Any] = []
    for turn in turns:
        parts = turn["parts"]
        if turn["role"] == "tool":
            if len(turn) != 2 or not calls or [part.get("id") for part in parts] != calls:
                return False
            calls = []
        elif calls:
            return False
        elif turn["role"] == "assistant":
            calls = [part["id"] for part in parts if part.get("type") == "tool_call"]
    return not calls


def _answer(after: int, results: deque[tuple[int, Part]], taken: set[int]) -> Part | None:
    while results:
        index, part = results.popleft()
        if index > after:
            taken.add(id(part))
            return part
    return None


def _failures_told(turn: Turn, word: str, work: Work) -> Turn:
    """A format without a field for it is told in words that a call failed: the model must know."""
    if not any(part.get("error") and _is_result(part) for part in turn["parts"]):
        return turn
    work.report("messages", f"that a call failed is told by {word.strip()!r} before its result")
    return {**turn, "parts": [_told(part, word) if part.get("error") else part for part in turn["parts"]]}


def _told(result: Part, word: str) -> Part:
    first, *rest = result.get("parts") or [{}]
    textual = first.get("type", "text") == "text"
    text = (
        {**first, "type": "text", "text": word + first.get("text", "")} if textual else {"type": "text", "text": word}
    )
    return {**result, "parts": [text, *rest] if textual else [text, first, *rest]}


def _results_first(turn: Turn) -> Turn:
    if turn["role"] != "user" or len(turn["parts"]) == 1 or not any(map(_is_result, turn["parts"])):
        return turn
    return {**turn, "parts": sorted(turn["parts"], key=lambda part: not _is_result(part))}


def _begin_right(turns: list[Turn], rules: dict[str, Any], work: Work) -> list[Turn]:
    first = rules.get("first")
    leading = 0
    while leading < len(turns) and turns[leading]["role"] == "system":
        leading += 1
    if not first or (leading < len(turns) and turns[leading]["role"] == first):
        return turns
    text = rules.get("first_text", _FIRST_TEXT)
    work.report("messages", f"the target wants the {first} to speak first; a turn was put in")
    return [*turns[:leading], {"role": first, "parts": [{"type": "text", "text": text}]}, *turns[leading:]]
