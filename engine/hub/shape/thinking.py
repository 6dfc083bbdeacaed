"""Thinking and signatures: what of it the target takes back.

Declared: ``thinking: {accepts: native|text|none, signature: required|optional|none, foreign: drop|text|keep}``. A
signature (and encrypted thinking) belongs to the format and model that made it, see ``signature_of``; anybody else's is
foreign and never sent, unless the target hands all of them on (``keep``). Opaque parts of other formats are taken out
here too.
"""

from __future__ import annotations

from typing import Any

from engine.hub.shape.work import Work
from engine.hub.types import Part

_OPAQUE = frozenset({"unknown", "server_call", "server_result"})
_CONCERNED = _OPAQUE | {"thinking"}
_SIGNED = frozenset({"signature", "encrypted", "signature_of"})


def foreign(part: Part, work: Work) -> bool:
    """Whether the part's signature was made by somebody else than the target."""
    owner = part.get("signature_of")
    if not isinstance(owner, str) or not owner:
        return work.ctx.get("format") not in work.native
    format_name, _, model = owner.partition("/")
    wanted = work.ctx.get("model")
    if model and wanted and model == wanted:
        return False  # the same model, whatever it is spoken to in
    return format_name not in work.native or bool(model and wanted)


def fit(work: Work) -> None:
    """Strip what is foreign; drop, keep or write out thinking as the target wants it."""
    if not (work.seen.signed or _CONCERNED & work.seen.kinds):
        return
    work.seen.empty = True
    rules = _rules(work)
    _one_turn(work)
    opaque = bool(_OPAQUE & work.seen.kinds)
    for number, message in enumerate(work.messages):
        kept: list[Part] = []
        for index, part in enumerate(_joined(_put_back(message["parts"], rules, work))):
            path = f"messages[{number}].parts[{index}]"
            if opaque and part.get("type") == "tool_result" and part.get("parts"):
                part = _result(part, rules, path, work)
            if part.get("type") not in _CONCERNED and not _signed(part):
                kept.append(part)
                continue
            fitted = _fitted(part, rules, path, work)
            if fitted is not None:
                kept.append(fitted)
        message["parts"] = kept


def _rules(work: Work) -> dict[str, Any]:
    """The format's demands, but for a model that wants its words back whatever the format does."""
    rules: dict[str, Any] = work.rules.get("thinking") or {}
    wanted = ((work.ctx.get("traits") or {}).get("thinking") or {}).get("returns")
    if wanted != "words":
        return rules
    return {**rules, "accepts": "native", "signature": "none" if rules.get("accepts") == "none" else "optional"}


def _one_turn(work: Work) -> None:
    """Neighbouring turns of the model are one: a thought may come back in as many as it was streamed in."""
    before: dict[str, Any] | None = None
    turns: list[dict[str, Any]] = []
    for message in work.messages:
        mine = message["role"] == "assistant"
        if mine and before is not None and before.get("name") == message.get("name"):
            before["parts"] += message["parts"]
            continue
        turns.append(message)
        before = message if mine else None
    if len(turns) < len(work.messages):
        work.request["messages"] = turns


def _put_back(parts: list[Part], rules: dict[str, Any], work: Work) -> list[Part]:
    """A thought's signature that came back on the call it led to stands on the thought again.

    For targets that sign thoughts: none of them signs a call.
    """
    if rules.get("signature") != "required":
        return parts
    new_parts: list[Part] = []
    since = 0
    for part in parts:
        if part.get("type") == "tool_call" and part.get("signature") and not foreign(part, work):
            thoughts = [index for index in range(since, len(new_parts)) if new_parts[index].get("type") == "thinking"]
            if thoughts and not any(map(_signed, (new_parts[index] for index in thoughts))):
                text = "".join(new_parts[index].get("text") or "" for index in thoughts)
                signed: Part = {name: part[name] for name in ("signature", "signature_of") if name in part}
                new_parts[thoughts[0]] = {"type": "thinking", "text": text, **signed}
                for index in reversed(thoughts[1:]):
                    del new_parts[index]
            part = {key: value for key, value in part.items() if key not in _SIGNED}
        new_parts.append(part)
        since = len(new_parts) if part.get("type") == "tool_call" else since
    return new_parts


def _signed(part: Part) -> bool:
    return "signature" in part or "encrypted" in part


def _joined(parts: list[Part]) -> list[Part]:
    """Thinking that comes back in the pieces it was streamed in is one part, with the signature of its last piece."""
    joined: list[Part] = []
    run = 0
    for part in parts:
        plain = part.get("type") == "thinking" and not _SIGNED & part.keys() and "summary" not in part
        if run and part.get("type") == "thinking" and part.get("signature") and not part.get("text"):
            text = "".join(piece.get("text") or "" for piece in joined[-run:])
            joined[-run:] = [{**part, "text": text}]
            run = 0
            continue
        run = run + 1 if plain else 0
        joined.append(part)
    return joined


def _result(part: Part, rules: dict[str, Any], path: str, work: Work) -> Part:
    """A result without what only another format knows."""
    fitted = (_fitted(inner, rules, path, work) if inner.get("type") in _OPAQUE else inner for inner in part["parts"])
    return {**part, "parts": [inner for inner in fitted if inner is not None]}


def _fitted(part: Part, rules: dict[str, Any], path: str, work: Work) -> Part | None:
    kind = part.get("type")
    if kind in _OPAQUE and part.get("format") not in work.native:
        if part.get("text"):
            work.report(path, "a part that only its own format knows went to the target as its words")
            return {"type": "text", "text": part["text"]}
        work.report(
            path, f"{kind} of {part.get('format') or 'an unknown format'} means nothing to the target, it was dropped"
        )
        return None
    if _signed(part) and rules.get("foreign") != "keep" and (rules.get("signature") == "none" or foreign(part, work)):
        work.report("messages.parts.signature", "what the target did not make was left out")
        part = {key: value for key, value in part.items() if key not in _SIGNED}
        if kind == "text" and not part.get("text"):
            return None
    return part if kind != "thinking" else _thinking(part, rules, path, work)


def _thinking(part: Part, rules: dict[str, Any], path: str, work: Work) -> Part | None:
    accepts = rules.get("accepts", "native")
    signed = bool(part.get("signature") or part.get("encrypted"))
    if accepts == "native" and (signed or (part.get("text") and rules.get("signature") != "required")):
        return part
    as_text = accepts == "text" or (accepts == "native" and rules.get("foreign") == "text")
    if as_text and part.get("text"):
        work.report(path, "thinking went to the target as text")
        return {"type": "text", "text": part["text"]}
    work.report(path, "thinking that the target does not take was dropped")
    return None
