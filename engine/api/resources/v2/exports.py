"""Rows as files: CSV, JSON Lines and Parquet in pieces, as they are read, so that nothing is held whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from engine import sheets
from engine.api.envelope import plain
from engine.api.fields import Field, Shape
from engine.api.route import Answer, Ask
from engine.errors import Invalid

_PIECE = 64 * 1024
_GROUP = 5000
"""Rows of a group in a Parquet file."""


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file: its media type and what makes pieces of rows."""

    media: str
    write: Callable[[Shape, Iterable[Mapping[str, Any]]], Iterator[bytes]]


def as_lines(_: Shape, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
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


def as_parquet(shape: Shape, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Groups of rows, compressed; objects and lists as JSON. ``Invalid`` where the library is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        what = "Parquet needs pyarrow beside the gateway"
        raise Invalid("format", what, "pip install 'gatewright[parquet]', or ask for csv or jsonl") from None
    types = {"integer": pyarrow.int64(), "number": pyarrow.float64(), "boolean": pyarrow.bool_()}
    schema = pyarrow.schema(
        (name, pyarrow.string() if field.codes else types.get(field.kind, pyarrow.string()))
        for name, field in shape.fields.items()
        if field.told
    )
    return _groups(parquet, schema, rows)


def _groups(parquet: Any, schema: Any, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    from pyarrow import RecordBatch

    sink, source = _Sink(), iter(rows)
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while part := list(islice(source, _GROUP)):
            typed = [{name: _typed(value) for name, value in row.items()} for row in part]
            writer.write_batch(RecordBatch.from_pylist(typed, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _typed(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


class _Sink(io.RawIOBase):
    """A file that is handed on while it is written."""

    def __init__(self) -> None:
        self._pieces = bytearray()
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        self._pieces += data
        self._at += len(data)
        return len(data)

    def taken(self) -> bytes:
        """What was written since it was asked last."""
        piece = bytes(self._pieces)
        self._pieces.clear()
        return piece


FORMS = {
    "csv": Form("text/csv; charset=utf-8", as_csv),
    "jsonl": Form("application/jsonl; charset=utf-8", as_lines),
    "parquet": Form("application/vnd.apache.parquet", as_parquet),
}
FORMAT = {"format": Field(kind="string", words="csv, jsonl or parquet.", choices=tuple(FORMS))}
STREAMED = tuple(form.media.partition(";")[0] for form in FORMS.values())


def file_of(ask: Ask, shape: Shape, rows: Iterable[Mapping[str, Any]], name: str) -> Answer:
    """Rows as the file that was asked for by ``format``; CSV unless one is."""
    asked = str(FORMAT["format"].check("format", ask.query.get("format") or "csv"))
    form = FORMS[asked]
    headers = {"content-type": form.media, "content-disposition": f'attachment; filename="{name}.{asked}"'}
    return Answer(stream=in_pieces(form.write(shape, rows)), headers=headers)


def in_pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together to pieces that are worth sending."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
