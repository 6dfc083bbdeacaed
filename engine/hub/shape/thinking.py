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
    if format_name not in work.native:
        return True
    wanted = work.ctx.get("model")
    return bool(model and wanted and model != wanted)


def fit(work: Work) -> None:
    """Strip what is foreign; drop, keep or write out thinking as the target wants it."""
    if not (work.seen.signed or _CONCERNED & work.seen.kinds):
        return
    work.seen.empty = True
    rules: dict[str, Any] = work.rules.get("thinking") or {}
    opaque = bool(_OPAQUE & work.seen.kinds)
    for number, message in enumerate(work.messages):
        kept: list[Part] = []
        for index, part in enumerate(_joined(message["parts"])):
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
    fitted = (_fitted(one, rules, path, work) if one.get("type") in _OPAQUE else one for one in part["parts"])
    return {**part, "parts": [one for one in fitted if one is not None]}


def _fitted(part: Part, rules: dict[str, Any], path: str, work: Work) -> Part | None:
    kind = part.get("type")
    if kind in _OPAQUE and part.get("format") not in work.native:
        work.report(path, f"{kind} of {part.get('format') or 'an unknown format'} means nothing to the target; dropped")
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
