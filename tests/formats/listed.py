"""Differences of chat and Claude messages that went through the hub and back to their own format, each with its reason.

Rows for `reasons.py`, which looks them up; same-format traffic passes through untouched, so nobody meets these.
"""

from __future__ import annotations

_DEFAULT = "false is the default"
_ASKED = "the answer shows the name that was asked for"
_SEVERAL = "the recording holds several answers; usage after the end is counted but not told"
_HALF = "half a call of a restarted answer had been told already"
_PAGES = "a search vendor's list of pages goes out as annotations with offsets"
_BILLED = "iterations and regions are kept for billing, not told again; zeros"

LISTED: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("openai.chat", "request"): [
        (r"^stream$", _DEFAULT),
        (r"^n$", "one is the default; more is refused"),
        (r"^stream_options", "usage is always asked for: it is what calls are charged by"),
        (r"^web_search_options", "only search models take it; the recording is of the refusal"),
    ],
    ("openai.chat", "response"): [
        (r"^model$", _ASKED),
        (r"message\.(annotations|content)$", "an empty list or text says nothing"),
        (
            r"message\.(reasoning|reasoning_content)$",
            "thought goes out as reasoning_content, whatever the vendor's word is",
        ),
        (r"tool_calls\[\]\.index$", "an answer's calls have no index in the reference"),
        (r"^usage\.", "members without a bucket, and zeros: predicted and text tokens, costs"),
        (r"^citations$|message\.annotations", _PAGES),
    ],
    ("openai.chat", "stream"): [
        (r"^parts\[\]\.citations", _PAGES),
    ],
    ("anthropic.messages", "request"): [
        (r"^stream$", _DEFAULT),
        (r"is_error$", _DEFAULT),
        (r"^messages$", "neighbouring turns of one role are one turn"),
        (r"^system$|messages\[\]\.content$|content\[\]\.content$", "text is written as a list of one block"),
        (r"^tools\[\]\.(allowed_domains|blocked_domains|max_uses|user_location)$", "null is left out"),
    ],
    ("anthropic.messages", "response"): [
        (r"^model$", _ASKED),
        (r"^usage\.", _BILLED),
    ],
    ("anthropic.messages", "stream"): [
        (r"^usage\.models$", _BILLED),
        (r"^usage\.", _SEVERAL),
        (r"^parts\[\]\.value\.input", "a server call's input is told as fragments, its block opens with {}"),
        (r"^parts$", _HALF),
    ],
}

UNPARSED: list[tuple[str, str, str]] = [
    ("anthropic-programmatic-tool-calling", "", _SEVERAL),
    ("anthropic-tool-search-bm25", "", _SEVERAL),
    ("anthropic-tool-search-deferred-bm25", "", _SEVERAL),
    ("spliced-message-start", "", _HALF),
    ("anthropic-fallback", "anthropic.messages", "the SDK does not know the recorded fallback block"),
]
"""(begin of the id, target or empty for all, reason): answers that can't be compared, or not with the target's SDK."""
