"""What people are told, by key, in Chinese, English, French and Japanese.

``refusal(kind, key, ...)`` makes an error of ``engine.errors`` that can be told in each of them; ``say`` gives the
words of a key. English is what is said where no other language was asked for.
"""

from __future__ import annotations

from typing import TypeVar

from engine.errors import GatewrightError, Invalid
from engine.texts.table import TABLE

__all__ = ["LANGUAGES", "language", "refusal", "say", "told"]

LANGUAGES = ("en", "zh", "fr", "ja")
E = TypeVar("E", bound=GatewrightError)


def say(key: str, tongue: str = "en", /, **values: object) -> str:
    """The words of a key."""
    row = TABLE[key]
    words = row[LANGUAGES.index(tongue)] if tongue in LANGUAGES and LANGUAGES.index(tongue) < len(row) else row[0]
    return words.format(**values) if values else words


def refusal(kind: type[E], key: str, **values: object) -> E:
    """An error that can be told in every language; ``field`` among the values is the one at fault."""
    words = say(key, "en", **values)
    error = kind(str(values.get("field", "")), words) if issubclass(kind, Invalid) else kind(words)
    error.key, error.values = key, values
    return error


def told(error: GatewrightError, tongue: str) -> str:
    """An error in a language, as far as it can be told in it."""
    return say(error.key, tongue, **error.values) if error.key else str(error)


def language(chosen: str, accepted: str) -> str:
    """The language to tell things in.

    A header of one language alone is the wish of a script for this very call; else a user's setting goes before what
    a browser accepts.
    """
    single = "," not in accepted and accepted.strip() not in ("", "*")
    for text in (accepted if single else "", chosen, *accepted.split(",")):
        tongue = text.split(";")[0].strip().lower()[:2]
        if tongue in LANGUAGES:
            return tongue
    return "en"
