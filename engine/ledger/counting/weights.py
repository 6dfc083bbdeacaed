"""About how many tokens a text has, for models without a vocabulary: a weight for each kind of thing in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_WIDE = "\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
_MATH = "\u2200-\u22ff\u2a00-\u2aff\u00b1\u00d7\u00f7\u00ac\u00b0\u2032-\u2034\u2070-\u209c\U0001d400-\U0001d7ff"
_THINGS = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            "word": rf"[^\W\d_{_WIDE}]+",
            "space": r"[^\S\n\t]",
            "number": r"\d+",
            "wide": f"[{_WIDE}]",
            "line": r"[\n\t]",
            "url": r"[/:?&=#%]",
            "at": "@",
            "math": f"[{_MATH}]",
            "emoji": "[\u2600-\u27bf\U0001f000-\U0001faff]",
            "sign": ".",
        }.items()
    ),
    re.DOTALL,
)
BYTES_PER_TOKEN = 4
"""Where nothing is looked at: about so many bytes of JSON are a token."""
KINDS = tuple(_THINGS.groupindex)


def weigh(text: str, weights: Mapping[str, float]) -> float:
    """The sum of the weights of a text's words, runs of digits, wide characters, signs and blanks."""
    counts = Counter(match.lastgroup for match in _THINGS.finditer(text))
    return sum(weights[kind] * number for kind, number in counts.items() if kind)
