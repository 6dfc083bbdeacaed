"""Numbers in the ranges that the target takes.

Declared per name: ``{min, max, from_max, default, over}``. ``from_max`` scales from a wider range; without it a value
outside is set to the nearest end. ``default`` is a number, or a table of model pattern to number. For lists (stop
sequences) ``max`` is how many there may be: more is refused, or with ``over: cut`` the rest is dropped; ``blank: drop``
leaves out entries of nothing but space. A text has ``max_length``; a longer one is refused, or with ``over: hash`` told
by one that is always the same for it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Any

from engine.errors import Refusal
from engine.hub.shape.work import Work, pattern

_HOLDERS = {"budget": "reasoning", "max_tokens": "", "stop": "", "user": ""}
_HASHED = 32
"""Characters of what stands for a text that is too long."""


def fit(work: Work) -> None:
    """Bring every declared number into its range."""
    for name, rule in (work.rules.get("numbers") or {}).items():
        above, key, path = _place(name)
        holder = work.request.get(above) if above else work.request
        value = holder.get(key) if isinstance(holder, dict) else None
        if value is None and "default" not in rule:
            continue
        fitted = _fitted(value, rule, path, work)
        if fitted is not value:
            _put(work, above, key, fitted)


@lru_cache(maxsize=256)
def _place(name: str) -> tuple[str, str, str]:
    """Member that holds it ("" for the request itself), key there, whole path."""
    above, _, key = name.rpartition(".") if "." in name else (_HOLDERS.get(name, "sampling"), "", name)
    return above, key, f"{above}.{key}".lstrip(".")


def _put(work: Work, above: str, key: str, value: Any) -> None:
    if not above:
        work.request[key] = value
        return
    work.request[above] = {**(work.request.get(above) or {}), key: value}


def _fitted(value: Any, rule: dict[str, Any], path: str, work: Work) -> Any:
    if value is None:
        default = _default(rule.get("default"), work)
        if default is not None:
            work.report(path, f"the target needs a value; {default} was set")
        return default
    if isinstance(value, str):
        return _short(value, rule, path, work)
    if isinstance(value, list):
        return _few(value, rule, path, work)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _in_range(value, rule, path, work)


def _default(default: Any, work: Work) -> Any:
    if not isinstance(default, dict):
        return default
    model = str(work.ctx.get("model") or work.request.get("model") or "")
    for form, number in default.items():
        if form != "_" and pattern(form).search(model):
            return number
    return default.get("_")


def _short(value: str, rule: dict[str, Any], path: str, work: Work) -> str:
    most = rule.get("max_length")
    if most is None or len(value) <= most:
        return value
    if rule.get("over") != "hash":
        raise Refusal(path, f"has {len(value)} characters, the provider's format takes {most} at most")
    work.report(path, f"the target takes {most} characters at most; a text that stands for it was sent")
    return sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[: min(_HASHED, most)]


def _few(value: list[Any], rule: dict[str, Any], path: str, work: Work) -> list[Any]:
    if rule.get("blank") == "drop" and not all(map(str.strip, value)):
        work.report(path, "the target takes none of space only; left out")
        value = [text for text in value if text.strip()]
    most = rule.get("max")
    if most is None or len(value) <= most:
        return value
    if rule.get("over") != "cut":
        raise Refusal(path, f"has {len(value)} entries, the provider's format takes {most} at most")
    work.report(path, f"the target takes {most} at most; the rest was dropped")
    return value[:most]


def _in_range(value: float, rule: dict[str, Any], path: str, work: Work) -> float:
    low, high, wide = rule.get("min"), rule.get("max"), rule.get("from_max")
    fitted = value
    if wide and high is not None:
        fitted = value * high / wide
    if high is not None and fitted > high:
        fitted = high
    if low is not None and fitted < low:
        fitted = low
    if fitted == value:
        return value
    work.report(path, f"{value} became {fitted} in the target's range")
    return fitted
