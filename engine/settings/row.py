"""A row of the table of settings, and how one is written: a field of a dataclass that carries it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.settings import kinds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One environment variable: its name, the attribute that holds it, how its text is read, and what it does."""

    name: str
    group: str
    kind: kinds.SettingKind
    words: str
    secret: bool
    default: object
    attribute: str = ""
    caution: str = ""
    """What is said at each start while it is switched on."""


def _env(
    name: str, default: T, kind: kinds.SettingKind, words: str, *, group: str, secret: bool = False, caution: str = ""
) -> T:
    """A dataclass field that carries its row; typed as its value so that ``Settings`` stays strictly typed."""
    row = Row(name, group, kind, words, secret, default, caution=caution)
    return dataclasses.field(default=default, metadata={"row": row})


def group(name_of_group: str) -> Callable[..., Any]:
    """Fields of one group: called with variable, default, kind and words."""

    def make(
        name: str, default: T, kind: kinds.SettingKind, words: str, *, secret: bool = False, caution: str = ""
    ) -> T:
        return _env(name, default, kind, words, group=name_of_group, secret=secret, caution=caution)

    return make
