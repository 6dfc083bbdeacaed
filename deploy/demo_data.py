# ruff: noqa: E501 - tables are read by their rows
"""Fills a database with a plausible year, for looking at the console: ``make demo-data`` (DATA=data).

Users, channels, keys, codes, prices and a year of calls, the same each time. For an empty database alone: it asks for
one without channels.
"""

from __future__ import annotations

import math
import random
import sys
import time
from functools import partial
from operator import itemgetter

import orjson
from sqlalchemy import Connection, insert, update

from engine import settings
from engine.accounts import keys, redemptions, users
from engine.accounts.first_start import make_root
from engine.accounts.plans import catalogue, lives
from engine.catalogue import channels, options
from engine.errors import Conflict
from engine.storage.database import Database, open_database
from engine.storage.rows import channel_edits
from engine.storage.rows.log_rows import LogRow, apply
from engine.storage.tables import core, tasks

DAYS = 365
PEOPLE = ("wei.zhang", "li.na", "camille", "tanaka", "rag-worker", "小程序-生产", "noah", "客服机器人")
# name, type of New API's numbering, models, group, priority, weight, tag, remark
CHANNELS = (
    (
        "Anthropic org-A",
        14,
        "claude-opus-4-8,claude-sonnet-5-5",
        "default,vip",
        10,
        60,
        "claude",
        "contract until 2027-03",
    ),
    (
        "Claude 官转 · 华东二号机房",
        14,
        "claude-opus-4-8,claude-sonnet-5-5",
        "default,vip",
        10,
        20,
        "claude",
        "夜间低峰专用",
    ),
    ("OpenAI org-main", 1, "gpt-5.5,gpt-5.5-mini,text-embedding-4", "default,vip", 10, 80, "openai", ""),
    ("OpenAI overflow", 1, "gpt-5.5,gpt-5.5-mini", "default", 0, 10, "openai", "only when the first is full"),
    ("DeepSeek 官方 · 企业账号", 43, "deepseek-v4", "default,vip", 10, 100, "", ""),
    ("阿里云百炼 · 通义千问", 17, "qwen3-max", "default", 10, 40, "", "续费问小陈"),
    ("Vertex us-central1", 24, "gemini-3.1-pro", "default,vip", 10, 10, "", ""),
    ("lab-gpu-02", 4, "llama-4-70b", "default", 0, 1, "", "lab"),
)
# model: dollars in and out per million, share of calls, tokens in and out
MODELS = {
    "claude-sonnet-5-5": (3.0, 15.0, 26, 9000, 700),
    "gpt-5.5": (1.25, 10.0, 30, 3600, 420),
    "claude-opus-4-8": (5.0, 25.0, 6, 14000, 1200),
    "gemini-3.1-pro": (2.0, 12.0, 9, 5200, 640),
    "qwen3-max": (0.82, 3.28, 11, 3100, 380),
    "deepseek-v4": (0.28, 0.42, 15, 3900, 520),
    "gpt-5.5-mini": (0.25, 2.0, 3, 1500, 240),
}
FAULTS = ("rate_limit_account", "overloaded", "bad_request", "timeout", "upstream_auth")
LOSSES = (
    ["sampling.seed", "the provider's format has no word for it"],
    ["metadata.user_id", "not carried: the end user's id"],
)


def main() -> int:
    """Fill it."""
    chance = random.Random(7)  # noqa: S311 - plausible, not secret
    db = open_database(settings.load())
    try:
        if channel_edits.listed(db, [], limit=1, offset=0):
            print("this database has channels already; demo data is for an empty one (DATA=another)")
            return 1
        try:
            make_root(db, "root", "rootroot1")
            print("the login is root, rootroot1")
        except Conflict:
            print("the login is what it was")
        ratios = {name: row[0] / 2 for name, row in MODELS.items()}
        values = {"ModelRatio": ratios, "CompletionRatio": {name: row[1] / row[0] for name, row in MODELS.items()}}
        groups = {"default": 1, "vip": 0.8, "internal": 0.33}
        for name, value in (
            *values.items(),
            ("GroupRatio", groups),
            ("UserUsableGroups", {"default": "默认", "vip": "VIP"}),
        ):
            options.put(db, {}, name, orjson.dumps(value).decode(), 1)
        ids = {row[0]: _channel(db, row) for row in CHANNELS}
        channel_edits.change(db, {ids["lab-gpu-02"]: {"status": 2}, ids["Vertex us-central1"]: {"status": 3}})
        people = [
            (1, "root"),
            *(
                (
                    users.create_user(
                        db,
                        name,
                        "demo-password",
                        group="vip" if number < 2 else "default",
                        quota=chance.randrange(2_000_000, 90_000_000),
                    ),
                    name,
                )
                for number, name in enumerate(PEOPLE)
            ),
        ]
        holders = [
            (user, name, keys.create_key(db, user, f"{word}-{name}"[:50], quota=None if number % 3 else 40_000_000))
            for number, (user, name) in enumerate(people)
            for word in ("prod", "dev")
        ]
        redemptions.create(db, "双十一", 5_000_000, count=12, creator=1)
        redemptions.create(db, "trial", 500_000, count=8, creator=1)
        _plans(db)
        _tasks(db, chance, holders)
        count = _calls(db, chance, ids, holders)
        print(f"{count} calls of {DAYS} days, {len(people)} users, {len(ids)} channels")
    finally:
        db.close()
    return 0


