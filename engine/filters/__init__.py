"""The vocabulary of expressions: filters and tests as records, and the names that generated functions may use.

Everything here is pure and bounded. Knows nothing of documents, of the compiler or of HTTP.
"""

from __future__ import annotations

from typing import Any, Final

from engine import errors
from engine.filters import encoding, lists, maps, numbers, operations, patterns, questions, special, text
from engine.filters.operations import NULL
from engine.filters.record import Filter, Question

FILTERS: Final[dict[str, Filter]] = {
    item.name: item for family in (text, numbers, lists, maps, encoding, special) for item in family.FILTERS
}
TESTS: Final[dict[str, Question]] = {item.name: item for family in (questions, special) for item in family.TESTS}

__all__ = ["FILTERS", "NULL", "TESTS", "Filter", "Question", "namespace"]

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


def _object(value: Any, report: list[tuple[str, str]]) -> dict[str, Any]:
    """JSON text as a map, for `fromjson_object`."""
    found = encoding.parse(value)
    if type(found) is dict:
        return found
    if value != "":
        report.append(("arguments", "are not a JSON object; sent as {}"))
    return {}


def namespace() -> dict[str, Any]:
    """A fresh set of globals for a generated module: operations, filters, tests, and the few builtins it needs.

    There is no ``__import__`` and no other builtin, should the compiler ever let a name through.
    """
    names: dict[str, Any] = {"__builtins__": dict(_BUILTINS), "NULL": NULL, "NUMBERS": operations.NUMBERS}
    names |= {f"o_{name}": getattr(operations, name) for name in OPERATIONS}
    names |= {f"f_{name}": item.function for name, item in FILTERS.items()}
    names |= {f"q_{name}": item.function for name, item in TESTS.items()}
    names |= {
        "o_pattern": patterns.pattern,
        "o_matches": patterns.matches,
        "o_replaced": patterns.replaced,
        "o_captured": patterns.captured,
        "o_object": _object,
        "Refusal": errors.Refusal,
    }
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
    *("case_of", "lookup", "as_text", "too_deep", "spent", "work", "located"),
)
