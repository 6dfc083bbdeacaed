"""Speech: rules by which calls in one format are carried to a channel in another than they would be.

For models that a provider serves in one of its formats alone. Rules stand in Policies; one may name the console's
option that says for which channels and models it holds. Compiled for each channel when the table is built.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.filters.patterns import Pattern, pattern

if TYPE_CHECKING:
    from engine.program import Program

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpeechRule:
    """Calls in the formats ``asked`` for models that fit are carried in the format ``spoken``; no pattern fits all."""

    asked: frozenset[str]
    spoken: str
    models: tuple[Pattern, ...]

    def holds(self, asked: str, model: str) -> bool:
        """Whether it is for calls in this format, for this model."""
        return asked in self.asked and (not self.models or any(compiled.found(model) for compiled in self.models))


@dataclass(frozen=True, slots=True)
class Speech:
    """All rules, and for which channels each holds: all, or those of some ids or types; documents' are of none."""

    rules: tuple[tuple[SpeechRule, frozenset[int] | None, frozenset[int]], ...] = ()

    def of(self, formats: Mapping[str, Any], channel: int = 0, kind: int = 0) -> tuple[SpeechRule, ...]:
        """The rules for a channel whose provider offers ``formats``; its row's id and type, 0 for a document's."""
        return tuple(
            rule
            for rule, channels, kinds in self.rules
            if rule.spoken in formats and (channels is None or (channel and (channel in channels or kind in kinds)))
        )


def speech(program: Program, options: Mapping[str, str]) -> Speech:
    """The rules of the program's policy, with what options say of them; one that can't be read is left out, logged."""
    rules = []
    for name, entry in (program.policy.get("carried") or {}).items():
        if not entry:
            continue
        try:
            rules += list(_read(entry, options))
        except ValueError as ex:
            log.warning("policy carried.%s: %s is not followed: %s", name, entry.get("option"), ex)
    return Speech(tuple(rules))


def _read(
    entry: Mapping[str, Any], options: Mapping[str, str]
) -> Iterator[tuple[SpeechRule, frozenset[int] | None, frozenset[int]]]:
    asked, spoken = frozenset(entry["from"]), str(entry["to"])
    if "option" not in entry:
        yield SpeechRule(asked, spoken, _patterns(entry.get("models"))), None, frozenset()
        return
    option = json.loads(options.get(entry["option"]) or "null")
    if option is None or (isinstance(option, dict) and option.get("enabled") is not True):
        return
    if not isinstance(option, dict):
        raise ValueError("it is no object")
    models = _patterns(option.get("model_patterns"))
    if not models:
        return  # as the program that writes the option has it: no pattern, no model
    channels = None if option.get("all_channels", True) is True else _numbers(option.get("channel_ids"))
    yield SpeechRule(asked, spoken, models), channels, _numbers(option.get("channel_types"))


def _patterns(listed: Any) -> tuple[Pattern, ...]:
    if listed is not None and not isinstance(listed, list):
        raise ValueError("its patterns are no list")
    return tuple(pattern(str(text)) for text in listed or ())


def _numbers(listed: Any) -> frozenset[int]:
    return frozenset(number for number in listed or () if isinstance(number, int))
