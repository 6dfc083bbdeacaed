"""Marks of what may be cached, as many as the target takes.

Declared: ``marks``, their number over a whole request. Tools come first, then the conversation in its order; the last
ones are kept, which say the most: what stands before a mark is kept with it.
"""

from __future__ import annotations

from engine.hub.shape.work import Work


def fit(work: Work) -> None:
    """Leave out the first marks where there are too many."""
    most = work.rules.get("marks")
    if most is None:
        return
    tools = work.request.get("tools") or []
    marked = [index for index, tool in enumerate(tools) if tool.get("cache")]
    places = []
    if "cache" in work.seen.members:
        places = [place for place in work.places() if place[1][place[2]].get("cache")]
    over = len(marked) + len(places) - most
    if over <= 0:
        return
    for index in marked[:over]:
        work.request["tools"] = tools = [*tools]
        tools[index] = {key: value for key, value in tools[index].items() if key != "cache"}
        work.report(f"tools[{index}].cache", f"the target takes {most} marks, the last ones were sent")
    for path, parts, index in places[: max(0, over - len(marked))]:
        parts[index] = {key: value for key, value in parts[index].items() if key != "cache"}
        work.report(f"{path}.cache", f"the target takes {most} marks, the last ones were sent")
