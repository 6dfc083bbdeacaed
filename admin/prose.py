"""Texts of the operator as blocks that templates write: headings, lists, paragraphs, links; whatever else is text.

A little of Markdown is read. Markup of HTML is dropped with its tags, so that a page that New API showed is legible.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|</?[a-zA-Z][^<>]*>", re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"</?(?:p|div|br|li|h[1-6]|ul|ol|tr)\b[^<>]*>", re.IGNORECASE)
_LINK = re.compile(
    r"\[([^\]\n]{1,200})\]\((https?://[^\s()]{1,500})\)|(https?://[^\s<>()\"']{1,500}[^\s<>()\"'.,;:!?])"
)
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Block:
    """``kind`` is ``h2``, ``li`` or ``p``; ``pieces`` are texts with where they lead, or nothing."""

    kind: str
    pieces: tuple[tuple[str, str], ...]


def blocks(text: str) -> list[Block]:
    """The blocks of a text."""
    if "<" in text:
        text = html.unescape(_TAG.sub("", _BREAK.sub("\n", text[:_MOST])))
    return [_block(line.strip()) for line in text[:_MOST].splitlines() if line.strip()]


def _block(line: str) -> Block:
    head = re.match(r"#{1,6}\s+(.*)", line)
    entry = re.match(r"[-*]\s+(.*)", line)
    kind, rest = ("h2", head[1]) if head else ("li", entry[1]) if entry else ("p", line)
    return Block(kind, tuple(_pieces(rest.replace("**", ""))))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    for link in _LINK.finditer(text):
        if link.start() > at:
            yield text[at : link.start()], ""
        yield (link[1], link[2]) if link[1] else (link[3], link[3])
        at = link.end()
    if at < len(text):
        yield text[at:], ""


def address(text: str) -> str:
    """The address that a text is, where it is one and nothing else: it is linked to, not shown."""
    text = text.strip()
    return text if re.fullmatch(r"https?://[^\s<>\"']{1,500}", text) else ""
