"""Forms (multipart/form-data, RFC 7578): read where their parts lie, and written anew where a field has to differ.

A form passes as it came unless a patch, an alias or a mapping changes a field: then the parts that stay are copied byte
for byte, under the same boundary. Takes and gives bytes; knows nothing of models.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.transport.spool import Body, Pieces, Spool, Stretch

MEDIA_TYPE = "multipart/form-data"
_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,70})"?', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_MOST_PARTS = 1000
_MOST_HEAD = 8192
_LONGEST_FIELD = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part: where it lies in the form from its head to its end, and what its head says."""

    name: str
    filename: str | None
    media_type: str
    start: int
    content: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """A whole form. ``raw`` holds the parts' bytes, in memory or in a file."""

    raw: bytes | Spool
    boundary: str
    parts: tuple[Part, ...]

    @property
    def media_type(self) -> str:
        """The Content-Type that it goes under."""
        return f"{MEDIA_TYPE}; boundary={self.boundary}"

    def data(self, part: Part) -> bytes:
        """What a part holds, in memory."""
        return self.raw[part.content : part.end]

    def body(self, part: Part) -> Body:
        """What a part holds, as a body of its own."""
        return self._stretch(part.content, part.end)

    def fields(self) -> dict[str, Any]:
        """Texts by their names, a list where a name stands several times; of a file what it is, without its bytes."""
        texts: dict[str, Any] = {}
        for part in self.parts:
            value = self._text(part) if part.filename is None else _described(part)
            if part.name not in texts:
                texts[part.name] = value
            elif isinstance(texts[part.name], list):
                texts[part.name].append(value)
            else:
                texts[part.name] = [texts[part.name], value]
        return texts

    def files(self) -> Iterator[Part]:
        """The parts that are files."""
        return (part for part in self.parts if part.filename is not None)

    def inline(self) -> dict[str, Any]:
        """The files by their fields, in a list: what each is, with its bytes in base64."""
        files: dict[str, Any] = {}
        for part in self.files():
            data = base64.b64encode(self.data(part)).decode()
            name = part.name.removesuffix("[]")
            files[name] = [*files.get(name, ()), {**_described(part), "data": data}]
        return files

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Body:
        """The form's bytes with the fields that differ between ``before`` and ``after`` (by identity) changed."""
        if before is after:
            return self.raw
        mark = b"--" + self.boundary.encode()
        pieces: list[Body] = []
        for part in self.parts:
            if part.name in after and after[part.name] is before.get(part.name):
                pieces += (mark, b"\r\n", self._stretch(part.start, part.end), b"\r\n")
        for name, value in after.items():
            if name not in before or before[name] is not value:
                for item in value if isinstance(value, list) else [value]:
                    pieces += (mark, b"\r\n", _head(name), _written(item), b"\r\n")
        whole = Pieces((*pieces, mark, b"--\r\n"))
        return whole if isinstance(self.raw, Spool) else b"".join(whole)

    def with_file(self, part: Part, data: Body) -> Body:
        """The form's bytes with other data in one of its parts."""
        rest = self._stretch(part.end, len(self.raw))
        return Pieces((self._stretch(0, part.content), data, rest))

    def _stretch(self, start: int, end: int) -> Body:
        return Stretch(self.raw, start, end) if isinstance(self.raw, Spool) else self.raw[start:end]

    def _text(self, part: Part) -> str:
        if part.end - part.content > _LONGEST_FIELD:
            raise CallError(
                "too_large", f"the field {part.name} is longer than {_LONGEST_FIELD} bytes", param=part.name
            )
        try:
            return self.data(part).decode()
        except UnicodeDecodeError:
            raise CallError("bad_request", f"the field {part.name} is not valid UTF-8", param=part.name) from None


def read_form(raw: bytes | Spool, content_type: str) -> Form:
    """The form in a request's body; raises ``CallError`` where it is none."""
    kind, _, parameters = content_type.partition(";")
    boundary = _BOUNDARY.search(parameters)
    if kind.strip().lower() != MEDIA_TYPE or boundary is None:
        raise CallError(
            "unsupported_media",
            f"the request body must be a form: send {MEDIA_TYPE} with a boundary",
            param="content-type",
        )
    return Form(raw, boundary[1], tuple(_parts(raw, b"--" + boundary[1].encode("latin-1"))))


def _parts(raw: bytes | Spool, mark: bytes) -> Iterator[Part]:
    at = 0 if raw.startswith(mark) else raw.find(b"\r\n" + mark) + 2
    if not raw.startswith(mark, at):
        raise CallError("bad_request", "the form has no part: its boundary stands nowhere in the body")
    for _ in range(_MOST_PARTS):
        at += len(mark)
        if raw.startswith(b"--", at):
            return
        start = raw.find(b"\r\n", at) + 2
        head = raw.find(b"\r\n\r\n", start, start + _MOST_HEAD)
        end = raw.find(b"\r\n" + mark, max(head, start))
        if start < 2 or head < 0 or end < 0:
            raise CallError("bad_request", "the form ends within a part: its last boundary is missing")
        yield _part(raw, start, head, end)
        at = end + 2
    raise CallError("bad_request", f"the form has more than {_MOST_PARTS} parts")


def _part(raw: bytes | Spool, start: int, head: int, end: int) -> Part:
    name, filename, media_type = None, None, "text/plain"
    for line in raw[start:head].decode("utf-8", "replace").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition":
            parameters = {match[1].lower(): match[2] for match in _PARAMETER.finditer(value)}
            name, filename = parameters.get("name"), parameters.get("filename")
        elif key.strip().lower() == "content-type":
            media_type = value.strip()
    if name is None:
        raise CallError("bad_request", "a part of the form has no name in its Content-Disposition")
    return Part(name, filename, media_type, start, min(head + 4, end), end)


def _described(part: Part) -> dict[str, Any]:
    return {"filename": part.filename, "type": part.media_type, "size": part.end - part.content}


def _head(name: str) -> bytes:
    plain = name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'Content-Disposition: form-data; name="{plain}"\r\n\r\n'.encode()


def _written(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else dumps(value)
