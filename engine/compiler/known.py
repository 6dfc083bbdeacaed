"""The sets that this process compiled last for who asked: the one in force stands on one side of every plan, what is
published is what was planned, and what is activated is what was published."""

from __future__ import annotations

from dataclasses import dataclass

from engine.compiler import Result, Source, compile_set, spectests

_MOST = 2


@dataclass(slots=True)
class KnownSet:
    """What a set of texts came to, and its tests where they were run."""

    texts: tuple[list[Source], list[Source]]
    result: Result
    outcomes: list[spectests.TestOutcome] | None = None

    def tests(self) -> list[spectests.TestOutcome]:
        """The documents' own tests, run once; the set has no faults."""
        if self.outcomes is None:
            self.outcomes = spectests.run(self.result)
        return self.outcomes


_KNOWN: list[KnownSet] = []


def forget() -> None:
    """Know no set any more."""
    _KNOWN.clear()


def find(sources: list[Source], shared: list[Source]) -> KnownSet | None:
    """A set that is known."""
    return next((one for one in _KNOWN if one.texts == (sources, shared)), None)


def known(sources: list[Source], shared: list[Source]) -> KnownSet:
    """A set, compiled if it is not known; the two that were asked for last stay."""
    found = find(sources, shared)
    if found is None:
        found = KnownSet((sources, shared), compile_set(sources, shared))
    else:
        _KNOWN.remove(found)
    _KNOWN.append(found)
    del _KNOWN[:-_MOST]
    return found
