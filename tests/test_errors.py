"""The tree of errors: every exception of engine/ hangs in it, as engine/errors.py draws it."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import pytest

from engine import errors

ENGINE = Path(__file__).resolve().parent.parent / "engine"
_BUILTIN = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
_DRAWN = re.compile(r"^(?P<before>[ │]*)[├└]── (?P<name>\w+)", re.MULTILINE)


def exceptions() -> dict[str, tuple[str, ...]]:
    """Each exception class of engine/ with the names of its bases."""
    bases: dict[str, tuple[str, ...]] = {}
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
    raised = {"GatewrightError"}
    while more := {name for name, above in bases.items() if name not in raised and {*above} & (raised | _BUILTIN)}:
        raised |= more
    return {name: bases[name] for name in sorted(raised)}


def drawn() -> dict[str, str]:
    """Each class of the drawing with the one above it."""
    above: dict[str, str] = {}
    branch = ["GatewrightError"]
    for match in _DRAWN.finditer(errors.__doc__ or ""):
        depth = (len(match["before"]) - 4) // 4 + 1
        branch[depth:] = [match["name"]]
        above[match["name"]] = branch[depth - 1]
    return above


EXCEPTIONS = exceptions()


@pytest.mark.parametrize("name", [name for name in EXCEPTIONS if name != "GatewrightError"])
def test_every_exception_hangs_in_the_tree_as_it_is_drawn(name: str) -> None:
    bases = EXCEPTIONS[name]
    if bases == ("BaseException",):
        assert f"``{name}``, a bare BaseException" in (errors.__doc__ or "").replace("\n", " ")
        return
    assert drawn().get(name) in bases, f"{name}{bases} is not drawn, or below another class, in engine/errors.py"


def test_nothing_is_drawn_that_is_not_there() -> None:
    assert {*drawn()} <= {*EXCEPTIONS}


def test_an_invalid_value_says_field_what_and_how() -> None:
    error = errors.Invalid("password", "the password has 3 characters", "at least 8 are needed")
    assert str(error) == "the password has 3 characters; at least 8 are needed"
    assert (error.field, error.what, error.how) == (
        "password",
        "the password has 3 characters",
        "at least 8 are needed",
    )
