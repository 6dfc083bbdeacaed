"""Rows as files: CSV and JSON Lines in pieces, as they are read, so that nothing is held whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from engine import sheets
from engine.api.envelope import plain
from engine.api.fields import Shape

_PIECE = 64 * 1024


def as_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A JSON object a line."""
    for row in rows:
        yield orjson.dumps(row, default=plain) + b"\n"


def as_csv(shape: Shape, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A head with the names of the members, and a line each."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(name for name, field in shape.fields.items() if field.told)
    for row in rows:
        writer.writerow(_cell(value) for value in row.values())
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return sheets.safe(value)


def in_pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together to pieces that are worth sending."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
