"""What there is in ``/api/v2``, as an OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from engine.api.fields import Shape
from engine.api.openapi import document
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import NOBODY, Answer, Ask

DOCUMENT = Shape(
    "Description",
    dict(
        (
            told("openapi", "The version of OpenAPI.", "string"),
            told("info", "What it is about.", "object"),
            told("servers", "Where it is served.", "array"),
            told("paths", "Operations by path and method.", "object"),
            told("components", "Schemas by name.", "object"),
        )
    ),
)


def route(others: Sequence[Operation]) -> Operation:
    """The route of the document of all others and itself; it is written once for each process."""
    written: list[bytes] = []

    def openapi(ask: Ask) -> Answer:
        if not written:
            written.append(orjson.dumps(document([*others, own])))
        return Answer(whole=written[0])

    own = Operation("GET", f"{PREFIX}/openapi.json", NOBODY, openapi, words="This document.", gives=DOCUMENT)
    return own
