"""Tools of kinds, under names and with schemas that the target takes.

Declared: ``tools: {kinds: [function, ...], described: [kinds of some models], name: {pattern, max}, schema: {...},
strict: keep|drop, allowed: [mode, ...]}``. A custom tool (text in, by a grammar perhaps) is dressed as a function
with one text member where the target knows no such kind; names that don't fit get new ones. Both are undone in the
answer, see the memo.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import Refusal
from engine.hub import loss, naming
from engine.hub.shape import schema as schemas
from engine.hub.shape.known import Known
from engine.hub.shape.work import Memo, Work, matches
from engine.hub.types import Part

_MEMBER = "input"
_ALL_KINDS = ("function", "custom", "server", "unknown")
_CALLS = frozenset({"tool_call", "tool_result"})


def fit(work: Work) -> None:
    """Convert definitions, choice and the calls in the history alike."""
    rules: dict[str, Any] = work.rules.get("tools") or {}
    names = _Names(rules.get("name") or {}, work)
    if not rules:
        _choice(work, names, ())
        return
    dressed = _defined(work, rules, names)
    _choice(work, names, rules.get("allowed") or ())
    if not _CALLS & work.seen.kinds:
        return
    takes_custom = "custom" in _kinds(rules, work)
    for message in work.messages:
        for index, part in enumerate(message["parts"]):
            if part.get("type") in ("tool_call", "tool_result") and part.get("name"):
                message["parts"][index] = _past(part, names, dressed, takes_custom)


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of definitions at one target."""

    tools: list[dict[str, Any]]
    dressed: Collection[str]
    members: frozenset[str]
    lines: list[tuple[str, str]]
    memo: Memo


_MADE = Known[_Made]()


def _defined(work: Work, rules: dict[str, Any], names: _Names) -> Collection[str]:
    """The tools, as they were made for the same definitions before; gives the names of those dressed as functions."""
    text = work.seen.tools
    if text is None or "tools" not in work.request:
        dressed = _definitions(work, rules, names)
        work.seen.defined = loss.members(work.request.get("tools") or ())
        return dressed
    text = (b"custom" if "custom" in _kinds(rules, work) else b"") + text
    definitions = _MADE.get(rules, text)
    if definitions is None:
        alone = Work({"tools": work.request["tools"]}, work.rules, work.ctx, [], ())
        try:
            dressed = _definitions(alone, rules, _Names(rules.get("name") or {}, alone))
        except Refusal:
            work.lines += alone.lines
            raise
        tools = alone.request.get("tools") or []
        definitions = _Made(tools, dressed, loss.members(tools), alone.lines, alone.memo)
        _MADE.put(rules, text, definitions)
    for line in definitions.lines:
        work.report(*line)
    work.memo.names |= definitions.memo.names
    work.memo.custom |= definitions.memo.custom
    work.seen.defined = definitions.members
    work.request["tools"] = list(definitions.tools)
    if not definitions.tools:
        del work.request["tools"]
    return definitions.dressed


def _kinds(rules: dict[str, Any], work: Work) -> Collection[str]:
    """The kinds of tools that format and model take."""
    kinds: Collection[str] = rules.get("kinds", _ALL_KINDS)
    if rules.get("described") and not ((work.ctx.get("traits") or {}).get("tools") or {}).get("freeform"):
        return [kind for kind in kinds if kind not in rules["described"]]
    return kinds


class _Names:
    """Names as the target takes them."""

    def __init__(self, rules: dict[str, Any], work: Work) -> None:
        self._most = rules.get("max")
        self._form = rules.get("pattern")
        self._work = work
        self._known: dict[str, str] = {}

    def fit(self, name: str) -> str:
        """The name to use at the target, always the same for the same name."""
        if name not in self._known:
            self._known[name] = self._made(name)
        return self._known[name]

    def _made(self, name: str) -> str:
        if (not self._most or len(name) <= self._most) and (not self._form or matches(self._form, name)):
            return name
        new_name = self._free(name)
        self._work.memo.names[new_name] = name
        self._work.report("tools", f"the name {name[:80]!r} does not fit the target and is {new_name!r} there")
        return new_name

    def _free(self, name: str) -> str:
        """A name that fits and stands for no other one."""
        make = partial(naming.made_name, name, self._form, self._most)
        new_name = naming.free(make, name, self._work.memo.names)
        if new_name is None:
            raise Refusal(
                "tools", f"the name {name[:80]!r} can't be given in a form that the target takes; rename the tool"
            )
        return new_name


