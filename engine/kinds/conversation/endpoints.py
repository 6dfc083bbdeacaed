"""What of a conversation decides in which of a provider's formats its model is asked (``engine.kinds.needed``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.kinds.conversation.translate import hub_or_nothing

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.kinds.needed import Holds

_SHOWN = "](data:image/"
"""What an answer's text has where it shows a picture: the end of a Markdown picture's words, and its address."""


def holds(call: ConversationCall) -> Holds:
    """Whether the call's request has what a Model document asks for; its hub form is made at the first question."""
    return lambda what, traits: _HAS[what](hub_or_nothing(call), traits)


def _thinks(hub: Mapping[str, Any], traits: Mapping[str, Any]) -> bool:
    reasoning = hub.get("reasoning") or {}
    off = reasoning.get("enabled") is False or reasoning.get("effort") == "none" or reasoning.get("budget") == 0
    asked = any(reasoning.get(word) for word in ("enabled", "effort", "budget", "adaptive"))
    return not off and (asked or (traits.get("thinking") or {}).get("mode") == "always")


def _pictured(hub: Mapping[str, Any], _traits: Mapping[str, Any]) -> bool:
    for message in hub.get("messages") or ():
        for part in message.get("parts") or ():
            shown = message.get("role") == "assistant" and _SHOWN in str(part.get("text") or "")
            if shown or part.get("type") == "image":
                return True
    return False


_HAS = {"tools": lambda hub, _: bool(hub.get("tools")), "thinking": _thinks, "pictures": _pictured}
