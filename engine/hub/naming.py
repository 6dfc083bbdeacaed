"""Stable made-up names: the same input gives the same short id on every machine and at every time."""

from __future__ import annotations

from hashlib import blake2b

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def short_hash(text: str, length: int = 24) -> str:
    """``length`` letters and digits that stand for a text."""
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest())
    letters = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return "".join(letters)
