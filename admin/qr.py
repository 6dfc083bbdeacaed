"""QR codes (ISO/IEC 18004) of short texts: byte mode, error correction M, versions 1 to 6, the first mask.

``matrix(text)`` gives rows of dark and light modules, ``path(text)`` an SVG path of the dark ones. 106 bytes at most.
"""

from __future__ import annotations

from engine.errors import Invalid

_BLOCKS = ((16, 10, 1), (28, 16, 1), (44, 26, 1), (32, 18, 2), (43, 24, 2), (27, 16, 4))
"""By version: bytes of data in a block, bytes of correction in a block, blocks."""
_QUIET = 4
_FORMAT = 0b101010000010010
"""Error correction M with mask 0, masked as the standard says."""
_EXP = [1]
for _ in range(254):
    _EXP.append(_EXP[-1] << 1 ^ (0x11D if _EXP[-1] & 0x80 else 0))
_LOG = {value: power for power, value in enumerate(_EXP)}


def path(text: str) -> tuple[str, int]:
    """The dark modules as an SVG path, and the length of a side with its quiet zone."""
    rows = matrix(text)
    dark = ((x, y) for y, row in enumerate(rows) for x, on in enumerate(row) if on)
    return "".join(f"M{x + _QUIET} {y + _QUIET}h1v1h-1z" for x, y in dark), len(rows) + 2 * _QUIET


def matrix(text: str) -> list[list[bool]]:
    """The code of a text; raises ``Invalid`` for one that is too long."""
    data = text.encode()
    fits = (version for version, (size, _, blocks) in enumerate(_BLOCKS, 1) if len(data) + 2 <= size * blocks)
    version = next(fits, None)
    if version is None:
        raise Invalid("text", f"a code holds 106 bytes, not {len(data)}")
    side = 17 + 4 * version
    modules: list[list[bool | None]] = [[None] * side for _ in range(side)]
    _patterns(modules, version)
    _fill(modules, _codewords(data, version))
    return [[bool(on) for on in row] for row in modules]


def _codewords(data: bytes, version: int) -> bytes:
    """Data and correction, with their blocks interleaved."""
    size, correction, count = _BLOCKS[version - 1]
    bits = f"0100{len(data):08b}" + "".join(f"{byte:08b}" for byte in data) + "0000"
    whole = int(bits, 2).to_bytes(len(bits) // 8, "big")
    whole += (b"\xec\x11" * size * count)[: size * count - len(whole)]
    blocks = [whole[size * at : size * (at + 1)] for at in range(count)]
    tails = [_correction(block, correction) for block in blocks]
    rows = [*zip(*blocks, strict=True), *zip(*tails, strict=True)]
    return bytes(byte for row in rows for byte in row)


def _correction(block: bytes, count: int) -> bytes:
    """The remainder of the block by the generator of so many roots."""
    generator = [1]
    for root in range(count):
        shifted = [*generator, 0]
        for at, term in enumerate(generator):
            shifted[at + 1] ^= _times(term, _EXP[root])
        generator = shifted
    rest = [*block, *[0] * count]
    for at in range(len(block)):
        factor = rest[at]
        for step, term in enumerate(generator):
            rest[at + step] ^= _times(term, factor)
    return bytes(rest[-count:])


def _times(a: int, b: int) -> int:
    return _EXP[(_LOG[a] + _LOG[b]) % 255] if a and b else 0


def _patterns(modules: list[list[bool | None]], version: int) -> None:
    """What stands in every code of a version: finders, timing, alignment, and the format."""
    side = len(modules)
    for top, left in ((0, 0), (0, side - 7), (side - 7, 0)):
        for y in range(-1, 8):
            for x in range(-1, 8):
                if 0 <= top + y < side and 0 <= left + x < side:
                    ring = max(abs(y - 3), abs(x - 3))
                    modules[top + y][left + x] = ring not in (2, 4)
    for at in range(8, side - 8):
        modules[6][at] = modules[at][6] = at % 2 == 0
    if version > 1:
        centre = side - 7
        for y in range(-2, 3):
            for x in range(-2, 3):
                modules[centre + y][centre + x] = max(abs(y), abs(x)) != 1
    bits = [bool(_FORMAT >> at & 1) for at in range(15)]
    across = [*range(6), 7, 8, *range(side - 7, side)]
    for at, on in enumerate(bits):  # the lowest bit stands at the top, and at the right
        modules[across[at] if at < 8 else side - 15 + at][8] = on
        modules[8][side - 1 - at if at < 8 else (7 if at == 8 else 14 - at)] = on
    modules[side - 8][8] = True


def _fill(modules: list[list[bool | None]], data: bytes) -> None:
    """Put the bits into what is free, in pairs of columns from the right, up and down; masked like a chessboard."""
    side = len(modules)
    bits = (bool(byte >> at & 1) for byte in data for at in range(7, -1, -1))
    up = True
    for right in (*range(side - 1, 6, -2), 5, 3, 1):
        for y in range(side - 1, -1, -1) if up else range(side):
            for x in (right, right - 1):
                if modules[y][x] is None:
                    modules[y][x] = next(bits, False) ^ ((y + x) % 2 == 0)
        up = not up
