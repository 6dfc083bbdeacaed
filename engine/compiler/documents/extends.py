"""Extends: a document that names a parent takes the parent's spec and changes it.

Maps are merged at every depth, lists and other values are replaced, null removes what was inherited. A fragment, and a
map that directives steer, is one thing: it is replaced whole. What only one document can have (routes, channel numbers)
is inherited from abstract parents, and by a replacement of the same name. Takes and gives definitions; each keeps the
chain of documents it was merged from, so that every value's place can be told.
"""

from __future__ import annotations

from typing import Any

from engine.compiler.diagnostics import Fault, nearest
from engine.compiler.documents.schema import Shape, shape_of
from engine.compiler.documents.sets import Definition, Definitions

LONGEST = 50
"""How many documents may extend each other in a chain."""


def resolve(definitions: Definitions) -> list[Fault]:
    """Merge every definition with its parents, in place."""
    faults: list[Fault] = []
    done: set[int] = set()
    for definition in definitions:
        _resolve(definition, definitions, done, [], faults)
    return faults


def merge(base: Any, change: Any, shape: Shape | None = None) -> Any:
    """``change`` over ``base``: maps at every depth; null takes a key away. ``shape`` knows what is one value."""
    if not isinstance(base, dict) or not isinstance(change, dict) or (shape is not None and shape.whole):
        return change
    merged = {key: value for key, value in base.items() if change.get(key, value) is not None}
    for key, value in change.items():
        if value is not None:
            merged[key] = merge(base.get(key), value, None if shape is None else shape.below(key))
    return merged


def _resolve(
    definition: Definition, definitions: Definitions, done: set[int], open_: list[Definition], faults: list[Fault]
) -> None:
    if id(definition) in done:
        return
    parent_name = definition.data.get("extends")
    if isinstance(parent_name, str):
        parent = _parent(definition, parent_name, definitions, open_, faults)
        if parent is not None:
            _resolve(parent, definitions, done, [*open_, definition], faults)
            merged = dict(definition.data)
            merged["spec"] = merge(_inherited(definition, parent), definition.spec, shape_of(definition.kind))
            definition.data = merged
            definition.chain += parent.chain
        definition.orphan = parent is None or parent.orphan
    done.add(id(definition))


def _inherited(definition: Definition, parent: Definition) -> dict[str, Any]:
    """The parent's spec without what belongs to it alone."""
    if parent.abstract or parent.name == definition.name:
        return parent.spec
    own = shape_of(definition.kind).own
    return {key: value for key, value in parent.spec.items() if key not in own}


def _parent(
    definition: Definition, name: str, definitions: Definitions, open_: list[Definition], faults: list[Fault]
) -> Definition | None:
    parent = definition.replaced if name == definition.name else definitions.get(definition.kind, name)
    if parent is None and name == definition.name:
        message = f"{definition.title} extends itself, and there is no document of that name below this layer"
        faults.append(definition.fault("extends-circle", message, ("extends",)))
    elif parent is None:
        message = f"there is no {definition.kind} {name!r} to extend"
        near = nearest(name, definitions.names(definition.kind))
        faults.append(definition.fault("unknown-parent", message, ("extends",), found=name, nearest=near))
    elif parent in open_:
        circle = [item.name for item in open_[open_.index(parent) :]] + [definition.name, parent.name]
        message = f"extends goes in a circle: {' -> '.join(circle)}"
        faults.append(definition.fault("extends-circle", message, ("extends",)))
        return None
    elif len(open_) >= LONGEST:
        message = f"a chain of extends has more than {LONGEST} documents"
        faults.append(definition.fault("too-large", message, ("extends",)))
        return None
    return parent
