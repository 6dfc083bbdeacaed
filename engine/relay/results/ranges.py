"""Which part of a file is wanted: Range, If-Range and If-None-Match, RFC 9110 (13 and 14). Plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def whole_or_part(
    asked: Mapping[str, str], size: int, tag: str, changed: float
) -> tuple[int, list[tuple[str, str]], int, int]:
    """Status, headers, and from where to where, of a file of ``size`` bytes with a strong tag.

    Several ranges in one request are answered with the whole, as a server may.
    """
    about = [("etag", tag), ("accept-ranges", "bytes"), ("last-modified", formatdate(changed, usegmt=True))]
    if tag in [known.strip() for known in asked.get("if-none-match", "").split(",")]:
        return 304, about, 0, 0
    match = _ONE.fullmatch(asked.get("range", "").replace(" ", ""))
    if match is None or match[0] == "bytes=-" or asked.get("if-range", tag) not in (tag, about[-1][1]):
        return 200, [*about, ("content-length", str(size))], 0, size
    first, last = match[1], match[2]
    if first and last and int(last) < int(first):
        return 200, [*about, ("content-length", str(size))], 0, size
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1 if first and last else size, size)
    if start >= size or (not first and int(last) == 0):
        return 416, [*about, ("content-range", f"bytes */{size}"), ("content-length", "0")], 0, 0
    part = [("content-range", f"bytes {start}-{end - 1}/{size}"), ("content-length", str(end - start))]
    return 206, [*about, *part], start, end