def _plans(db: Database) -> None:
    """Two plans, and one of them of root's."""
    monthly = {"title": "Pro", "subtitle": "For a team of one", "price_amount": 20, "total_amount": 15_000_000}
    monthly |= {"quota_reset_period": "monthly", "duration_value": 3}
    daily = {"title": "Try", "price_amount": 2.5, "total_amount": 500_000, "quota_reset_period": "daily"}
    daily |= {"duration_unit": "day", "duration_value": 7, "sort_order": 1}
    first, _ = (catalogue.create(db, plan, frozenset()) for plan in (monthly, daily))
    now = int(time.time())
    db.write(lambda connection: lives.begin(db, connection, first, 1, "admin", "demo", now))


def _tasks(db: Database, chance: random.Random, holders: list[tuple[int, str, keys.NewKey]]) -> None:
    """Videos and drawings of the last days, with their stories."""
    now = int(time.time())
    films, drawings = list[dict[str, object]](), list[dict[str, object]]()
    for number in reversed(range(36)):
        user, name, key = chance.choice(holders)
        at = now - 40 - int(number**1.8) * 500
        state = "IN_PROGRESS" if number < 2 else chance.choice(["SUCCESS"] * 5 + ["FAILURE"])
        steps = [("SUBMITTED", 0), ("IN_PROGRESS", 12)] + ([] if number < 2 else [(state, chance.randrange(40, 240))])
        final = at + steps[-1][1] if number > 1 else 0
        story = [[at + after, word, 0 if word == "SUBMITTED" else 1 + after // 20] for word, after in steps]
        own = {"asked": "kling-v2", "model": "kling-v2", "id": str(chance.randrange(10**12)), "username": name, "story": story,
               "token_name": key.name, "format": "kling.video", "asked_format": "openai.videos", "call": f"{number:032x}"}  # fmt: skip
        both = {"user_id": user, "status": state, "progress": "45%" if number < 2 else "100%", "channel_id": 0,
                "quota": 0 if state == "FAILURE" else 250_000, "fail_reason": "the picture shows a person" if state == "FAILURE" else ""}  # fmt: skip
        if number % 3:
            films.append({**both, "task_id": f"task_{chance.getrandbits(128):032x}", "platform": "video", "action": "generate",
                          "created_at": at, "updated_at": final or now, "submit_time": at, "start_time": at + 12, "finish_time": final,
                          "group": "default", "properties": {"input": "rain on a tin roof", "origin_model_name": "kling-v2"},
                          "private_data": {"gatewright": own}, "data": {}})  # fmt: skip
        else:
            own |= {"asked": "mj_imagine", "model": "mj_imagine", "format": "midjourney", "asked_format": "midjourney"}
            drawings.append({**both, "mj_id": str(1_700_000_000 + number), "action": "IMAGINE", "code": 1, "prompt": "一只猫 --ar 16:9",
                             "submit_time": at * 1000, "start_time": (at + 12) * 1000, "finish_time": final * 1000,
                             "properties": orjson.dumps({"gatewright": own}).decode()})  # fmt: skip
    db.write(lambda connection: connection.execute(insert(tasks.tasks), films))
    db.write(lambda connection: connection.execute(insert(tasks.midjourneys), drawings))


def _channel(db: Database, row: tuple[object, ...]) -> int:
    names = ("name", "type", "models", "group", "priority", "weight", "tag", "remark")
    body = {**dict(zip(names, row, strict=True)), "key": f"sk-demo-{row[1]}"}
    return channels.create(db, "single", body, "", prefix=False)[0]


def _calls(
    db: Database, chance: random.Random, ids: dict[str, int], holders: list[tuple[int, str, keys.NewKey]]
) -> int:
    now, total = int(time.time()), 0
    used: dict[tuple[str, int], int] = {}
    calls: dict[tuple[str, int], int] = {}
    for day in range(DAYS, -1, -1):
        begin = now - day * 86_400
        rows: list[LogRow] = []
        busy = 40 + 50 * (1 - day / DAYS) + (160 if day < 2 else 0)
        for _ in range(int(busy * (0.6 if time.gmtime(begin).tm_wday > 4 else 1))):
            at = (
                begin
                + int(43_200 + 30_000 * math.sin(chance.random() * math.pi - math.pi / 2))
                - 43_200
                + chance.randrange(20_000)
            )
            if at < now:
                rows.append(_call(chance, ids, holders, at))
        rows.sort(key=itemgetter("created_at"))
        db.write(partial(apply, db=db, rows=rows))
        total += len(rows)
        for row in rows:
            for holder in (("user", row["user_id"]), ("token", row["token_id"]), ("channel", row["channel_id"])):
                used[holder] = used.get(holder, 0) + row["quota"]
                calls[holder] = calls.get(holder, 0) + 1
    db.write(partial(_note_use, used=used, calls=calls))
    return total


def _note_use(connection: Connection, used: dict[tuple[str, int], int], calls: dict[tuple[str, int], int]) -> None:
    """What the calls used, where lists show it."""
    for (kind, number), quota in used.items():
        table = {"user": core.users, "token": core.tokens, "channel": core.channels}[kind]
        values = {"used_quota": quota, **({"request_count": calls[kind, number]} if kind == "user" else {})}
        connection.execute(update(table).where(table.c.id == number).values(**values))


def _call(chance: random.Random, ids: dict[str, int], holders: list[tuple[int, str, keys.NewKey]], at: int) -> LogRow:
    model = chance.choices(list(MODELS), [row[2] for row in MODELS.values()])[0]
    user, name, key = chance.choices(holders, [1 / (1 + number) for number in range(len(holders))])[0]
    dollars_in, dollars_out, _, mean_in, mean_out = MODELS[model]
    into, out = max(20, int(chance.expovariate(1 / mean_in))), max(4, int(chance.expovariate(1 / mean_out)))
    serving = [row[0] for row in CHANNELS if model in str(row[2]).split(",")]
    way = str(chance.choice(serving))
    failed = chance.random() < 0.02
    usd_in, usd_out = into * dollars_in / 1e6, out * dollars_out / 1e6
    other: dict[str, object] = {
        "request_path": "/v1/chat/completions",
        "admin_info": {"use_channel": [way]},
        "channel": way,
        "frt": int(chance.lognormvariate(6.4, 0.5)),
    }
    if failed:
        why = chance.choice(FAULTS)
        other |= {"error_type": why}
    else:
        lines = [
            {
                "bucket": "input_fresh",
                "units": into,
                "price": str(dollars_in),
                "per": "1M tokens",
                "amount": str(usd_in * 500_000),
            },
            {
                "bucket": "output_text",
                "units": out,
                "price": str(dollars_out),
                "per": "1M tokens",
                "amount": str(usd_out * 500_000),
            },
        ]
        other |= {
            "usage": {"input_fresh": into, "output_text": out, "input_total": into, "output_total": out},
            "price": {"rule": "ModelRatio", "place": "option ModelRatio", "usd": str(usd_in + usd_out), "lines": lines},
        }
        if chance.random() < 0.15:
            other["losses"] = [chance.choice(LOSSES)]
        if chance.random() < 0.06 and len(serving) > 1:
            first = next(one for one in serving if one != way)
            other["admin_info"] = {"use_channel": [first, way], "failed": [[first, chance.choice(FAULTS[:2])]]}
    return {
        "user_id": user, "username": name, "token_id": key.token_id, "token_name": key.name, "model_name": model,
        "created_at": at, "type": 5 if failed else 2, "content": "the vendor refused the call" if failed else "",
        "quota": 0 if failed else round((usd_in + usd_out) * 500_000), "prompt_tokens": 0 if failed else into,
        "completion_tokens": 0 if failed else out, "use_time": 1 + out // 80, "is_stream": chance.random() < 0.7,
        "channel_id": ids[way], "group": "default", "request_id": f"{chance.getrandbits(128):032x}", "other": orjson.dumps(other).decode(),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
