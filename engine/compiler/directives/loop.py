"""`$for`: a list, or with `$key` a map, with something for each item of the data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from engine.compiler.directives.record import Directive, DirectiveChild, Example, Role, item
from engine.compiler.expressions import expression
from engine.compiler.expressions.code import Code, assign, call, choose, const, has_type, name, when
from engine.compiler.expressions.frame import LOOPS, Frame
from engine.compiler.expressions.scope import Path, weight
from engine.compiler.expressions.sinks import ListItem, Member, Sink, operand, unless_nothing

_HEAD = re.compile(r"\s*([^\W\d]\w*)(?:\s*,\s*([^\W\d]\w*))?\s+in\s+(\S.*)", re.DOTALL)


def _write(frame: Frame, tree: dict[str, Any], sink: Sink, path: Path) -> None:
    head = _head(frame, tree["$for"], (*path, "$for"))
    if head is None:
        return
    names, source = head
    if frame.loops >= LOOPS:
        frame.fault("too-large", f"loops nest deeper than {LOOPS} levels", path)
        return
    items = operand(frame, expression.field(frame, source, (*path, "$for")))
    if items.kind in ("text", "number", "boolean"):
        frame.fault(
            "wrong-type", f"a loop runs over a list or a map, but this is always a {items.kind}", (*path, "$for")
        )
    keyed = "$key" in tree
    if isinstance(sink, ListItem) and not keyed:
        container = sink.container
    else:
        container = frame.temp("map" if keyed else "list")
        frame.add(assign(container, ast.Dict([], []) if keyed else ast.List([], ast.Load())))
    absent, node = unless_nothing(frame, items)
    with frame.into([]) as block:
        iterable = _iterable(frame, items.but(node=node), len(names), weight(tree["$do"]))
        with frame.turning(names, expression.names(source)):
            loop = _loop(frame, tree, names, iterable, container, path)
        frame.add(loop)
    # PERF: of the lists that an event may have most are not there, which is told in place (10 ns, a call takes 60)
    _unless(frame, absent, block)
    if not (isinstance(sink, ListItem) and not keyed):
        sink.put(frame, Code(name(container), "map" if keyed else "list", maybe=False))


def split_head(text: Any) -> tuple[list[str], str] | None:
    """Names and source of ``x in list`` or ``i, x in list``; None if the text is neither."""
    source = text.strip() if isinstance(text, str) else ""
    if source.startswith("{{") and source.endswith("}}") and source.count("{{") == 1:
        source = source[2:-2].strip()
    head = _HEAD.fullmatch(source)
    return None if head is None else ([word for word in head.groups()[:2] if word], head[3])


def _head(frame: Frame, text: Any, path: Path) -> tuple[list[str], str] | None:
    head = split_head(text)
    if head is None:
        frame.fault(
            "bad-expression",
            "a loop names its items and what it runs over; quote it if YAML cut it at a comma",
            path,
            expected='`"x in list"`, `"i, x in list"` or `"key, value in map"`',
        )
    return head


def _iterable(frame: Frame, items: Code, names: int, steps: int) -> ast.expr:
    if names == 2:
        node: ast.expr = call("o_pairs", items.node)
    elif items.kind == "list":
        node = items.node
    else:
        node = choose(has_type(items.node, "list"), items.node, call("o_each", items.node))
    if not (frame.loops or frame.fragment):
        return frame.located(node)
    # An inner loop takes as many steps as it has items: loops inside loops are what could take too long.
    local = frame.temp("items")
    frame.add(assign(local, node))
    length = call("len", name(local))
    frame.charge(length if steps == 1 else ast.BinOp(length, ast.Mult(), const(steps)))
    return name(local)


def _loop(
    frame: Frame, tree: dict[str, Any], names: list[str], source: ast.expr, container: str, path: Path
) -> ast.For:
    locals_ = [frame.temp(f"v_{spec_name}_") for spec_name in names]
    targets: list[ast.expr] = [ast.Name(local, ast.Store()) for local in locals_]
    target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Store())
    with frame.into([]) as body:
        bound = {spec_name: frame.variable(local) for spec_name, local in zip(names, locals_, strict=True)}
        with frame.bound(bound):
            test = None
            if "$when" in tree:
                test = frame.located(expression.condition(frame, tree["$when"], (*path, "$when")))
            with frame.into([]) as inner:
                _body(frame, tree, container, path)
            if test is None:
                body.extend(inner)
            elif inner:
                body.append(frame.located(when(test, inner)))
    return ast.For(target, source, body or [ast.Pass()], [])


def _body(frame: Frame, tree: dict[str, Any], container: str, path: Path) -> None:
    do, here = tree["$do"], (*path, "$do")
    if "$key" in tree:
        key = operand(frame, expression.field(frame, tree["$key"], (*path, "$key")))
        node = key.node if key.kind == "text" else call("o_key_text", key.node)
        local = frame.temp("key")
        frame.add(assign(local, node))
        absent, _ = unless_nothing(frame, key.but(node=name(local)))
        with frame.into([]) as block:
            frame.trees.emit(frame, do, Member(container, name(local)), here)
        _unless(frame, absent, block)
    elif isinstance(do, list):
        for position, element in enumerate(do):
            frame.trees.emit(frame, element, item(container, element), (*here, position))
    else:
        frame.trees.emit(frame, do, item(container, do), here)


def _unless(frame: Frame, absent: ast.expr | None, block: list[ast.stmt]) -> None:
    """The block, unless what it hangs on is nothing."""
    if absent is None:
        frame.block.extend(block)
    else:
        frame.branch(ast.UnaryOp(ast.Not(), absent), block)


def _children(tree: dict[str, Any]) -> Iterator[DirectiveChild]:
    head = split_head(tree["$for"])
    if head is not None:
        yield DirectiveChild(Role.SOURCE, head[1], ("$for",), tuple(head[0]))
    for key in ("$when", "$key"):
        if key in tree:
            yield DirectiveChild(Role.ASKED, tree[key], (key,))
    if "$do" in tree:
        yield DirectiveChild(Role.MEMBER if "$key" in tree else Role.RESULT, tree["$do"], ("$do",))


DIRECTIVE = Directive(
    "$for",
    "for each item of a list (or key and value of a map) what `$do` says; with `$key` a map. Two names before `in`"
    " are the index, which counts from 0, and the item of a list; or the key and the value of a map",
    _write,
    _children,
    needed=("$do",),
    optional=("$when", "$key"),
    examples=(
        Example('{$for: "x in body", $when: "x > 1", $do: {n: "{{ x }}"}}', [{"n": 2}, {"n": 3}], [1, 2, 3]),
        Example('{$for: "i, x in body", $do: "{{ i ~ x }}"}', ["0a", "1b"], ["a", "b"]),
        Example('{$for: "name, x in body", $key: "{{ name | upper }}", $do: "{{ x + 1 }}"}', {"A": 2}, {"a": 1}),
        Example('[first, {$for: "x in body", $do: "{{ x }}"}]', ["first", "a", "b"], ["a", "b"]),
    ),
)
