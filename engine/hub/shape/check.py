"""Whether a hub request holds what its fields promise, before anything is built on it.

Takes a request as decode made it from foreign data; refuses the first field of a wrong type by its path. Knows which
members are text, numbers or lists, and nothing of what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from engine.errors import Refusal
from engine.hub import loss
from engine.hub.shape import known, structure
from engine.hub.shape.work import Seen, Work
from engine.hub.types import Part

_TEXTS = frozenset({"text", "id", "name", "arguments", "signature", "signature_of", "encrypted", "format"})
_SOURCE = ("url", "data", "id", "mime", "text")
_CONTENT = ("url", "data", "id", "text")
_MAPS = ("sampling", "reasoning", "output", "tool_choice", "metadata", "cache")
_NUMBERS = ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty")
_WHOLE = (
    ("", "max_tokens"),
    ("reasoning", "budget"),
    *(("sampling", name) for name in ("top_k", "seed", "top_logprobs")),
)
_BOUND = 2**63
_FLAGS = ("parallel_tools", "stream", "store")
_PLAIN = ("user", "service_tier", "previous")
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_CALLERS = frozenset({"tool_call", "thinking", "server_call"})
"""Kinds that only a model's own turn can hold."""
_MEDIA = frozenset({"image", "audio", "video", "file"})
_TEXT_MEMBERS = (("cache", ("key", "ttl", "mode", "content")), ("reasoning", ("effort", "summary")))
_SOUND = known.Known[bool]()
MAX_NESTED = 8
"""How deep parts may hold parts."""
_NO_PART = "must be an object, nested no deeper than parts within a result"


def check(work: Work) -> None:
    """Refuse what has the wrong type."""
    for number, message in enumerate(work.messages):
        _message(message, number, work.seen)
    _options(work.request)
    if work.request.get("tools"):
        work.seen.tools = _tools(work.request["tools"])


def _options(request: dict[str, Any]) -> None:
    """What stands beside messages and tools."""
    for name in _MAPS:
        if request.get(name) is not None and not isinstance(request[name], dict):
            raise Refusal(name, "must be an object")
    sampling = request.get("sampling") or {}
    for name in _NUMBERS:
        if name in sampling:
            _number(f"sampling.{name}", sampling[name])
    for above, name in _WHOLE:
        _whole(request, above, name)
    _texts("stop", request.get("stop"))
    _texts("tool_choice.names", (request.get("tool_choice") or {}).get("names"))
    for name in _FLAGS:
        _flag(name, request.get(name))
    _text_members(request, _PLAIN)
    for name, members in _TEXT_MEMBERS:
        if request.get(name):
            _text_members(request[name], members, name)
    if request.get("output"):
        _output(request["output"])


def _output(output: dict[str, Any]) -> None:
    structure.check(output.get("schema"), "output.schema")
    _text_members(output, ("type", "name", "description"), "output")
    _flag("output.strict", output.get("strict"))


def _message(message: dict[str, Any], number: int, seen: Seen) -> None:
    role, parts = message.get("role"), message["parts"]
    if role not in _ROLES:
        raise Refusal(f"messages[{number}].role", "must be a role")
    seen.roles.add(role)
    if len(message) > 2:
        seen.told.update(message)
    if not parts:
        seen.empty = True
    _parts(parts, number, (), role, seen)


def _parts(parts: list[Part], number: int, trail: tuple[int, ...], role: str | None, seen: Seen) -> None:
    """Parts of a message, or (without a role) parts within a part."""
    for index, part in enumerate(parts):
        # PERF: most parts are plain text, of which there is nothing else to ask.
        if part.__class__ is dict and len(part) == 2 and part.get("type") == "text":
            text = part.get("text")
            if text.__class__ is str:
                if not text or text.isspace():
                    seen.empty = True
                continue
        _part(part, number, (*trail, index), seen)
        kind = part.get("type")
        if role is None:
            continue
        if role != "assistant" and kind in _CALLERS:
            raise Refusal(_path(number, (*trail, index)), f"is a {kind}, which only the model's turns can hold")
        if kind == "tool_result" and role != "tool":
            seen.strays = True


