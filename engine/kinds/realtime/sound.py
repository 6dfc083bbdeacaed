"""Sound from one format into another: encodings of telephones, and rates. Piece by piece, as it comes.

A format is ``{encoding: pcm | ulaw | alaw, rate: samples a second}``; pcm is 16 bits, one channel, the low byte first.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Mapping
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop  # the standard library's up to Python 3.12, the package audioop-lts after it

_WIDTH = 2


class Converter:
    """Takes pieces of a stream of sound in base64, gives them in the other format; ``ValueError`` for what is none."""

    def __init__(self, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        self._source, self._target = source, target
        self._state: Any = None
        self._odd = b""

    def convert(self, data: str) -> str:
        """The next piece; may be empty."""
        try:
            raw = base64.b64decode(data, validate=True)
        except binascii.Error as ex:
            raise ValueError(f"the sound is no base64: {ex}") from None
        encoding, rate = self._source["encoding"], self._source["rate"]
        if encoding == "pcm":
            raw = self._odd + raw
            whole = len(raw) - len(raw) % _WIDTH
            raw, self._odd = raw[:whole], raw[whole:]
        else:
            raw = (audioop.ulaw2lin if encoding == "ulaw" else audioop.alaw2lin)(raw, _WIDTH)
        if rate != self._target["rate"] and raw:
            raw, self._state = audioop.ratecv(raw, _WIDTH, 1, rate, self._target["rate"], self._state)
        if self._target["encoding"] != "pcm":
            raw = (audioop.lin2ulaw if self._target["encoding"] == "ulaw" else audioop.lin2alaw)(raw, _WIDTH)
        return base64.b64encode(raw).decode("ascii")


def converter(source: Mapping[str, Any], target: Mapping[str, Any]) -> Converter | None:
    """What makes one into the other; nothing where they are the same."""
    same = source["encoding"] == target["encoding"] and source["rate"] == target["rate"]
    return None if same else Converter(source, target)
