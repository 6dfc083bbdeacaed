"""Load: the text of a file to documents, each value with a place.

Takes sources (name, text, layer); gives documents as plain JSON data. Reads YAML 1.2's core schema: no dates, ``off``
stays text, keys are text, duplicate keys, tags and merge keys are faults. Knows nothing of kinds or their fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.resolver import BaseResolver

from engine.compiler.diagnostics import Fault, Place, path_text
from engine.compiler.documents.positions import Path, Positions
from engine.errors import GatewrightError

NODE_LIMIT = 200_000
DEPTH_LIMIT = 200
_SAFE_INDICATORS = 4000

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text. ``layer`` orders sources: a higher one replaces documents of a lower one."""

    name: str
    text: str
    layer: int = 0


@dataclass(slots=True)
class Document:
    """One YAML document as data, with the places of its values."""

    data: Any
    positions: Positions
    layer: int = 0

    def where(self, path: Path, token: str | None = None) -> Place:
        """The place of a value, or of the deepest part of its path that exists."""
        return self.positions.where(path, token)

    def key(self, path: Path) -> Place:
        """The place of a key."""
        return self.positions.key(path)


def read(directory: FilePath, layer: int = 0, shown: str | None = None) -> tuple[list[Source], list[Fault]]:
    """Every YAML file below a directory (or one file), in the order of their names.

    A link that leads out of the directory is a fault, and nothing of what it leads to is read.
    """
    if directory.is_file():
        files = [directory]
    else:
        matches = (path for pattern in ("*.yaml", "*.yml") for path in directory.rglob(pattern))
        files = sorted(path for path in matches if path.is_file() and not _hidden(path.relative_to(directory)))
    sources: list[Source] = []
    faults: list[Fault] = []
    for path in files:
        name = str(path) if shown is None else str(FilePath(shown) / path.relative_to(directory))
        if path is not directory and not path.resolve().is_relative_to(directory.resolve()):
            faults.append(
                Fault("outside", "the file is a link out of the directory; put the file itself here", Place(name))
            )
            continue
        try:
            sources.append(Source(name, path.read_bytes().decode("utf-8"), layer))
        except UnicodeDecodeError as error:
            message = f"the file is not UTF-8: byte {error.start} can't be read; save it as UTF-8"
            faults.append(Fault("not-utf8", message, Place(name)))
    return sources, faults


def _hidden(path: FilePath) -> bool:
    """Whether a file, or a directory on its way, is one that programs keep for themselves, as ``.git``."""
    return any(part.startswith(".") for part in path.parts)


def parse(source: Source) -> tuple[list[Document], list[Fault]]:
    """The documents of one file; what can't be read is a fault, and the rest of that file is skipped."""
    text = source.text.removeprefix("\ufeff")
    lines = tuple(text.split("\n"))
    faults: list[Fault] = []
    documents: list[Document] = []
    deep = _too_deep(text)
    if deep is not None:
        place = Positions(source.name, lines, None).place(*deep)
        return [], [Fault("too-large", f"nested deeper than {DEPTH_LIMIT}", place)]
    try:
        parser = _DocumentParser(text)
        while parser.check_node():
            root = parser.get_node()
            positions = Positions(source.name, lines, root)
            data = _NodeWalk(positions, faults).value(root, ())
            if data is not None:
                documents.append(Document(data, positions, source.layer))
    except yaml.YAMLError as error:
        faults.append(_syntax(error, source.name, lines))
    except _TooLargeError:
        faults.append(Fault("too-large", f"more than {NODE_LIMIT} values, counting aliases", Place(source.name)))
    return documents, faults


class _TooLargeError(GatewrightError):
    """Raised out of the walk by the value that is one too many."""


