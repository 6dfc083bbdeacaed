"""What ``expect`` of a case of money and operation may say: a check for each word that gives what is wrong, or nothing.

A charge's parts are those of its log row; balances must have fallen by what the rows say, whatever is asked for.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.reports.servers import BESIDE
from tests.reports.stage import Stage, ask

_CALLS = 12
"""Calls at once where connections to the database are counted."""


def _charge(stage: Stage) -> dict[str, Any]:
    """The row of the charge, with the words that ``expect`` has for its parts; a call that was free has none."""
    rows = stage.mark.charges()
    fell, booked = stage.mark.fell(), sum(row["quota"] for row in rows)
    if fell != booked:
        raise AssertionError(f"balances fell by {fell}, the rows say {booked}")
    if not rows:
        return {"quota": 0, "input": 0, "output": 0, "cache_read": 0, "calls": {}, "usage_source": "", "channel": ""}
    row = rows[-1]
    usage = row["other"].get("usage", {})
    return {
        "quota": booked,
        "input": row["prompt_tokens"],
        "output": row["completion_tokens"],
        "cache_read": usage.get("cache_read", 0),
        "calls": usage.get("calls", {}),
        "usage_source": row["other"].get("usage_source", ""),
        "channel": stage.site.channel_of(row),
    }


def _equal(part: str) -> Callable[[Stage, Any], str | None]:
    def check(stage: Stage, told: Any) -> str | None:
        value = _charge(stage)[part]
        return None if value == told else f"{part} is {value!r}, not {told!r}"

    return check


def _is(value: Any, right: bool, words: str) -> str | None:
    return None if right else f"{words}: {value!r}"


def _status(stage: Stage, told: Any) -> str | None:
    wanted = told if isinstance(told, list) else [told]
    return _is(stage.came.status, stage.came.status in wanted, f"status is not {told} ({stage.came.text[:300]})")


def _has(stage: Stage, told: Any, least: int | None = None) -> str | None:
    texts = told if isinstance(told, list) else [told]
    there = [text for text in texts if text in stage.came.text]
    return _is(
        stage.came.text[-800:], len(there) >= (len(texts) if least is None else least), f"the answer lacks {texts}"
    )


def _headers(stage: Stage, told: Mapping[str, Any]) -> str | None:
    sent = [each.headers for each in stage.upstream.got]
    right = sent and all(sent[-1].get(name.lower()) == value for name, value in told.items())
    return _is(sent, bool(right), f"the upstream's headers lack {told}")


def _query(stage: Stage, told: Any) -> str | None:
    paths = [each.path for each in stage.upstream.got]
    asked = dict(parse_qsl(urlsplit(paths[-1]).query)) if paths else {}
    if isinstance(told, str):
        return _is(paths, bool(paths) and told in urlsplit(paths[-1]).query, f"the upstream's query lacks {told}")
    right = bool(paths) and all(asked.get(name) == str(value) for name, value in told.items())
    return _is(paths, right, f"the upstream's query lacks {told}")


def _body_lacks(stage: Stage, told: Any) -> str | None:
    sent = [each.body.decode("utf-8", "replace") for each in stage.upstream.got]
    texts = told if isinstance(told, list) else [told]
    right = bool(sent) and not any(text in body for body in sent for text in texts)
    return _is([body[:400] for body in sent], right, f"the upstream's body has {told}")


def _worker_cpu(stage: Stage, told: float) -> str | None:
    """Above idle, the least of three calls; the first call of the case has warmed it up."""
    readings = []
    for _ in range(3):
        begin, before = time.monotonic(), stage.site.cpu_ms()
        ask(stage)
        used, seconds = stage.site.cpu_ms() - before, time.monotonic() - begin
        before = stage.site.cpu_ms()
        time.sleep(max(1.0, seconds))
        idle = (stage.site.cpu_ms() - before) * seconds / max(1.0, seconds)
        readings.append(used - idle)
    return _is(readings, min(readings) < told, f"CPU in ms, not below {told}")


def _warned(stage: Stage, told: Any) -> str | None:
    texts = told if isinstance(told, list) else [told]
    lines = [line for line in stage.mark.log().splitlines() if "warning" in line.lower() or "error" in line.lower()]
    right = all(any(text.lower() in line.lower() for line in lines) for text in texts)
    return _is(lines[-10:], right, f"no warning in the log names {told}")


def _connections(stage: Stage, told: int) -> str | None:
    """Many calls at once; connections of the role are counted meanwhile, but for those of this test."""
    most, over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.02):
            most = max(most, _sessions(stage))

    watching = threading.Thread(target=watch)
    watching.start()
    askers = [threading.Thread(target=ask, args=(stage,)) for _ in range(_CALLS)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    stage.site.settle()
    over.set()
    watching.join()
    rows = len(stage.mark.charges())
    if rows != _CALLS + 1:
        return f"{rows} of {_CALLS + 1} calls are booked"
    return _is(most, most <= BESIDE * told, f"more connections than {told} of one worker and of each process beside it")


def _sessions(stage: Stage) -> int:
    with stage.site.db.read() as connection:
        return int(connection.exec_driver_sql(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND usename <> current_user"
        ).scalar() or 0)  # fmt: skip


def _resets(stage: Stage, told: int) -> str | None:
    found = {seconds % 86400 for seconds in _named(stage.came.text, "resets")}
    return _is(sorted(found), found == {told}, f"a day does not begin at {told} s in UTC ({stage.came.text[-500:]})")


def _named(text: str, key: str) -> list[int]:
    """Numbers under a key of the JSON that stands in a text."""
    decoder, place, found = json.JSONDecoder(), 0, []
    while (place := min((at for at in (text.find("[", place), text.find("{", place)) if at >= 0), default=-1)) >= 0:
        try:
            value, place = decoder.raw_decode(text, place)
        except ValueError:
            place += 1
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and isinstance(each.get(key), int):
                found.append(each[key])
    return found


CHECKS: dict[str, Callable[[Stage, Any], str | None]] = {
    "status": _status,
    "rows": lambda stage, told: _is(len(stage.mark.charges()), len(stage.mark.charges()) == told, f"rows, not {told}"),
    **{part: _equal(part) for part in ("quota", "input", "output", "cache_read", "calls", "usage_source", "channel")},
    "input_above": lambda stage, told: _is(
        _charge(stage)["input"], _charge(stage)["input"] > told, f"not above {told}"
    ),
    "body_has": _has,
    "body_has_one": lambda stage, told: _has(stage, told, 1),
    "ends_whole": lambda stage, told: _is(stage.came.whole, stage.came.whole is told, f"ends whole, not {told}"),
    "first_byte_within": lambda stage, told: _is(stage.came.first_byte, stage.came.first_byte <= told, f"above {told}"),
    "done_within": lambda stage, told: _is(stage.came.done, stage.came.done <= told, f"done after more than {told}"),
    "upstream_header": _headers,
    "upstream_query": _query,
    "upstream_body_lacks": _body_lacks,
    "worker_cpu_ms_below": _worker_cpu,
    "proxy_saw_at_least": lambda stage, told: _is(
        stage.proxy.saw, len(stage.proxy.saw) >= told, f"proxy saw less than {told}"
    ),
    "warned": _warned,
    "connections_per_worker_at_most": _connections,
    "resets_mod_86400": _resets,
}
