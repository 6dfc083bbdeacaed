"""A row's ``param_override`` compiled: values put over members of the body, then operations in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.routing.overrides.edit import Circumstances, Edit, Step
from engine.routing.overrides.headers import HEADER_MODES
from engine.routing.overrides.operations import BODY_MODES, guarded

_OPERATIONS = "operations"
_MOST = 100
"""Operations of one channel."""
MODES = MappingProxyType({**BODY_MODES, **HEADER_MODES})


@dataclass(frozen=True, slots=True)
class Overrides:
    """``values`` are members of the body that are set; ``steps`` follow them."""

    values: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.steps)

    def apply(
        self, body: dict[str, Any], known: Circumstances | None, own: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, str | None]]:
        """The body as it goes up, and headers that were set or taken away; raises OverrideError, ReturnedError."""
        body = {**body, **self.values}
        if not self.steps or known is None:
            return body, {}
        edit = Edit(body, known, own)
        for step in self.steps:
            step(edit)
        return edit.body, edit.headers

    def and_then(self, more: Overrides) -> Overrides:
        """These, then ``more``."""
        return Overrides({**self.values, **more.values}, (*self.steps, *more.steps)) if more else self


def overrides_of(written: Mapping[str, Any], where: str = "its param_override") -> Overrides:
    """Compile what a row says; raises LookupError that names the operation."""
    if not isinstance(written.get(_OPERATIONS), list):
        return Overrides(dict(written))
    listed = written[_OPERATIONS]
    if len(listed) > _MOST:
        raise LookupError(f"{where} has more than {_MOST} operations")
    steps = []
    for number, rule in enumerate(listed, 1):
        mode = str(rule.get("mode")) if isinstance(rule, dict) else ""
        label = f"{where}, operation {number} ({mode[:40]})"
        if mode not in MODES:
            raise LookupError(f"{label}: the mode is not known; known are {', '.join(MODES)}")
        try:
            steps.append(guarded(rule, MODES[mode](rule), label))
        except ValueError as ex:
            raise LookupError(f"{label}: {ex}") from None
    return Overrides({name: value for name, value in written.items() if name != _OPERATIONS}, tuple(steps))
