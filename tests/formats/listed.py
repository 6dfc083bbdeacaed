"""Differences of chat and Claude messages that went through the hub and back to their own format, each with its reason.

Rows for `reasons.py`, which looks them up; same-format traffic passes through untouched, so nobody meets these.
"""

from __future__ import annotations

LISTED: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("openai.chat", "request"): [
        (r"^stream$", "false is the default"),
        (r"^n$", "one is the default; more is refused"),
        (r"^stream_options", "usage is always asked for: it is what calls are charged by"),
        (r"^web_search_options", "only search models take it; the recording is of the refusal"),
    ],
    ("openai.chat", "response"): [
        (r"^model$", "the answer shows the name that was asked for"),
        (r"message\.(annotations|content)$", "an empty list or text says nothing"),
        (r"message\.(reasoning|reasoning_content)$", "thought goes out as reasoning_content, whatever the vendor's own word is"),
        (r"tool_calls\[\]\.index$", "an answer's calls have no index in the reference"),
        (r"^usage\.", "members without a bucket, and zeros: predicted and text tokens, costs"),
        (r"^citations$|message\.annotations", "a search vendor's list of pages goes out as annotations"),
    ],
    ("openai.chat", "stream"): [
        (r"^parts\[\]\.citations", "a search vendor's list of pages goes out as annotations with offsets"),
    ],
    ("anthropic.messages", "request"): [
        (r"^stream$", "false is the default"),
        (r"is_error$", "false is the default"),
        (r"^messages$", "neighbouring turns of one role are one turn"),
        (r"^system$|messages\[\]\.content$|content\[\]\.content$", "text is written as a list of one block"),
        (r"^tools\[\]\.(allowed_domains|blocked_domains|max_uses|user_location)$", "null is left out"),
    ],
    ("anthropic.messages", "response"): [
        (r"^model$", "the answer shows the name that was asked for"),
        (r"^usage\.", "iterations and regions are kept for billing, not told again; zeros"),
    ],
    ("anthropic.messages", "stream"): [
        (r"^usage\.models$", "kept for billing, not told again"),
        (r"^usage\.", "the recording holds several answers; usage after the end is counted but not told"),
        (r"^parts\[\]\.value\.input", "a server call's input is told as fragments, its block opens with {}"),
        (r"^parts$", "a half call of a restarted answer had been told already"),
    ],
}

UNPARSED: list[tuple[str, str, str]] = [
    ("anthropic-programmatic-tool-calling", "", "the recording holds fifteen answers; usage after the end is counted but not told"),
    ("anthropic-tool-search-bm25", "", "the recording holds two answers; usage after the end is counted but not told"),
    ("anthropic-tool-search-deferred-bm25", "", "the recording holds three answers; usage after the end is counted but not told"),
    ("spliced-message-start", "", "half a call of a restarted answer had been told already"),
    ("anthropic-fallback", "anthropic.messages", "the SDK does not know the recorded fallback block"),
]
"""(begin of the id, target or empty for all, reason): answers that can't be compared, or not with the target's SDK."""
