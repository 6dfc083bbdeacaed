"""Which model served: a header of the answer, where a Policy declares one, when another channel than the first did.

The first is the one that comes first in the call's order, also where it is set aside or full. An answer's ``model``
stays what was asked for, as programs compare it; the header is for those who want to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.routing.when import When, when

if TYPE_CHECKING:
    from engine.routing.attempt import Attempt
    from engine.routing.choice import Choice
    from engine.routing.request import RoutedCall

_PLAIN = "/:@+=,!$&'()*;[]"
"""What stands in a name as it is, beside letters and digits."""
_LONGEST = 500
"""Characters; a model that a channel passes on as it was asked for may have any name."""


@dataclass(frozen=True, slots=True)
class ServedModelRule:
    """``always``: also where the first channel served."""

    header: str
    always: bool
    when: When

    def headers(self, call: RoutedCall, choice: Choice | None, attempt: Attempt) -> list[tuple[str, str]]:
        """The header of an answer that an attempt gave; none where nothing is to be told."""
        first = choice.first if choice is not None else None
        if not self.always and (first is None or attempt.channel is first):
            return []
        return [(self.header, quote(attempt.model[:_LONGEST], safe=_PLAIN))] if self.when.holds(call) else []


def served_model_rule(policy: Mapping[str, Any]) -> ServedModelRule | None:
    """The rule of a merged policy; nothing where it has none."""
    declared = policy.get("servedModel")
    if declared is None:
        return None
    return ServedModelRule(declared["header"], bool(declared.get("always")), when(declared.get("when")))
