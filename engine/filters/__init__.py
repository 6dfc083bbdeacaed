"""The vocabulary of expressions: filters and tests as records, and the names that generated functions may use.

Everything here is pure and bounded. Knows nothing of documents, of the compiler or of HTTP.
"""

from __future__ import annotations

from typing import Any, Final

from engine import errors
from engine.filters import (
    encoding,
    escaping,
    failures,
    lists,
    maps,
    numbers,
    operations,
    patterns,
    questions,
    signatures,
    special,
    text,
)
from engine.filters.operations import NULL
from engine.filters.record import Filter, HandsOn, Literal, Question, QuestionForm

FILTERS: Final[dict[str, Filter]] = {
    item.name: item
    for family in (text, numbers, lists, maps, encoding, escaping, signatures, patterns, special)
    for item in family.FILTERS
}
TESTS: Final[dict[str, Question]] = {
    item.name: item for family in (questions, patterns, special) for item in family.TESTS
}

__all__ = ["FILTERS", "NULL", "TESTS", "Filter", "HandsOn", "Literal", "Question", "QuestionForm", "namespace"]

_BUILTINS: Final = {
    "type": type,
    "dict": dict,
    "list": list,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "len": len,
    "Exception": Exception,
}


def namespace() -> dict[str, Any]:
    """A fresh set of globals for a generated module: operations, filters, tests, and the few builtins it needs.

    There is no ``__import__`` and no other builtin, should the compiler ever let a name through.
    """
    names: dict[str, Any] = {"__builtins__": dict(_BUILTINS), "NULL": NULL}
    names |= {f"o_{name}": getattr(operations, name) for name in OPERATIONS}
    names["o_located"] = failures.located
    names |= {f"f_{name}": item.function for name, item in FILTERS.items()}
    names |= {f"q_{name}": item.function for name, item in TESTS.items()}
    names |= {"o_pattern": patterns.pattern, "Refusal": errors.Refusal}
    return names


OPERATIONS: Final = (
    *("read", "at", "cut", "no_item", "each", "pairs", "some", "members", "merged", "key_text", "nonempty", "put"),
    "listed",
    *(
        "add",
        "subtract",
        "multiply",
        "divide",
        "floor_divide",
        "modulo",
        "negate",
        "concat",
        "contains",
        "holds",
        "compare",
    ),
    *("case_of", "as_text", "too_deep", "spent", "work"),
)
