"""A YAML or JSON file as data whose leaves know their lines, and note whether anybody read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import yaml

from engine.errors import Invalid

_MOST = 16 * 1024 * 1024


class Node:
    """A value with its place. ``get`` and ``first`` mark what they give as read; ``unread`` lists what nobody read."""

    def __init__(self, value: Any, line: int, path: str) -> None:
        self.value = value
        self.line = line
        self.path = path
        self.read = False

    @property
    def leaf(self) -> bool:
        """Whether it is a plain value."""
        return not isinstance(self.value, dict | list) or not self.value

    def at(self, path: str) -> Node | None:
        """The value below, by a dotted path."""
        node: Node | None = self
        for step in filter(None, path.split(".")):
            node = node.value.get(step) if node is not None and isinstance(node.value, dict) else None
        return node

    def first(self, paths: Sequence[str]) -> Node | None:
        """The first of these that is there and says something; all of them count as read."""
        nodes = [node for path in paths if (node := self.at(path)) is not None]
        for node in nodes:
            node.mark()
        return next((node for node in nodes if node.value is not None), None)

    def text(self, paths: Sequence[str]) -> str:
        """The same as text, empty where there is none."""
        node = self.first(paths)
        return "" if node is None or not node.leaf else str(node.value).strip()

    def first_list(self, paths: Sequence[str], *, alone: bool) -> list[Node]:
        """The items of the first list that is there; ``alone``: without one, this itself is the only item."""
        for path in paths:
            node = self.at(path)
            if node is not None and isinstance(node.value, list):
                return [item for item in node.value if isinstance(item.value, dict)]
        return [self] if alone and self.value else []

    def mark(self) -> None:
        """It was read, with all that is below."""
        self.read = True
        for node in self.children():
            node.mark()

    def children(self) -> list[Node]:
        """What lies right below."""
        if isinstance(self.value, dict):
            return list(self.value.values())
        return list(self.value) if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def unread(self) -> Iterator[Node]:
        """The leaves that nobody read, in their order."""
        if self.leaf:
            if not self.read and self.value not in (None, [], {}):
                yield self
            return
        for node in self.children():
            yield from node.unread()


def parse(text: str, name: str) -> Node:
    """The file's one document; raises ``Invalid`` with the line where it is none."""
    if len(text) > _MOST:
        raise Invalid("FILE", f"{name} is larger than {_MOST // 2**20} MB", "name the configuration alone")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise Invalid("FILE", f"{name}:1: a map of settings is expected", "name the configuration file itself")
        return _node(root, "", yaml.SafeLoader(""), 0)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Invalid("FILE", f"{name}:{line}: {error.problem}", "correct it there") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Invalid("FILE", f"{name} can't be read: {str(error).splitlines()[0]}", "save it as UTF-8") from None


def _node(node: yaml.Node, path: str, loader: yaml.SafeLoader, depth: int) -> Node:
    line = node.start_mark.line + 1
    if depth > 40:
        raise ValueError("it nests deeper than 40 levels")
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        below = {
            str(key.value): _node(value, f"{path}.{key.value}" if path else str(key.value), loader, depth + 1)
            for key, value in node.value
        }
        return Node(below, line, path)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(item, path, loader, depth + 1) for item in node.value], line, path)
    return Node(loader.construct_object(node), line, path)


def fits(path: str, patterns: Sequence[str]) -> str | None:
    """The first of the patterns that a path, or what it lies in, fits."""
    steps = path.split(".")
    heads = [".".join(steps[:count]) for count in range(len(steps), 0, -1)]
    return next((pattern for head in heads for pattern in patterns if fnmatchcase(head, pattern)), None)
