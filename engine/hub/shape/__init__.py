"""Shaping: a conversation brought into the form that a target format can take.

Takes a hub request and the target's declared demands (``shape`` of its Format); gives the request to encode, a report
of every change, and a memo by which the answer is named back. One pass, deterministic, no I/O but by the callable
given for fetching. Knows no format: a demand that isn't declared changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from engine.errors import Refusal
from engine.hub import loss
from engine.hub.shape import check, ids, marks, media, numbers, output, thinking, tools, traits, turns
from engine.hub.shape import schema as schemas
from engine.hub.shape.restore import Restorer, restore
from engine.hub.shape.work import Fetch, Memo, Work, begin

__all__ = ["Fetch", "Memo", "Restorer", "restore", "shape"]


def shape(
    request: dict[str, Any],
    rules: dict[str, Any] | None,
    ctx: dict[str, Any],
    report: list[tuple[str, str]],
    fetch: Fetch | None = None,
    *,
    native: Collection[str] = (),
    kin: Collection[str] | None = None,
    reads: frozenset[str] = frozenset({"*"}),
    lost: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], Memo]:
    """The request as the target takes it.

    ``native``: names of formats whose opaque parts are the target's own; ``kin``: formats that share its file ids;
    ``reads``: what the target's encode reads: the loss of all else is told; ``lost`` takes what numbered lines mean.
    """
    own = native or {name for name in [ctx.get("target")] if name}
    work = Work(begin(request), rules or {}, ctx, report, own, fetch, kin)
    try:
        _fit(work)
        _tell_lost(work, reads)
    except Refusal as ex:
        ex.within = work.request
        raise
    if lost is not None:
        lost.update(work.lost)
    return work.request, work.memo


def _fit(work: Work) -> None:
    check.check(work)
    traits.fit(work)
    ids.link(work)
    thinking.fit(work)
    output.fit(work)
    tools.fit(work)
    _output_schema(work)
    media.fit(work)
    marks.fit(work)
    turns.fit(work)
    numbers.fit(work)


def _tell_lost(work: Work, reads: frozenset[str]) -> None:
    """What the target's encode has no word for."""
    work.lines += loss.unread(work.request, reads)
    if work.seen.kinds:
        outer, inner = loss.wordless(reads)
        if outer & work.seen.kinds or inner & work.seen.kinds:
            work.lines += loss.unsaid(work.messages, outer, inner)
    for where, names in (
        ("messages", work.seen.told),
        ("messages.parts", work.seen.members),
        ("tools", work.seen.defined),
    ):
        if names:
            work.lines += loss.untold(where, frozenset(names), reads)


def _output_schema(work: Work) -> None:
    """A native schema of the answer speaks the same dialect as those of tools, unless one is declared for it."""
    wanted = work.request.get("output")
    dialect = work.rules.get("outputSchema") or (work.rules.get("tools") or {}).get("schema") or {}
    if isinstance(wanted, dict) and wanted.get("schema") is not None:
        schema = schemas.convert(wanted["schema"], {**dialect, "object_required": False}, "output.schema", work)
        work.request["output"] = {**wanted, "schema": schema}
