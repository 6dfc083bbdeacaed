"""A task as its row has it, whichever of the two tables that is; and the row of a task that begins.

What is ours alone (the format, the channel's name, which key, whose charge) stands in ``private_data`` under ``OWN``;
drawings have no such column, so there it stands in ``properties``. Rows of older programs have no such part.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.jsonbytes import dumps, loads
from engine.program import FINAL
from engine.storage.rows.work.tasks import DRAWINGS, OWN, TASKS

_PROGRESS = {"NOT_START": 0, "SUBMITTED": 10, "QUEUED": 20, "IN_PROGRESS": 30}
_WORDS = {"CANCELLED": "CANCEL"}
"""States that drawings have another word for."""
_STATES = {"CANCEL": "CANCELLED", "MODAL": "SUBMITTED"}
_LONGEST, _LONGEST_TEXT, _STORY = 4_000, 65_536, 50
_COLUMNS = frozenset(
    (
        "code", "action", "prompt", "prompt_en", "description", "state", "image_url", "video_url", "video_urls",
        "buttons", "fail_reason",
    )
)  # fmt: skip
"""Columns of drawings that a vendor's answer may fill."""


@dataclass(slots=True)
class TaskRecord:
    """A task. Times are unix seconds; ``own`` is what the module says; ``row`` is the row as it was read."""

    rows: str
    id: int
    name: str
    """What callers know it by."""
    user_id: int
    channel_id: int
    quota: int
    status: str
    """As the row has it; ``state`` is it in the words of all tasks."""
    progress: int
    error: str
    submitted: int
    started: int
    finished: int
    action: str
    data: Any
    private: dict[str, Any]
    own: dict[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Its state."""
        return _STATES.get(self.status, self.status) or "NOT_START"

    @property
    def final(self) -> bool:
        """Whether it is at its end."""
        return self.state in FINAL

    @property
    def vendor_id(self) -> str:
        """What its vendor knows it by."""
        return str(self.own.get("id") or self.private.get("upstream_task_id") or self.name)

    @property
    def results(self) -> list[dict[str, Any]]:
        """What came of it."""
        results = self.own.get("results")
        if isinstance(results, list):
            return results
        url = self.private.get("result_url") or self.row.get("video_url") or self.row.get("image_url")
        if not url and self.state == "SUCCESS" and self.error.startswith(("http://", "https://", "data:")):
            url = self.error  # where an older program kept it
        return [{"url": url}] if url else []


def record(rows: str, row: Mapping[str, Any]) -> TaskRecord:
    """The task of a row."""
    drawing = rows == DRAWINGS
    private = {} if drawing else _map(row.get("private_data"))
    properties = _map(row.get("properties"))
    scale = 1000 if drawing else 1
    submitted, started, finished = (
        int(row.get(f"{what}_time") or 0) // scale for what in ("submit", "start", "finish")
    )
    return TaskRecord(
        rows,
        int(row["id"]),
        str(row["mj_id" if drawing else "task_id"] or ""),
        int(row.get("user_id") or 0),
        int(row.get("channel_id") or 0),
        int(row.get("quota") or 0),
        str(row.get("status") or ""),
        percent(row.get("progress")) or 0,
        str(row.get("fail_reason") or ""),
        submitted,
        started,
        finished,
        action=str(row.get("action") or ""),
        data=None if drawing else _json(row.get("data")),
        private=private,
        own=_map(properties.get(OWN) if drawing else private.get(OWN)),
        row=row,
    )


def after(one: TaskRecord, values: Mapping[str, Any]) -> TaskRecord:
    """A task as it is when these columns have changed."""
    return record(one.rows, {**one.row, **values})


def view(one: TaskRecord, *, same: bool) -> dict[str, Any]:
    """What mappings are told of it; ``same``: its caller speaks its vendor's format."""
    own = one.own
    failed = one.state in ("FAILURE", "CANCELLED")
    facts: dict[str, Any] = {
        "id": one.name,
        "model": own.get("asked") or _map(one.row.get("properties")).get("origin_model_name"),
        "action": one.action or None,
        "status": one.state,
        "progress": 100 if one.final else one.progress,
        "created": one.submitted,
        "started": one.started or None,
        "finished": one.finished or None,
        "results": one.results if one.state == "SUCCESS" else [],
        "error": {"message": one.error or "the task failed", "code": own.get("error_code")} if failed else None,
        "request": own.get("request") or {},
        "more": own.get("more") or {},
        "row": _shown(one) if one.rows == DRAWINGS else None,
        "data": own.get("data", one.data) if same or not own else None,
    }
    return facts


def _shown(task: TaskRecord) -> dict[str, Any]:
    """The columns of a drawing that its owner may see."""
    row = task.row
    columns = {name: row.get(name) for name in sorted(_COLUMNS)}
    columns["status"], columns["progress"] = row.get("status"), row.get("progress")
    for name in ("buttons", "video_urls"):
        columns[name] = _json(columns[name])
    columns["properties"] = {key: value for key, value in _map(row.get("properties")).items() if key != OWN} or None
    return columns | {f"{name}_time": row.get(f"{name}_time") or 0 for name in ("submit", "start", "finish")}


def born(
    rows: str, platform: str, name: str, values: Mapping[str, Any], own: dict[str, Any], told: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of a task that begins; ``values`` are columns of both tables, ``told`` is what its vendor said."""
    now = time.time()
    state = values["status"]
    common = {**values, "progress": shown(progress_of(told, state)), "fail_reason": error_of(told)[0]}
    own["story"] = [[int(now), state]]
    own = {**own, **kept(told)}
    if rows == DRAWINGS:
        own["image"] = secrets.token_hex(16)
        moment = int(now * 1000)
        columns = {
            "code": 1, **common, "mj_id": name, "submit_time": moment, "start_time": 0,
            "finish_time": moment if state in FINAL else 0, **columns_of(told),
        }  # fmt: skip
        columns["status"] = _WORDS.get(state, str(told.get("status") or state) if told.get("status") else state)
        columns["properties"] = _text({**_map(told.get("properties")), OWN: own})
        columns.setdefault("buttons", "")
        return {"rows": DRAWINGS, "values": columns}
    seconds = int(now)
    private = {"upstream_task_id": own["id"], "billing_source": "wallet", "token_id": own["token"], OWN: own}
    if own.get("plan"):
        private |= {"billing_source": "subscription", "subscription_id": own["plan"]}
    columns = {
        **common, "task_id": name, "platform": platform, "created_at": seconds, "updated_at": seconds,
        "submit_time": seconds, "start_time": 0, "finish_time": seconds if state in FINAL else 0,
        "properties": {"input": str(own["request"].get("prompt") or ""), "origin_model_name": own["asked"],
                       "upstream_model_name": own["model"]},
        "private_data": private, "data": short(told.get("data")),
    }  # fmt: skip
    return {"rows": TASKS, "values": columns}


def changed(one: TaskRecord, state: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that an answer changes of a task that goes to a state, or stays in its own."""
    now = time.time()
    scale = 1000 if one.rows == DRAWINGS else 1
    moment = int(now * scale)
    own = {**one.own, **kept(told)}
    if state != one.state:
        own["story"] = [*(own.get("story") or [])[-_STORY:], [int(now), state, int(told.get("questions") or 0)]]
    progress = max(one.progress, progress_of(told, state))
    values: dict[str, Any] = {"progress": shown(progress)}
    reason, code = error_of(told)
    if state in ("FAILURE", "CANCELLED"):
        values["fail_reason"] = reason or "the provider told no reason"
        own["error_code"] = code
    if not one.started and state in ("IN_PROGRESS", *FINAL):
        values["start_time"] = moment
    if state in FINAL:
        values["finish_time"] = moment
    if one.rows == DRAWINGS:
        values |= {"status": _WORDS.get(state, str(told.get("status") or state)), **columns_of(told)}
        values["status"] = values["status"] if values["status"] in _KNOWN else state
        before = _map(told.get("properties")) or _map(one.row.get("properties"))
        values["properties"] = _text({**before, OWN: own})
        return values
    values |= {"status": state, "updated_at": int(now)}
    private = {**one.private, OWN: own}
    if own.get("results"):
        private["result_url"] = own["results"][0].get("url") or ""
    values["private_data"] = private
    if told.get("data") is not None:
        values["data"] = short(told["data"])
    return values


_KNOWN = frozenset(("NOT_START", "SUBMITTED", "QUEUED", "MODAL", "IN_PROGRESS", "SUCCESS", "FAILURE", "CANCEL"))


def kept(told: Mapping[str, Any]) -> dict[str, Any]:
    """What of a vendor's answer stays with the task."""
    facts = {name: told[name] for name in ("results", "more", "file", "words") if told.get(name)}
    if isinstance(results := facts.get("results"), list):
        facts["results"] = [_addressed(result) for result in results]
    return facts


def _addressed(result: Any) -> Any:
    """A result without a file that stands in the answer itself: its vendor is asked for it again when it is wanted."""
    url = result.get("url") if isinstance(result, dict) else None
    long = isinstance(url, str) and url.startswith("data:") and len(url) > _LONGEST_TEXT
    return {**{name: value for name, value in result.items() if name != "url"}, "inline": True} if long else result


def columns_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a drawing that an answer fills."""
    columns = _map(told.get("columns"))
    return {
        name: value.replace("\0", "") if isinstance(value, str) else value if isinstance(value, int) else _text(value)
        for name, value in columns.items()
        if name in _COLUMNS and value is not None
    }


_MEDIA = ("images", "audio", "video")


def slim(hub: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, without pictures and other long things."""
    fields: dict[str, Any] = {}
    for name, value in hub.items():
        if isinstance(value, str):
            fields[name] = value[:_LONGEST]
        elif isinstance(value, int | float) or (name not in _MEDIA and len(dumps(value)) <= _LONGEST):
            fields[name] = value
    return fields


def short(value: Any) -> Any:
    """A vendor's answer without sounds and pictures that stand in it as text."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else ""
    if isinstance(value, dict):
        return {key: short(member) for key, member in value.items()}
    return [short(item) for item in value] if isinstance(value, list) else value


def error_of(told: Mapping[str, Any]) -> tuple[str, Any]:
    """What an answer says of a failure: message, code."""
    error = told.get("error")
    if isinstance(error, Mapping):
        return _plain(error.get("message")), error.get("code")
    return _plain(error), None


def _plain(value: Any) -> str:
    return str(value or "").replace("\0", "")[:_LONGEST]


def progress_of(told: Mapping[str, Any], state: str) -> int:
    """How far it is, in percent."""
    if state in FINAL:
        return 100
    percentage = percent(told.get("progress"))
    return _PROGRESS.get(state, 0) if percentage is None else min(percentage, 99)


def percent(value: Any) -> int | None:
    """A number of percent, however it is written."""
    try:
        return max(0, min(100, int(float(str(value).strip().removesuffix("%"))))) if value not in (None, "") else None
    except (ValueError, OverflowError):
        return None


def shown(progress: int) -> str:
    """How rows have it."""
    return f"{progress}%"


def _text(value: Any) -> str:
    return "" if value is None else dumps(value).decode()


def _json(value: Any) -> Any:
    if isinstance(value, str | bytes) and value:
        try:
            return loads(value if isinstance(value, bytes) else value.encode())
        except ValueError:
            return None
    return value if isinstance(value, dict | list) else None


def _map(value: Any) -> dict[str, Any]:
    parsed = _json(value)
    return parsed if isinstance(parsed, dict) else {}