def _path(number: int, trail: tuple[int, ...]) -> str:
    return f"messages[{number}]" + "".join(f".parts[{index}]" for index in trail)


def _part(part: Part, number: int, trail: tuple[int, ...], seen: Seen) -> None:
    """PERF: the path is written only when there is something to refuse (a tenth of the time of shaping else)."""
    if not isinstance(part, dict):
        raise Refusal(_path(number, trail), _NO_PART)
    for name, value in part.items():
        if value.__class__ is not str and value is not None and name in _TEXTS:
            raise Refusal(f"{_path(number, trail)}.{name}", "must be text")
    source = part.get("source")
    if source is not None:
        if not isinstance(source, dict):
            raise Refusal(f"{_path(number, trail)}.source", "must be an object")
        _text_members(source, _SOURCE, f"{_path(number, trail)}.source")
    if part.get("type") in _MEDIA and not any((source or {}).get(name) for name in _CONTENT):
        raise Refusal(f"{_path(number, trail)}.source", "is empty; send the content, its address or its id")
    if part.get("type") == "tool_call" and not part.get("name"):
        raise Refusal(f"{_path(number, trail)}.name", "is missing; a call names its tool")
    if part.get("parts") is not None:
        _inner(part["parts"], number, trail, seen)
    _note(part, seen)


def _inner(parts: Any, number: int, trail: tuple[int, ...], seen: Seen) -> None:
    if not isinstance(parts, list):
        raise Refusal(f"{_path(number, trail)}.parts", "must be a list")
    if parts and len(trail) == MAX_NESTED:
        raise Refusal(_path(number, (*trail, 0)), _NO_PART)
    _parts(parts, number, trail, None, seen)


def _note(part: Part, seen: Seen) -> None:
    seen.members.update(part)
    if "native" in part:
        seen.members.update(loss.below(part, "native"))
    kind = part.get("type")
    if kind != "text":
        seen.kinds.add(kind)
    elif not part.get("text") or part["text"].isspace():
        seen.empty = True
    if part.get("error"):
        seen.failed = True
    if "signature" in part or "encrypted" in part:
        seen.signed = True


def _tools(tools: list[Any]) -> bytes | None:
    """Check the definitions, unless the same ones were right before; gives them as text."""
    text = known.text_of(tools)
    if text is None or not _SOUND.get(None, text):
        for index, tool in enumerate(tools):
            _tool(tool, f"tools[{index}]")
        if text is not None:
            _SOUND.put(None, text, True)
    return text


def _tool(tool: Any, path: str) -> None:
    if not isinstance(tool, dict):
        raise Refusal(path, "must be an object")
    _text_members(tool, ("kind", "name", "description", "format"), path)
    if tool.get("kind", "function") in ("function", "custom") and not tool.get("name"):
        raise Refusal(f"{path}.name", "a tool needs a name")
    structure.check(tool.get("schema"), f"{path}.schema")
    _flag(f"{path}.strict", tool.get("strict"))


def _text_members(holder: Mapping[str, Any], names: tuple[str, ...], path: str = "") -> None:
    for name in names:
        if holder.get(name) is not None and not isinstance(holder[name], str):
            raise Refusal(f"{path}.{name}".lstrip("."), "must be text")


def _flag(path: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool):
        raise Refusal(path, "must be true or false")


def _number(path: str, value: Any) -> None:
    if value is None or value.__class__ is int:
        return
    if not isinstance(value, float) or not isfinite(value):
        raise Refusal(path, "must be a number")


def _whole(request: dict[str, Any], above: str, name: str) -> None:
    """A count; one written as 7.0 is 7."""
    holder = request.get(above) if above else request
    value = holder.get(name) if holder else None
    if value is None or (value.__class__ is int and -_BOUND <= value < _BOUND):
        return
    if holder is None or value.__class__ is not float or not value.is_integer() or abs(value) >= _BOUND:
        raise Refusal(f"{above}.{name}".lstrip("."), "must be a whole number")
    if above:
        request[above] = {**holder, name: int(value)}
    else:
        request[name] = int(value)


def _texts(path: str, value: Any) -> None:
    if value is not None and not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        raise Refusal(path, "must be a list of texts")
