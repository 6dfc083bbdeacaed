"""Filters that make a text safe where it is to stand: in markup, or in an address."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

from engine.filters.record import Filter

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~=])")


def _escape(value: Any, target: Any = "html") -> str | None:
    if type(value) is not str:
        return None
    if target == "html":
        return html.escape(value)
    if target == "entities":
        return html.escape(value, quote=False)
    return _MARKS.sub(r"\\\1", value) if target == "markdown" else None


def _urlencode(value: Any) -> str | None:
    return quote(value.encode("utf-8", "replace"), safe="") if type(value) is str else None


FILTERS = (
    Filter(
        "escape",
        _escape,
        "text",
        "text",
        "no sign of it counts as markup: of html, of entities (& < > alone), or of markdown",
        (
            ("'<b> & \"c\"' | escape", "&lt;b&gt; &amp; &quot;c&quot;"),
            ("'<b> \"c\"' | escape('entities')", '&lt;b&gt; "c"'),
            ("'*a*' | escape('markdown')", "\\*a\\*"),
            ("'a' | escape('tex')", None),
        ),
        ("target?",),
        cost=2,
        longer=6,
    ),
    Filter(
        "urlencode",
        _urlencode,
        "text",
        "text",
        "as a part of an address: all but letters, digits and `-._~` as bytes in percent signs",
        (("'a b/é' | urlencode", "a%20b%2F%C3%A9"), ("1 | urlencode", None)),
        cost=2,
        longer=12,
    ),
)