def _definitions(work: Work, rules: dict[str, Any], names: _Names) -> set[str]:
    """The tools; gives the names of those dressed as functions."""
    kinds = _kinds(rules, work)
    kept: list[dict[str, Any]] = []
    dressed: set[str] = set()
    for index, tool in enumerate(work.request.get("tools") or ()):
        path = f"tools[{index}]"
        kind = tool.get("kind", "function")
        if kind == "custom" and "custom" not in kinds:
            dressed.add(tool["name"])
            work.memo.custom[names.fit(tool["name"])] = _MEMBER
            work.report(path, "a custom tool went to the target as a function with one text member")
            tool, kind = _dressed(tool), "function"
        if kind not in kinds:
            work.report(path, f"a tool of kind {kind} means nothing to the target; dropped")
            continue
        kept.append(_function(tool, rules, names, path, work) if kind in ("function", "custom") else tool)
    if "tools" in work.request:
        work.request["tools"] = kept
        if not kept:
            del work.request["tools"]
    return dressed


def _dressed(tool: dict[str, Any]) -> dict[str, Any]:
    grammar = tool.get("grammar")
    text = "the tool's input, as text"
    if isinstance(grammar, dict) and grammar.get("definition"):
        text += f"; it must follow this {grammar.get('syntax', '')} grammar: {grammar['definition']}"
    member = {"type": "string", "description": text}
    rest = {key: value for key, value in tool.items() if key != "grammar"}
    schema = {"type": "object", "properties": {_MEMBER: member}, "required": [_MEMBER], "additionalProperties": False}
    return {**rest, "kind": "function", "schema": schema}


def _function(tool: dict[str, Any], rules: dict[str, Any], names: _Names, path: str, work: Work) -> dict[str, Any]:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise Refusal(f"{path}.name", "a tool needs a name")
    function = {**tool, "name": names.fit(name)}
    dialect: dict[str, Any] = rules.get("schema") or {}
    wanted = function.get("schema") is not None or dialect.get("object_required")
    if wanted and tool.get("kind") != "custom":
        function["schema"] = schemas.convert(function.get("schema") or {}, dialect, f"{path}.schema", work)
    if (rules.get("strict") == "drop" or dialect.get("strict") == "drop") and function.pop("strict", None):
        work.report(f"{path}.strict", "the target does not know strict tools")
    return function


def _choice(work: Work, names: _Names, allowed: Collection[str]) -> None:
    """The choice under the target's names; where it can't name some of the tools, the others are not sent.

    ``allowed``: the modes under which it can. Where nothing is declared it can't: a tool that may not be called is
    better not offered than offered without a word.
    """
    choice = work.request.get("tool_choice")
    if not isinstance(choice, dict):
        return
    if not work.request.get("tools"):
        del work.request["tool_choice"]
        if choice.get("mode") not in ("auto", "none", None):
            work.report("tool_choice", "no tool is left to choose")
        return
    hosted = {tool.get("name") for tool in work.request["tools"] if tool.get("kind") == "server"}
    if choice.get("mode") == "tool" and hosted.issuperset(choice.get("names") or [None]):
        work.request["tool_choice"] = {"mode": "any"}
        if len(work.request["tools"]) > 1:
            work.report("tool_choice", "a tool that the vendor runs can't be forced by its name; one of all was")
        return
    if isinstance(choice.get("names"), list):
        known = {tool.get("name") for tool in work.request["tools"]}
        wanted = [names.fit(name) for name in choice["names"]]
        missing = [name for name in wanted if name not in known]
        if missing and choice.get("mode") == "tool":
            raise Refusal(
                "tool_choice", f"names the tool {missing[0]!r}, which is not among the tools sent to the provider"
            )
        work.request["tool_choice"] = {**choice, "names": [name for name in wanted if name in known]}
        if choice["names"] and choice.get("mode") not in ("tool", "none", *allowed):
            work.request["tools"] = [tool for tool in work.request["tools"] if tool.get("name") in wanted]
            work.request["tool_choice"] = {key: value for key, value in choice.items() if key != "names"}
            work.report("tools", "the target can't be told which tools may be called; only those were sent")


def _past(part: Part, names: _Names, dressed: Collection[str], takes_custom: bool) -> Part:
    """A call or result of the history, under the target's name and kind."""
    name = part["name"]
    undress = part.get("custom") and (name in dressed or not takes_custom)
    fitted = names.fit(name)
    if fitted == name and not undress:
        return part
    target_part = {**part, "name": fitted}
    if undress:
        del target_part["custom"]
        if part["type"] == "tool_call":
            target_part["arguments"] = json.dumps({_MEMBER: part.get("arguments") or ""}, ensure_ascii=False)
    return target_part
