"""What the demo says: a pure function from a prompt to an answer, the same each time, whatever the wire.

It echoes, calls a tool when told to, when the prompt speaks of it, or when it asks to read a file that it names,
reports a tool's result, thinks when asked, and fills in JSON schemas. Words in the last user text steer it:
``!error 429``, ``!tool``, ``!parallel``, ``!length 300`` (words), ``!pace 50`` (ms), ``!slow 500`` (ms before the first
byte), ``!cut 5`` (chunks, then the line goes dead), ``!fail`` (an error in the midst of a stream), ``!refuse``,
``!cached 100`` (tokens told as cached).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import wire

_ORDER = re.compile(r"!([a-z]+)(?:[ :=](\d+))?")
_PLACE = re.compile(r"\b(?:in|for|at|of) ([A-Z][\w-]+)")
_FILE = re.compile(r"(?i:\bread\b)[^\n]*?\s[\"'`]?(/[^\s\"'`]+)")
_PATHS = ("file_path", "absolute_path", "path", "filename")
_COMMANDS = ("cmd", "command")
_FILLER = "The demo goes on and on, word by word, so that there is something to stream. "


@dataclass
class Prompt:
    """A conversation as far as it matters here; ``choice`` is auto, none, any or ``=NAME``."""

    model: str
    text: str = ""
    results: list[tuple[str, str]] = field(default_factory=list)
    tools: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    choice: str = "auto"
    parallel: bool = True
    thinking: bool = False
    media: dict[str, int] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    json: bool = False
    limit: int | None = None
    stops: list[str] = field(default_factory=list)

    @property
    def orders(self) -> dict[str, int | None]:
        """The steering words of the last user text."""
        return {name: int(number) if number else None for name, number in _ORDER.findall(self.text)}


@dataclass
class Answer:
    """``finish`` is stop, length, stop_sequence, tools or refusal."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    finish: str = "stop"
    stop_text: str | None = None
    refusal: str = ""
    cached: int = 0
    fail: bool = False

    @property
    def thinking_tokens(self) -> int:
        return wire.tokens(self.thinking)

    @property
    def visible_tokens(self) -> int:
        calls = [[name, json.dumps(arguments)] for name, arguments in self.calls]
        return max(1, wire.tokens(self.text) + wire.tokens(self.refusal) + wire.tokens(calls))


def answer(prompt: Prompt) -> Answer:
    """The answer to this prompt. Raises ``AskedError`` where it asks for an error."""
    orders = prompt.orders
    if "error" in orders:
        raise wire.AskedError(orders["error"] or 500)
    made = Answer(cached=orders.get("cached") or 0, fail="fail" in orders)
    if prompt.thinking:
        made.thinking = f'The user said "{_short(_plain(prompt.text))}". ' + (
            "I have the tool's result and only need to report it." if prompt.results else "Let me think about that."
        )
    if "refuse" in orders:
        made.refusal, made.finish = "I can't help with that.", "refusal"
        return made
    made.calls = [] if prompt.results and prompt.choice == "auto" else _calls(prompt, orders)
    if made.calls:
        made.finish = "tools"
        return made
    made.text = _text(prompt, orders)
    _bound(made, prompt)
    return made


