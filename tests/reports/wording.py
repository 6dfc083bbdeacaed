"""Words in a case that stand for something else: keys, addresses, long texts, lists, numbers of repetitions.

All work on the text that will be sent, so that they may stand anywhere in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def put(value: Any, words: Mapping[str, Any]) -> Any:
    """A JSON value with words put in, as whole words; a text that is the word alone becomes a value of any type."""
    if isinstance(value, dict):
        return {put(key, words): put(member, words) for key, member in value.items()}
    if isinstance(value, list):
        return [put(member, words) for member in value]
    if not isinstance(value, str):
        return value
    if value in words:
        return words[value]
    for word, told in words.items():
        if word in value:
            text = told if isinstance(told, str) else json.dumps(told)
            value = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", lambda _, text=text: text, value)
    return value


def anywhere(value: Any, words: Mapping[str, Any]) -> Any:
    """A JSON value with words put in wherever their letters stand, as a part of another word too."""
    if isinstance(value, dict):
        return {anywhere(key, words): anywhere(member, words) for key, member in value.items()}
    if isinstance(value, list):
        return [anywhere(member, words) for member in value]
    if not isinstance(value, str) or value in words:
        return words.get(value, value) if isinstance(value, str) else value
    for word, told in words.items():
        value = value.replace(word, told if isinstance(told, str) else json.dumps(told))
    return value


def spelled(text: str, call: Mapping[str, Any], number: int, in_json: bool) -> str:
    """A body's text with its lists and long texts made, and the number of its repetition."""
    for word, (pattern, count) in call.get("list", {}).items():
        items = ", ".join(pattern.replace("{n}", str(each)).replace("{i}", str(number)) for each in range(count))
        text = text.replace(f'"{word}"', items) if f'"{word}"' in text else text.replace(word, items)
    text = text.replace("{i}", str(number))
    for word, (piece, count) in call.get("fill", {}).items():
        piece = piece.replace("{i}", str(number))
        text = text.replace(word, (json.dumps(piece)[1:-1] if in_json else piece) * count)
    return text
