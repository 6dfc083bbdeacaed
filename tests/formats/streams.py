"""Every stream that is there to test with: the recorded ones of all vendors, and those that nobody recorded, spoken.

A stream has the features of its recording; ``shortest`` picks what shows them all in few bytes.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass

from engine.transport import framing
from tests.formats import checks, recorded
from tests.formats.spoken import VENDORS

EVERYTHING = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
"""All streams instead of the shortest that show their features (make nightly)."""
SPOKEN = {"ollama": "ollama.chat", "cohere": "cohere.chat", "bedrock": "bedrock.converse"}


@dataclass(frozen=True, slots=True)
class Sample:
    """The bytes of one stream."""

    id: str
    format: str
    data: bytes
    features: tuple[str, ...]

    def events(self) -> list[bytes]:
        """The bytes of each event, as the relay's splitter finds them; joined they are the stream."""
        splitter = framing.splitter(rules(self.format)["type"])
        found = splitter.feed(self.data)[1]
        return [*found, rest] if (rest := splitter.tail()) else found


def rules(name: str) -> dict[str, str]:
    """The framing of a format's streams."""
    stream = recorded.program().formats[name].stream
    assert stream is not None
    return stream.framing


_MADE_UP = re.compile(rb'"((?:resp|msg|fc|rs|gen|chatcmpl|item)[_-])[^"]+"|"(created(?:_at)?|completed_at)": ?\d+')


def unnamed(told: bytes) -> bytes:
    """What a caller was told, but for names made up and times."""
    return _MADE_UP.sub(b"x", told)


@functools.cache
def everything() -> tuple[Sample, ...]:
    """All streams; without recordings those that are spoken."""
    told = [item for item in (*recorded.exchanges(), *recorded.dialects()) if item.stream]
    return (
        *(
            Sample(
                f"{item.folder}:{item.id}",
                item.format,
                recorded.stream_bytes(item),
                ("error" if item.id in checks.ERRORS else "text", *item.features),
            )
            for item in told
        ),
        *(Sample(f"spoken:{name}", SPOKEN[name], VENDORS[name].stream, ("spoken",)) for name in SPOKEN),
        *(Sample(f"broken:{name}", SPOKEN[name], b"".join(VENDORS[name].broken), ("error",)) for name in SPOKEN),
    )


@functools.cache
def shortest() -> tuple[Sample, ...]:
    """For each format and feature the shortest stream that shows it."""
    chosen: dict[tuple[str, str], Sample] = {}
    for sample in sorted(everything(), key=lambda item: len(item.data)):
        for feature in sample.features:
            chosen.setdefault((sample.format, feature), sample)
    return tuple({item.id: item for item in chosen.values()}.values())
