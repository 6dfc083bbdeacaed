"""Failures inside generated functions, told by the expression that failed.

Takes what was raised; gives a MappingError with the expression's text, its place in the document and the variables of
the functions on the way.
"""

from __future__ import annotations

import re
from typing import Any

from engine.errors import GatewrightError, MappingError

MODULE = "<gatewright mappings>"
"""The file name that generated code has in tracebacks."""
_LOCAL = re.compile(r"v_(\w+?)(?:_\d+)?").fullmatch
"""The local of a variable; a later one of the same name has a higher number."""


def _variables(frame: dict[str, Any]) -> dict[str, Any]:
    """The variables of a generated function by the names that its mapping gives them."""
    return {match[1]: value for name, value in frame.items() if (match := _LOCAL(name))}


def located(error: Exception) -> Exception:
    """A failure inside a generated function as a MappingError that names the expression; refusals stay as they are.

    Each expression stands on a line of its own in the generated module, so its text is found by the line number that
    the traceback holds: naming it costs nothing until something fails.
    """
    if isinstance(error, GatewrightError) and not (isinstance(error, MappingError) and not error.path):
        return error
    trace, text, place = error.__traceback__, "", ""
    held: list[dict[str, Any]] = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == MODULE:
            places = trace.tb_frame.f_globals["_places"].get(trace.tb_frame.f_code.co_name, ())
            if 0 < trace.tb_lineno <= len(places):
                text, place = places[trace.tb_lineno - 1]
            held.insert(0, _variables(trace.tb_frame.f_locals))
        trace = trace.tb_next
    if isinstance(error, MappingError):
        why = error.why
    elif isinstance(error, RecursionError):
        why = "nests too deeply"
    else:
        why = "has a type that can't be used here"
    result = MappingError(text or place, why)
    result.held = held
    if place:
        result.add_note(f"in {place}")
    return result
