"""Prices of another gateway taken up by a plan: what would change is told, judged and applied, never blindly.

``planned`` sorts every difference: what is ``ready``, and what is ``held`` for a person to say so: a rise over the
share that the operator declares, a change of kind (by tokens or by call), and a price of 0. ``apply`` writes what is
ready, and of what is held only what is named. A plan names the prices that it was made of, so that a list which has
changed meanwhile is not taken up unseen.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from engine.catalogue import options, price_sync
from engine.catalogue.price_sync import FIELDS, Source
from engine.errors import Conflict, Invalid
from engine.storage.database import Database
from engine.texts import refusal

if TYPE_CHECKING:
    from engine.transport.leg import Pool

RISE, KIND, FREE = "rise", "kind", "free"
_BY_CALL, _BY_TOKEN = "model_price", "model_ratio"


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A difference: what stands here, what would, and why a person has to say so (nothing: it is ready).

    ``model`` and ``field`` name it; ``after`` of nothing takes a price away, since the kind changes.
    """

    model: str
    field: str
    before: float | None
    after: float | None
    held: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called when a person agrees to it: the model; its fields go together."""
        return self.model


@dataclasses.dataclass(frozen=True, slots=True)
class PricePlan:
    """All changes of one source; ``digest`` is over them."""

    source: str
    changes: tuple[Change, ...]

    @property
    def digest(self) -> str:
        """The same plan has the same one."""
        return hashlib.sha256(orjson.dumps([dataclasses.astuple(change) for change in self.changes])).hexdigest()[:32]


def planned(
    theirs: Mapping[str, Mapping[str, float]], values: Mapping[str, str], rise: float, source: str = ""
) -> PricePlan:
    """What taking up prices would change. ``rise``: the share by which one may go up by itself (0.2: a fifth)."""
    own: dict[str, dict[str, Any]] = {field: options.value_of(values, name) or {} for field, name in FIELDS.items()}
    changes: list[Change] = []
    for model in sorted(theirs):
        changes += _of_model(model, theirs[model], own, rise)
    return PricePlan(source, tuple(changes))


def _of_model(
    model: str, prices: Mapping[str, float], own: Mapping[str, Mapping[str, Any]], rise: float
) -> list[Change]:
    before = {field: own[field].get(model) for field in FIELDS}
    kind = _kind(prices)
    other = {_BY_CALL: _BY_TOKEN, _BY_TOKEN: _BY_CALL}.get(kind, "")
    turned = bool(other) and before[other] is not None and before[kind] is None
    steps = [
        (field, before[field], prices[field]) for field in FIELDS if field in prices and prices[field] != before[field]
    ]
    held = {reason for _, old, new in steps for reason in _reasons(old, new, rise)}
    changes = [Change(model, field, old, new) for field, old, new in steps]
    if turned:
        held.add(KIND)
        changes.append(Change(model, other, before[other], None))
    return [dataclasses.replace(change, held=tuple(sorted(held))) for change in changes]


def _kind(prices: Mapping[str, float]) -> str:
    return _BY_CALL if _BY_CALL in prices else _BY_TOKEN if _BY_TOKEN in prices else ""


def _reasons(before: float | None, after: float, rise: float) -> list[str]:
    reasons = [FREE] if after == 0 else []
    if before is not None and after > before * (1 + rise):
        reasons.append(RISE)
    return reasons


def read(pool: Pool, sources: Collection[Source], values: Mapping[str, str], rise: float, seconds: int) -> PricePlan:
    """The plan of the one source that is named. Raises ``Invalid`` where it is not one, or can't be read."""
    if len(sources) != 1:
        raise refusal(Invalid, "prices.one", field="channel_id")
    (source,) = sources
    prices, fault = price_sync.prices_of(pool, source, seconds)
    if prices is None:
        raise refusal(Invalid, "prices.unread", field="channel_id", name=source.name, what=fault)
    return planned(prices, values, rise, source.name)


def apply(
    db: Database, values: Mapping[str, str], plan: PricePlan, digest: str, agreed: Collection[str], user: int
) -> list[Change]:
    """Write what is ready and what is agreed to, by model; what was written.

    Raises ``Conflict`` where the plan is another than the one that was looked at, ``Invalid`` where somebody agrees to
    what is not held.
    """
    if plan.digest != digest:
        raise refusal(Conflict, "prices.changed")
    held = {change.name for change in plan.changes if change.held}
    for name in agreed:
        if name not in held:
            raise refusal(Invalid, "prices.agreed", field="agreed", name=name[:80])
    chosen = [change for change in plan.changes if not change.held or change.name in agreed]
    texts: dict[str, str] = {}
    for field, option in FIELDS.items():
        mine = [change for change in chosen if change.field == field]
        if mine:
            table = dict(options.value_of(values, option) or {})
            for change in mine:
                table.pop(change.model, None)
                if change.after is not None:
                    table[change.model] = change.after
            texts[option] = options.text_of(table)
    if texts:
        options.put_all(db, values, texts, user)
    return chosen
