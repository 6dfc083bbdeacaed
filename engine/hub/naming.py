"""Stable made-up names: the same input gives the same short id on every machine and at every time.

Where a form is declared (a pattern, a greatest length), ways of several alphabets and lengths are tried in a fixed
order, the usual one first. Knows nothing of tools or calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import re2

from engine.bounds import LONGEST_KEPT

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_ALL = _DIGITS + _LOWER + _LOWER.upper()
_ALPHABETS = (_ALL, _DIGITS + _LOWER, _LOWER, _DIGITS, _DIGITS + _LOWER.upper(), _LOWER.upper(), _DIGITS + "abcdef")
"""What made-up names are spelt with, the richest first: a poorer one only where the form wants it."""
_GAPS = ("_", "-", "")
_CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper)
_WORDS = ("tool", "Tool", "TOOL")
_ID_PREFIXES = ("call_", "call-", "call", "")
"""What ids begin with where no prefix is declared."""
_ID_LENGTH = 24
_MARK_LENGTH = 8
_SHORTEST = 4
"""Characters that tell made-up names apart, at least."""
_MOST = 64
"""Characters of a made-up name where no bound is declared."""


def short_hash(text: str, length: int = 24, alphabet: str = _ALL) -> str:
    """``length`` characters of an alphabet that stand for a text."""
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest())
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        letters.append(alphabet[digit])
    return "".join(letters)


_SALTS = tuple(" " * times for times in range(9))
_SAMPLES = tuple(short_hash(str(number), 9, _LOWER + _LOWER.upper()) for number in range(24))


def made_name(told: str, pattern: str | None, most: int | None, salt: str = "") -> str | None:
    """A name for the target that stands for one it doesn't take, as like it as can be; None if no way gives one.

    ``salt`` gives another one. PERF: 10 us in the usual ways; names repeat with every request.
    """
    make = _known if len(told) <= LONGEST_KEPT else _made
    return make(told + salt, told, pattern, most or _MOST, _ways_of_names)


def made_id(seed: str, pattern: str | None, most: int | None, prefix: str | None) -> str | None:
    """An id for the target out of any text; None if no way gives one."""
    make = _known if len(seed) <= LONGEST_KEPT else _made
    return make(seed, "", pattern, most or _MOST, _ways_of_ids, prefix)


def free(make: Callable[[str], str | None], told: str, taken: Mapping[str, str]) -> str | None:
    """The first of what ``make`` gives with a salt that stands for no other: of few characters, two may come out alike.

    ``taken`` is what made-up ones stand for so far. None if all are taken.
    """
    return next((name for salt in _SALTS if (name := make(salt)) is not None and taken.get(name, told) == told), None)


def can_name(pattern: str | None, most: int | None) -> bool:
    """Whether names can be made that fit; told by samples."""
    return all(made_name(sample, pattern, most) for sample in _SAMPLES)


def can_identify(pattern: str | None, most: int | None, prefix: str | None) -> bool:
    """Whether ids can be made that fit; told by samples."""
    return all(made_id(sample, pattern, most, prefix) for sample in _SAMPLES)


@dataclass(frozen=True, slots=True)
class _Way:
    """A word (or the old name, spelt so that it may fit), a gap, and a mark of so many characters."""

    word: str | None
    gap: str
    length: int
    alphabet: str
    case: Callable[[str], str] = str
    kept: str = ""
    """Characters of the old name that stay beside its letters and digits; all others become the gap."""

    def make(self, seed: str, told: str, most: int) -> str:
        """The text; the word is cut to leave room for the mark."""
        mark = self.gap + short_hash(seed, self.length, self.alphabet)
        word = self._spelt(told[: most * 4]) if self.word is None else self.word
        return word[: max(most - len(mark), 0)] + mark

    def _spelt(self, name: str) -> str:
        letters = (char if char.isascii() and (char.isalnum() or char in self.kept) else self.gap for char in name)
        return self.case("".join(letters))


_Ways = Callable[..., tuple[_Way, ...]]


def _made(seed: str, name: str, pattern: str | None, most: int, ways: _Ways, *which: str | None) -> str | None:
    fits = _form(pattern, most)
    candidate = _usual(pattern, most, ways, *which).make(seed, name, most)
    if fits(candidate):
        return candidate
    return next(filter(fits, (way.make(seed, name, most) for way in ways(most, *which))), None)


_known = lru_cache(maxsize=4096)(_made)


@lru_cache(maxsize=256)
def _usual(pattern: str | None, most: int, ways: _Ways, *which: str | None) -> _Way:
    """The first way that serves for most names."""
    fits, every = _form(pattern, most), ways(most, *which)
    return next((way for way in every if all(fits(way.make(sample, sample, most)) for sample in _SAMPLES)), every[0])


@lru_cache(maxsize=256)
def _form(pattern: str | None, most: int) -> Callable[[str], bool]:
    compiled = re2.compile(pattern) if pattern else None

    def fits(text: str) -> bool:
        return len(text) <= most and (compiled is None or compiled.fullmatch(text) is not None)

    return fits


@lru_cache(maxsize=64)
def _ways_of_names(most: int) -> tuple[_Way, ...]:
    """The old name and a mark, in spellings that vendors' patterns allow; then a mark behind a word, or alone."""
    ways = [_Way(None, "_", _MARK_LENGTH, _ALL, kept="_-"), _Way("tool", "_", _MARK_LENGTH, _ALL)]
    every = [(alphabet, gap) for alphabet in _ALPHABETS for gap in _GAPS]
    ways += [_Way(None, gap, _MARK_LENGTH, alphabet, case) for alphabet, gap in every for case in _CASES]
    ways += [_Way(word, gap, _MARK_LENGTH, alphabet) for alphabet, gap in every for word in _WORDS]
    return (*ways, *_marks("", most))


@lru_cache(maxsize=64)
def _ways_of_ids(most: int, prefix: str | None) -> tuple[_Way, ...]:
    """Behind the declared prefix; where none is declared, behind the usual ones or none."""
    ways: list[_Way] = []
    for word in _ID_PREFIXES if prefix is None else (prefix,):
        length = max(min(_ID_LENGTH, most - len(word)), 1)
        ways += [_Way(word, "", length, alphabet) for alphabet in _ALPHABETS]
        ways += _marks(word, most)
    return tuple(ways)


def _marks(word: str, most: int) -> Iterator[_Way]:
    """Marks of every length, the longest first: there are patterns that want just one."""
    for length in range(min(most, _MOST) - len(word), _SHORTEST - 1, -1):
        yield from (_Way(word, "", length, alphabet) for alphabet in _ALPHABETS)
