"""Lines of a loss report by the places of the caller's own body.

Takes the lines that shaping and encode made, with the values that they mean; gives the same with the paths that the
caller knows. Looked for only where something was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.program.origins import Origins, path_text

if TYPE_CHECKING:
    from engine.program import Format
    from engine.routing.attempt import Report

_MOST = 20_000
"""Values of a body that are looked at."""
_NATIVE = "native."


def in_callers_words(
    source: Format, report: Report, body: Any, read: Any, hub: Mapping[str, Any], lost: Mapping[str, Any]
) -> Report:
    """The lines, each by the caller's own place where one is found.

    ``read`` is the body as decode read it, ``hub`` what it gave; ``lost`` are values by the numbered paths of lines.
    """
    numbered = [path for path, _ in report if path in lost or _NATIVE in path]
    if numbered:
        origins = Origins(body, read, _MOST)
        lines: Report = []
        for path, why in report:
            lines += [(place, why) for place in _places(path, origins, hub, lost)]
        report = list(dict.fromkeys(lines))
    return source.places.named(report, body, read)


def _places(path: str, origins: Origins, hub: Mapping[str, Any], lost: Mapping[str, Any]) -> list[str]:
    if path in lost:
        place = origins.of(lost[path])
        return [path_text(place)] if place else [path.partition("[")[0]]
    holder, _, name = path.partition(f".{_NATIVE}")
    if not name:
        return [path]
    places = []
    for owner in _holders(hub, holder):
        place = origins.of({key: value for key, value in owner.items() if key != "native"})
        if place:
            places += [f"{path_text(place)}.{key}" for key in owner["native"].get(name) or ()]
    return places or [holder.partition(".")[0]]


def _holders(hub: Mapping[str, Any], holder: str) -> list[dict[str, Any]]:
    """What has something of one format alone: tools, or parts of messages."""
    if holder == "tools":
        listed = list(hub.get("tools") or ())
    else:
        listed = [part for message in hub.get("messages") or () for part in message.get("parts") or ()]
    return [owner for owner in listed if isinstance(owner.get("native"), dict)]
