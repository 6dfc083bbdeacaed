"""A plain call on its way: what this kind learns of it beside what every call knows. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.relay.call import Call
from engine.relay.kind import Outbound

if TYPE_CHECKING:
    from engine.kinds.plain.form import Form
    from engine.program import Format
    from engine.routing.attempt import Report


def hub_of(one: Format) -> str:
    """The format whose bodies the others of its endpoint are mapped from and to."""
    return one.hub_format or one.passthrough_as


@dataclass(slots=True)
class PlainCall(Call):
    """A request with one body, answered by one body or a stream of events that pass."""

    form: Form | None = None
    """The parts of a request that is a form; ``body`` then has its fields by name."""
    hub: dict[str, Any] | None = None
    """The request in the hub's format, once it was needed."""
    report: Report = field(default_factory=list)
    """What mapping it there lost."""

    @staticmethod
    def speaks(asked: Format, spoken: Format) -> bool:
        """Formats of one hub are mapped to each other; others pass through in their own family alone."""
        return asked.kind == spoken.kind and hub_of(asked) == hub_of(spoken)


@dataclass(slots=True)
class PlainOutbound(Outbound):
    """What goes up of a plain call; ``hub`` is the request that an answer is mapped back for."""

    hub: dict[str, Any] | None = None
    rest: list[dict[str, Any]] = field(default_factory=list)
    """Further requests in the hub's form, where the provider takes fewer at once than the caller sent."""