class _DocumentParser(CParser, BaseResolver):
    """libyaml's composer with a resolver that leaves the meaning of plain scalars to us."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        BaseResolver.__init__(self)

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        """Tags of our own: explicit tags never come here, so that they can be told apart."""
        if kind is yaml.ScalarNode:
            return "plain" if implicit[0] else "text"
        return "collection"


class _NodeWalk:
    """Node tree to data, with the faults that only nodes can show."""

    def __init__(self, positions: Positions, faults: list[Fault]) -> None:
        self.positions = positions
        self.faults = faults
        self.nodes = 0

    def value(self, node: Any, path: Path) -> Any:
        """The JSON data of a node."""
        self.nodes += 1
        if self.nodes > NODE_LIMIT or len(path) > DEPTH_LIMIT:
            raise _TooLargeError
        if node.id == "scalar":
            return self._scalar(node, path)
        if node.tag != "collection":
            self._fault("yaml-syntax", f"the tag {node.tag} is not allowed", node, path)
        if node.id == "sequence":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar":
                self._fault("unquoted", self._braced(key), key, path)
                continue
            name = key.value
            if node.flow_style and _empty(value) and not key.style:
                self._cut(node, key, path)
                continue
            if name in data:
                first = next(other for other, _ in node.value if other.value == name)
                message = f"the key {name!r} stands twice in this map, first on line {first.start_mark.line + 1}"
                self._fault("duplicate-key", message, key, (*path, name))
                continue
            if name == "<<":
                self._fault("yaml-syntax", "merge keys are no part of YAML 1.2; use `extends`", key, path)
                continue
            data[name] = self.value(value, (*path, name))
        return data

    def _braced(self, key: Any) -> str:
        """`a: {{ x }}` without quotes is a map whose key is a map."""
        match = re.search(r"\{\{.*?\}\}", self.positions.lines[key.start_mark.line])
        return "a map can't be a key" + (f'; quote this: "{match[0]}"' if match else "")

    def _cut(self, node: Any, key: Any, path: Path) -> None:
        """`{$for: i, p in x, ...}`: the comma ended the value, and the rest became a key."""
        before = [name for name, _ in node.value if name.start_mark.index < key.start_mark.index]
        field = before[-1].value if before else None
        hint = f"the comma ends the value of {field!r} here; quote this: " if field else "this is no map; quote this: "
        line = self.positions.lines[key.start_mark.line]
        owner = before[-1] if before else node
        begin = owner.start_mark.column if owner.start_mark.line == key.start_mark.line else 0
        cut = line[begin : key.end_mark.column]
        if field and ":" in cut:
            cut = cut.split(":", 1)[1].strip()
            hint += f'{field}: "{cut}"'
        else:
            hint += f'"{cut}"'
        self._fault("unquoted", hint, key, (*path, key.value))

    def _scalar(self, node: Any, path: Path) -> Any:
        text: str = node.value
        if node.tag == "plain":
            return self._plain(node, text, path)
        if node.tag not in ("text", "tag:yaml.org,2002:str"):
            self._fault("yaml-syntax", f"the tag {node.tag} is not allowed", node, path)
        return text

    def _plain(self, node: Any, text: str, path: Path) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _NOT_JSON.fullmatch(text):
            self._fault("wrong-value", f"{text} is not a number in JSON; quote it if text is meant", node, path)
        return text

    def _fault(self, code: str, message: str, node: Any, path: Path) -> None:
        place = self.positions.place(node.start_mark.line, node.start_mark.column)
        self.faults.append(Fault(code, message, place, path_text(path)))


def _empty(node: Any) -> bool:
    return node.id == "scalar" and node.tag == "plain" and node.value == "" and not node.style


def _too_deep(text: str) -> tuple[int, int] | None:
    """libyaml's composer recurses in C and dies on deep nesting, so that depth is counted on its events first."""
    if sum(map(text.count, ("[", "{", "- ", "? ", ":", "-\n"))) < _SAFE_INDICATORS:
        return None
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEPTH_LIMIT:
                    mark: Any = event.start_mark
                    return mark.line, mark.column
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return None
    return None


_WORDING = {
    "did not find expected ',' or '}'": "YAML expected ',' or '}' here",
    "did not find expected ',' or ']'": "YAML expected ',' or ']' here",
    "did not find expected key": "YAML expected a key here",
    "mapping values are not allowed in this context": "no key can stand here",
    "found character that cannot start any token": "a plain text can't begin with this character",
    "found undefined alias": "`*` repeats what is marked by `&`, and nothing is marked with this name",
}
_EXPRESSION = re.compile(r"\{\{|\$[a-z]+:|when:|~")
"""What a line holds whose value is most likely an expression: braces, a directive, a condition, texts joined."""
_GLUED = re.compile(r"\s*(- +)?[\w.-]+:[^\s:]")


def _syntax(error: yaml.YAMLError, name: str, lines: tuple[str, ...]) -> Fault:
    """The parser's complaint in our words; an expression on the line is most likely one that must be quoted."""
    if isinstance(error, yaml.reader.ReaderError):
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "?")
        before = "\n".join(lines)[: error.position]
        line = before.count("\n")
        place = Positions(name, lines, None).place(line, len(before) - before.rfind("\n") - 1)
        return Fault("yaml-syntax", f"the control character U+{code:04X} is not allowed", place)
    mark: Any = getattr(error, "problem_mark", None)
    place = Place(name) if mark is None else Positions(name, lines, None).place(mark.line, mark.column)
    problem = str(getattr(error, "problem", None) or error)
    message = _WORDING.get(problem, problem)
    context = getattr(error, "context_mark", None)
    if context is not None and context.line < place.line - 1:
        message += f", in what begins on line {context.line + 1}"
    closing = problem == "did not find expected key" and place.text[place.column - 1 :].startswith(("}", "]"))
    if problem in _WORDING and not closing and _expression_like(place.text):
        return Fault("unquoted", f"{message}; quote this: {_quotable(place.text, place.column - 1)}", place)
    return Fault("yaml-syntax", message + _advice(lines, place), place)


def _advice(lines: tuple[str, ...], place: Place) -> str:
    """What is most likely wrong where YAML gave up."""
    before, here = place.text[: place.column - 1], place.text[place.column - 1 :]
    if here.startswith("\t"):
        return "; this is a tab, which can't indent: use spaces"
    if here.startswith(":"):
        if ": " in before:
            return "; a text that holds ': ' has to be quoted"
        above = next((at for at in range(place.line - 2, -1, -1) if lines[at].strip()), None)
        if above is not None and _GLUED.match(lines[above]):
            return f"; line {above + 1} needs a blank behind its ':'"
        return "; it is indented deeper than the line above, which has its value already"
    return ""


def _expression_like(line: str) -> bool:
    return _EXPRESSION.search(line) is not None


def _quotable(line: str, column: int) -> str:
    """The value around the column, in the quotes that it should have had."""
    text = line.strip().removeprefix("- ")
    key, colon, value = text.partition(": ")
    if colon and value.startswith("{") and not value.startswith("{{"):
        before, after = line[:column], line[column:]
        ends = [at for at in (after.find(", $"), after.find("}")) if at >= 0]
        head = re.split(r"[{,] *", before.rpartition(": ")[0])[-1]
        key, value = head, before.rpartition(": ")[2] + after[: min(ends, default=len(after))]
    value = value if colon else key
    quote = "'" if '"' in value else '"'
    return (f"{key}: " if colon else "") + f"{quote}{value}{quote}"
