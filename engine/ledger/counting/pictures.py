"""How large a picture is, by the first bytes of its file, and how many tokens that comes to by a model's rule.

Knows PNG, GIF, JPEG and WebP as far as their heads; a picture that can't be read has no size.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

HEAD = 64
"""Bytes that say the size, but for JPEG, where it stands behind whatever a camera noted."""
UNREAD = 3
"""A picture whose size nobody knows counts so many times its base."""
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset((0x01, *range(0xD0, 0xD8)))


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height; ``data`` may end anywhere behind them."""
    try:
        dimensions = _size(data)
    except struct.error:
        return None
    return dimensions if dimensions and all(dimensions) else None


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", data, 16)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return struct.unpack_from("<HH", data, 6)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while True:
        mark, kind = struct.unpack_from(">BB", data, at)
        if mark != 0xFF:
            return None
        if kind == 0xFF or kind in _JPEG_BARE:
            at += 1 if kind == 0xFF else 2
            continue
        if kind in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return 1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16)
    if kind == b"VP8L":
        bits: int = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def tokens(rule: Mapping[str, Any], measured: tuple[int, int] | None) -> int:
    """Tokens of a picture by patches or by tiles."""
    base: int = rule["base"]
    if measured is None:
        return UNREAD * base
    return _patches(rule, *measured) if "patch" in rule else base + int(rule["each"]) * _tiles(rule, *measured)


def _patches(rule: Mapping[str, Any], width: int, height: int) -> int:
    """Patches that cover it; one that needs too many is scaled down so that a side is whole patches."""
    side, most = rule["patch"], rule["most"]
    across, down = width / side, height / side
    if math.ceil(across) * math.ceil(down) > most:
        scale = math.sqrt(most / (across * down))
        across, down = across * scale, down * scale
        scale = min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
        across, down = round(across * scale, 6), round(down * scale, 6)
    patches: float = min(most, math.ceil(across) * math.ceil(down)) * rule["factor"]
    return round(patches)


def _tiles(rule: Mapping[str, Any], width: int, height: int) -> int:
    """Tiles that cover it once its long side fits and its short one is as long as the rule says."""
    fit = max(1.0, max(width, height) / rule["fit"])
    sides = round(width / fit), round(height / fit)
    if not all(sides):
        return 0
    scale = rule["short"] / min(sides)
    across, down = (math.ceil(round(side * scale) / rule["tile"]) for side in sides)
    return int(across * down)
