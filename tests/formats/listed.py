"""Differences of chat and Claude messages that went through the hub and back to their own format, each with its reason.

Rows for `reasons.py`, which looks them up; same-format traffic passes through untouched, so nobody meets these.
"""

from __future__ import annotations

_DEFAULT = "false is the default"
_ASKED = "the answer shows the name that was asked for"
_SEVERAL = "the recording holds several answers; usage after the end is counted but not told"
_HALF = "half a call of a restarted answer had been told already"
_PAGES = "a search vendor's list of pages goes out as annotations with offsets"
_OWN_WORD = "a vendor's own member beside the answer: no other format has a word for it"
_EMPTY = "written where it was left out"
_THOUGHT = "thought goes out in the words of the reference, under our formats' names"
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
        (
            r"^usage\.(?!(prompt|completion|total)_tokens$)",
            "members without a bucket, and zeros: predicted and text tokens, costs",
        ),
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
        (r"^usage\.(?!(cache_read_|cache_creation_)?input_tokens$|output_tokens$)", _BILLED),
    ],
    ("anthropic.messages", "stream"): [
        (r"^usage\.models$", _BILLED),
        (r"^usage\.", _SEVERAL),
        (r"^parts\[\]\.value\.input", "a server call's input is told as fragments, its block opens with {}"),
        (r"^parts$", _HALF),
    ],
}

LISTED |= {
    ("dialects", "response"): [
        (r"^(model|id)$", _ASKED + "; an empty id is made anew"),
        (r"^(metadata|provider|request_id|service_tier|time_info|x_groq)$", _OWN_WORD),
        (r"^choices\[\]\.(native_finish_reason|seed|stop_reason)$", _OWN_WORD),
        (r"^choices\[\]\.finish_reason$", "an empty one is the end of an answer"),
        (r"message\.(reasoning|reasoning_content)$|message\.reasoning_details(\[\]\.(format|index))?$", _THOUGHT),
        (r"^choices\[\]\.message\.content$", "thought stands beside the text, not in it"),
        (r"^choices\[\]\.message\.tool_calls\[\]\.(index|type)$", "a call's type is said, its number is not"),
        (r"^choices\[\]\.message\.audio$", "an empty one has a time"),
        (r"^usage\.(?!(prompt|completion|total)_tokens$)", "members without a bucket, zeros, times and costs"),
        (r"^usage\.completion_tokens$", "xAI counts thought beside, which its own total says; here it stands inside"),
    ],
    ("bedrock.converse", "response"): [
        (r"toolUse\.type$", "the kind of a call is its client's when it is not said"),
        (r"^usage\.cache(Read|Write)InputToken(s|Count)$", _EMPTY + "; the second spelling is not documented"),
        (r"^usage\.serverToolUsage$", _OWN_WORD),
    ],
    ("cohere.chat", "response"): [
        (r"^usage\.(cached_tokens|tokens)$", "only what is billed counts"),
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