def _text(prompt: Prompt, orders: dict[str, int | None]) -> str:
    if prompt.schema is not None:
        return json.dumps(instance(prompt.schema, prompt.text), ensure_ascii=False)
    if prompt.json:
        return json.dumps({"model": prompt.model, "heard": _plain(prompt.text)}, ensure_ascii=False)
    if "length" in orders:
        words = (_FILLER * ((orders["length"] or 100) // 10 + 1)).split()
        return " ".join(words[: orders["length"] or 100])
    if prompt.results:
        return " ".join(f"The tool {name} answered: {_short(result)}" for name, result in prompt.results)
    seen = " and ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in prompt.media.items())
    return f'This is {prompt.model}. You said: "{_short(_plain(prompt.text))}".' + (f" I see {seen}." if seen else "")


def _calls(prompt: Prompt, orders: dict[str, int | None]) -> list[tuple[str, dict[str, Any]]]:
    if not prompt.tools or prompt.choice == "none":
        return []
    named = [tool for tool in prompt.tools if f"={tool[0]}" == prompt.choice]
    paths = _FILE.findall(prompt.text)
    if paths and not named:
        reading = _reading(prompt.tools, paths[-1])
        if reading:
            return [reading]
    wanted = named or [tool for tool in prompt.tools if _spoken_of(tool[0], prompt.text)]
    if not wanted and (prompt.choice == "any" or {"tool", "parallel"} & orders.keys()):
        wanted = prompt.tools[:1]
    if "parallel" in orders and len(wanted) == 1 and not named:
        others = [tool for tool in prompt.tools if tool not in wanted]
        wanted = wanted + (others[:1] or wanted)
    wanted = wanted[: 4 if prompt.parallel else 1]
    return [(name, _arguments(schema, prompt.text, number)) for number, (name, schema) in enumerate(wanted)]


def _reading(tools: list[tuple[str, dict[str, Any]]], path: str) -> tuple[str, dict[str, Any]] | None:
    """A call that reads a file: of a tool that says so in its name and takes a path, else of one that runs commands."""
    for name, schema in tools:
        taken = [member for member in _PATHS if member in schema.get("properties", {})]
        if taken and "read" in name.lower():
            return name, _needed(schema, path) | {taken[0]: path}
    for name, schema in tools:
        members = schema.get("properties") or {}
        for member in _COMMANDS:
            if member in members:
                several = members[member].get("type") == "array"
                return name, _needed(schema, path) | {member: ["cat", path] if several else f"cat {path}"}
    return None


_NO_SCHEMA = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What comes of reading something as a schema that is none; vendors take it as it is, where it isn't strict."""


def _needed(schema: dict[str, Any], text: str) -> dict[str, Any]:
    members = schema.get("properties") or {}
    try:
        return {name: _made(members.get(name), text, schema) for name in schema.get("required") or []}
    except _NO_SCHEMA:
        return {}


def _arguments(schema: dict[str, Any], text: str, number: int) -> dict[str, Any]:
    places = _PLACE.findall(text)
    made = instance(schema, f"in {places[number]} {text}" if number < len(places) else text)
    return made if isinstance(made, dict) else {}


def _spoken_of(name: str, text: str) -> bool:
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if len(word) > 3]
    said = text.lower()
    return name.lower() in said or any(re.search(rf"\b{word}", said) for word in words)


def _bound(made: Answer, prompt: Prompt) -> None:
    for stop in prompt.stops:
        if stop and stop in made.text:
            made.text, made.finish, made.stop_text = made.text.split(stop, 1)[0], "stop_sequence", stop
    if prompt.limit is not None and made.thinking_tokens + made.visible_tokens > prompt.limit:
        made.thinking = made.thinking[: 2 * prompt.limit]
        made.text = made.text[: max(1, 4 * (prompt.limit - made.thinking_tokens))]
        made.finish, made.stop_text = "length", None


def _plain(text: str) -> str:
    return _ORDER.sub("", text).strip()


def _short(text: str) -> str:
    return text if len(text) <= 400 else text[:400] + "..."


def instance(schema: Any, text: str) -> Any:
    """A value that fits a JSON Schema, made from the words of the prompt; nothing if it is no schema."""
    try:
        return _made(schema, text, schema)
    except _NO_SCHEMA:
        return {}


def _made(schema: Any, text: str, root: Any, depth: int = 0) -> Any:
    if not isinstance(schema, dict) or depth > 8:
        return "demo"
    if isinstance(schema.get("$ref"), str):
        return _made(_referred(schema["$ref"], root), text, root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return _made(schema[word][0], text, root, depth + 1)
    if "const" in schema or schema.get("enum"):
        return schema.get("const", (schema.get("enum") or [None])[0])
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kinds[0] if isinstance(kinds, list) else kinds).lower()
    if kind == "object":
        members = schema.get("properties") or {}
        return {name: _made(member, text, root, depth + 1) for name, member in members.items()}
    if kind == "array":
        count = max(1, int(schema.get("minItems") or 1))
        return [_made(schema.get("items") or {}, text, root, depth + 1) for _ in range(count)]
    return _plain_value(kind, schema, text)


def _plain_value(kind: str, schema: dict[str, Any], text: str) -> Any:
    number = re.search(r"(?<![\w!])\d+", text)
    if kind in ("integer", "number"):
        low = schema.get("minimum")
        return int(number[0]) if number and low is None else (low if low is not None else 1)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    place = _PLACE.search(text)
    return place[1] if place else "demo"


def _referred(reference: str, root: Any) -> Any:
    found = root
    for step in reference.lstrip("#/").split("/"):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found
