"""Every column of a channel's row, and every known member of its JSON columns, works or has the channel left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from engine import paths, program
from engine.compiler import compile_set, read_set
from engine.observe import Once
from engine.routing import rows
from engine.routing.channel import LiveChannel
from engine.routing.channels import Built, build
from engine.routing.upstream_profile import _filled
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.rows import channels
from engine.storage.tables import core
from engine.transport import auth

OPENAI, AZURE, CLAUDE, GEMINI, ROUTER, QWEN = 1, 3, 14, 24, 20, 17
NEVER = "no call depends on it"


@pytest.fixture(scope="module")
def shipped() -> program.Program:
    sources, shared, _ = read_set([paths.SPECS])
    result = compile_set(sources, shared)
    assert result.artefact is not None
    return program.load(result.artefact)


@pytest.fixture
def db(tmp_path: Path) -> Any:
    made = open_database(Settings(data=tmp_path))
    yield made
    made.close()


def put(db: Database, **columns: Any) -> None:
    values = {"type": OPENAI, "status": 1, "key": "k", "models": "m", "name": "row", "base_url": "", **columns}
    db.write(lambda connection: connection.execute(insert(core.channels).values(**values)).rowcount)


def no_secret(reference: Any, base_url: str) -> str:
    raise LookupError("not here")


def built(shipped: program.Program, db: Database) -> Built:
    return build(shipped, channels.load(db), no_secret)


def one(shipped: program.Program, db: Database, **columns: Any) -> LiveChannel:
    put(db, **columns)
    made = built(shipped, db)
    assert made.left_out == ()
    (channel,) = made.table.channels
    return channel


def left_out(shipped: program.Program, db: Database, **columns: Any) -> str:
    put(db, **columns)
    made = built(shipped, db)
    assert made.table.channels == []
    (line,) = made.left_out
    return line


def header(channel: LiveChannel, name: str, fmt: str = "openai.chat") -> str | None:
    hop = channel.provider.formats[fmt]
    return (_filled(channel, channel.provider.headers.get("set") or {}) | _filled(channel, hop.headers)).get(name)


def path(channel: LiveChannel, fmt: str) -> str:
    return channel.path(channel.provider.formats[fmt].path)


# What each column and member does: a check of its effect, or why it has none. `left out` names what the line must say.
WORKS: dict[str, tuple[dict[str, Any], Any]] = {
    "id": ({}, lambda c: c.id > 0),
    "type": ({"type": CLAUDE}, lambda c: c.provider.name == "anthropic"),
    "key": ({"key": " sk-1 "}, lambda c: c.keys == ("sk-1",)),
    "name": ({"name": "n"}, lambda c: c.name == "n"),
    "models": ({"models": "a,b"}, lambda c: c.models == {"a", "b"}),
    "group": ({"group": "vip,default"}, lambda c: c.groups == ("vip", "default")),
    "priority": ({"priority": 7}, lambda c: c.priority == 7),
    "weight": ({"weight": 3}, lambda c: c.weight == 3),
    "base_url": ({"base_url": "https://x.example/"}, lambda c: c.base_url == "https://x.example"),
    "open_ai_organization": (
        {"open_ai_organization": "org-1"},
        lambda c: header(c, "openai-organization") == "org-1",
    ),
    "other": ({"type": AZURE, "other": "2024-10-21"}, lambda c: "api-version=2024-10-21" in path(c, "openai.chat")),
    "model_mapping": ({"model_mapping": '{"m": "up"}'}, lambda c: c.mapped("m") == "up"),
    "status_code_mapping": ({"status_code_mapping": '{"429": "500"}'}, lambda c: c.status_mapping == {429: 500}),
    "param_override": ({"param_override": '{"seed": 1}'}, lambda c: c.overrides.values == {"seed": 1}),
    "header_override": ({"header_override": '{"X-A": "1", "x-b": ""}'}, lambda c: c.headers == {"x-a": "1"}),
    "channel_info": (
        {"key": "a\nb", "channel_info": {"is_multi_key": True, "multi_key_status_list": {"0": 2}}},
        lambda c: c.keys == ("b",),
    ),
    "setting.proxy": ({"setting": '{"proxy": "socks5h://u:p@h:1080"}'}, lambda c: c.proxy == "socks5h://u:p@h:1080"),
    "setting.thinking_to_content": ({"setting": '{"thinking_to_content": true}'}, lambda c: c.thinking == "content"),
    "setting.force_format": ({"setting": '{"force_format": true}'}, lambda c: c.retold),
    "setting.pass_through_body_enabled": (
        {"setting": '{"pass_through_body_enabled": true}', "param_override": '{"a": 1}', "model_mapping": '{"m": "u"}'},
        lambda c: (
            (bool(c.overrides), c.mapped("m"), c.without, c.provider.patches, c.asks_usage)
            == (False, "m", (), (), False)
        ),
    ),
    "setting.system_prompt": (
        {"setting": '{"system_prompt": "Be brief."}'},
        lambda c: (c.instruction, c.instructs) == ("Be brief.", "missing"),
    ),
    "setting.system_prompt_override": (
        {"setting": '{"system_prompt": "Be brief.", "system_prompt_override": true}'},
        lambda c: (c.instruction, c.instructs) == ("Be brief.", "before"),
    ),
    "settings.azure_responses_version": (
        {"type": AZURE, "settings": '{"azure_responses_version": "2025-03-01"}'},
        lambda c: "api-version=2025-03-01" in path(c, "openai.responses"),
    ),
    "settings.claude_beta_query": (
        {"type": CLAUDE, "settings": '{"claude_beta_query": true}'},
        lambda c: path(c, "anthropic.messages") == "/v1/messages?beta=true",
    ),
    **{
        f"settings.allow_{name}": (
            {"settings": json.dumps({f"allow_{name}": True})},
            lambda c, name=name: (name,) not in c.without and ("stream_options", name) not in c.without,
        )
        for name in ("service_tier", "inference_geo", "speed", "safety_identifier", "include_obfuscation")
    },
    "settings.disable_store": ({"settings": '{"disable_store": true}'}, lambda c: ("store",) in c.without),
}
LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "settings.openrouter_enterprise": (
        {"type": ROUTER, "settings": '{"openrouter_enterprise": true}'},
        "settings.openrouter_enterprise",
    ),
    "settings.vertex_key_type": (
        {"type": 41, "key": '{"project_id":"p"}', "settings": '{"vertex_key_type": "json"}'},
        "must be a JSON object with the members client_email, private_key, project_id",
    ),
    "settings.aws_key_type": ({"type": 33, "settings": '{"aws_key_type": "ak_sk"}'}, "the form id|secret|region"),
    "settings.advanced_custom": ({"type": 58, "settings": '{"advanced_custom": {}}'}, "must hold advanced_routes"),
}
IDLE: dict[str, str] = {
    **rows.UNUSED,
    "status": "only rows that are switched on are channels",
    **dict.fromkeys(
        ["test_model", "created_time", "test_time", "response_time", "balance", "balance_updated_time", "used_quota"],
        NEVER,
    ),
    **dict.fromkeys(
        ["auto_ban", "other_info", "tag", "remark", "settings.upstream_model_update_*"],
        NEVER,
    ),
}
# What New API knows of these columns (reference: one-api-database.md, 1.3).
MEMBERS = {
    "setting": "force_format thinking_to_content proxy pass_through_body_enabled system_prompt system_prompt_override"
    " http_protocol http2_connection_shards",
    "settings": "azure_responses_version vertex_key_type aws_key_type openrouter_enterprise claude_beta_query"
    " allow_service_tier allow_inference_geo allow_speed allow_safety_identifier allow_include_obfuscation"
    " disable_store disable_task_polling_sleep upstream_model_update_* advanced_custom",
}


def test_every_column_and_every_known_member_is_in_one_of_the_lists() -> None:
    known = {column.name for column in core.channels.c} - MEMBERS.keys()
    known |= {f"{column}.{member}" for column, members in MEMBERS.items() for member in members.split()}
    listed = [*WORKS, *LEFT_OUT, *IDLE]
    assert sorted(listed) == sorted(known)


@pytest.mark.parametrize("name", WORKS)
def test_what_works_has_its_effect_and_is_not_there_without_it(shipped: Any, db: Database, name: str) -> None:
    columns, effect = WORKS[name]
    assert effect(one(shipped, db, **columns))


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_does_not_work_leaves_the_channel_out_and_says_why(shipped: Any, db: Database, name: str) -> None:
    columns, why = LEFT_OUT[name]
    assert why in left_out(shipped, db, **columns)


def test_without_its_columns_a_row_asks_for_nothing(shipped: Any, db: Database) -> None:
    plain = one(shipped, db, type=AZURE)
    assert path(plain, "openai.chat").endswith("?api-version=2025-04-01-preview")
    assert path(plain, "openai.responses").endswith("?api-version=preview")
    assert (plain.proxy, plain.instruction, plain.thinking, plain.retold) == ("", "", None, False)
    assert plain.asks_usage
    assert ("service_tier",) in plain.without
    assert ("store",) not in plain.without


def test_a_header_whose_parameter_says_nothing_is_not_sent(shipped: Any, db: Database) -> None:
    assert header(one(shipped, db), "openai-organization") is None


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"setting": '{"proxy": "h:1080"}'}, "proxy"),
        ({"setting": '{"proxy": "ftp://h:1"}'}, "proxy"),
        ({"setting": '{"proxy": "http://h:port"}'}, "proxy"),
        ({"setting": '{"proxy": {"url": "http://h"}}'}, "setting.proxy"),
        ({"setting": "{proxy"}, "setting"),
        ({"settings": "[1]"}, "settings"),
        ({"setting": '{"thinking_to_content": "yes"}'}, "setting.thinking_to_content"),
        ({"setting": '{"system_prompt": ["x"]}'}, "setting.system_prompt"),
        ({"open_ai_organization": "org\nx-b: 1"}, "open_ai_organization"),
        ({"header_override": '{"re:(": ""}'}, "header_override"),
        ({"header_override": '{"x-a": "1\\r\\nx-b: 2"}'}, "header_override"),
        ({"header_override": '{"host": "other.example"}'}, "host"),
        ({"model_mapping": '{"m": 3}'}, "model_mapping"),
        ({"param_override": '{"operations": [{"mode": "frob"}]}'}, "operation 1"),
        ({"param_override": '{"operations": [{"mode": "set"}]}'}, "path"),
        ({"model_mapping": '{"m": "b", "b": "m"}'}, "circle"),
        ({"base_url": "example.org"}, "http"),
        ({"key": ""}, "credential|key"),
        ({"key": "sk-\u00fc"}, "character"),
        ({"key": "a\nb", "channel_info": {"is_multi_key": True, "multi_key_status_list": {"0": 3, "1": 2}}}, "key"),
        ({"key": "[]", "channel_info": {"is_multi_key": True}}, "key"),
    ],
)
def test_what_can_not_be_followed_is_told(shipped: Any, db: Database, columns: dict[str, Any], why: str) -> None:
    line = left_out(shipped, db, **columns)
    assert line.startswith("channel row (#1) is left out: ")
    assert any(word in line for word in why.split("|")), line


def test_a_password_in_a_proxys_address_is_not_told(shipped: Any, db: Database) -> None:
    assert "hunter2" not in left_out(shipped, db, setting='{"proxy": "ftp://u:hunter2@h:1"}')


def test_of_several_keys_those_that_can_be_sent_are_used(shipped: Any, db: Database) -> None:
    channel = one(shipped, db, key="good\nb\u00e4d\nalso", channel_info={"is_multi_key": True})
    assert channel.keys == ("good", "also")


def test_a_provider_that_asks_for_no_key_is_called_without_one(db: Database, shipped: Any) -> None:
    channel = one(shipped, db, type=4, key="")
    headers: list[tuple[str, str]] = []
    assert auth.apply(channel.provider.auth, channel.key(), headers, "http://x/") == ("http://x/", b"")
    assert headers == []
    auth.apply(channel.provider.auth, "k", headers, "http://x/")
    assert headers == [("Authorization", "Bearer k")]


def test_keys_that_are_all_switched_off_leave_it_out_all_the_same(db: Database, shipped: Any) -> None:
    info = {"is_multi_key": True, "multi_key_status_list": {"0": 3}}
    assert "channel_info" in left_out(shipped, db, type=4, key="a", channel_info=info)


def test_columns_of_the_other_program_are_read_as_it_means_them(tmp_path: Path, shipped: Any) -> None:
    first = open_database(Settings(data=tmp_path))
    for statement in (
        "ALTER TABLE channels ADD COLUMN config text",
        "ALTER TABLE channels ADD COLUMN system_prompt text",
        "UPDATE gatewright_facts SET value = 'oneApi' WHERE name = 'numbering'",
    ):
        first.write(lambda c, statement=statement: c.exec_driver_sql(statement).rowcount)
    first.close()
    db = open_database(Settings(data=tmp_path))
    try:
        listed = [
            (AZURE, '{"api_version": "2024-02-01"}', None, ""),
            (AZURE, "{}", "2023-05-15", ""),
            (GEMINI, '{"api_version": "v1"}', None, ""),
            (OPENAI, "{}", None, "Speak French."),
        ]
        for kind, config, other, prompt in listed:
            values = (kind, config, other, prompt)
            db.write(
                lambda c, values=values: (
                    c.exec_driver_sql(
                        "INSERT INTO channels (type, status, key, models, config, other, system_prompt)"
                        " VALUES (?, 1, 'k', 'm', ?, ?, ?)",
                        values,
                    ).rowcount
                )
            )
        made = built(shipped, db)
        assert made.left_out == ()
        first_, second, third, fourth = made.table.channels
        assert "api-version=2024-02-01" in path(first_, "openai.chat")
        assert "api-version=2023-05-15" in path(second, "openai.chat")
        assert path(third, "gemini.generateContent").startswith("/v1/models/")
        assert (fourth.instruction, fourth.instructs) == ("Speak French.", "instead")
    finally:
        db.close()


def test_what_is_left_out_is_told_once_for_as_long_as_it_is_so(caplog: Any) -> None:
    once = Once(logging.getLogger("told"))
    with caplog.at_level(logging.WARNING, "told"):
        for lines in (["a", "b"], ["a", "b"], ["b"], ["a", "b"]):
            once.say(lines)
    assert [record.getMessage() for record in caplog.records] == ["a", "b", "a"]


BODIES: dict[str, list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]]] = {
    # body; and what of it comes where the text goes in where there is none, before the body's own, in place of it
    "openai.chat": [
        (
            {"messages": [{"role": "user", "content": "hi"}]},
            *[{"messages": [{"role": "system", "content": "P"}, {"role": "user", "content": "hi"}]}] * 3,
        ),
        (
            {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "own"}]},
            {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "own"}]},
            {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "P\nown"}]},
            {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "P"}]},
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "text", "text": "own"}], "name": "n"}]},
            {"messages": [{"role": "system", "content": [{"type": "text", "text": "own"}], "name": "n"}]},
            {
                "messages": [
                    {
                        "role": "system",
                        "content": [{"type": "text", "text": "P"}, {"type": "text", "text": "own"}],
                        "name": "n",
                    }
                ]
            },
            {"messages": [{"role": "system", "content": "P", "name": "n"}]},
        ),
        (
            {"model": "o3-mini", "messages": []},
            *[{"messages": [{"role": "developer", "content": "P"}]}] * 3,
        ),
    ],
    "openai.responses": [
        ({"input": "hi"}, *[{"instructions": "P"}] * 3),
        ({"instructions": "own"}, {"instructions": "own"}, {"instructions": "P\nown"}, {"instructions": "P"}),
        ({"input": [{"role": "system", "content": "own"}]}, {}, {"instructions": "P"}, {"instructions": "P"}),
    ],
    "anthropic.messages": [
        ({"messages": []}, *[{"system": "P"}] * 3),
        ({"system": "own"}, {"system": "own"}, {"system": "P\nown"}, {"system": "P"}),
        (
            {"system": [{"type": "text", "text": "own"}]},
            {"system": [{"type": "text", "text": "own"}]},
            {"system": [{"type": "text", "text": "P"}, {"type": "text", "text": "own"}]},
            {"system": "P"},
        ),
    ],
    "gemini.generateContent": [
        (
            {"contents": []},
            *[{"systemInstruction": {"parts": [{"text": "P"}]}}] * 3,
        ),
        (
            {"system_instruction": {"parts": [{"text": "own"}]}},
            {},
            {"system_instruction": None, "systemInstruction": {"parts": [{"text": "P\nown"}]}},
            {"system_instruction": None, "systemInstruction": {"parts": [{"text": "P"}]}},
        ),
    ],
    "bedrock.converse": [
        ({"messages": []}, *[{"system": [{"text": "P"}]}] * 3),
        ({"system": [{"text": "own"}]}, {}, {"system": [{"text": "P"}, {"text": "own"}]}, {"system": [{"text": "P"}]}),
    ],
    "cohere.chat": [({"messages": []}, *[{"messages": [{"role": "system", "content": "P"}]}] * 3)],
    "ollama.chat": [({"messages": []}, *[{"messages": [{"role": "system", "content": "P"}]}] * 3)],
}


@pytest.mark.parametrize("fmt", BODIES)
def test_a_text_for_the_model_meets_the_requests_own(shipped: Any, fmt: str) -> None:
    instruct = shipped.formats[fmt].instruct
    for body, *expected in BODIES[fmt]:
        for how, want in zip(("missing", "before", "instead"), expected, strict=True):
            assert (instruct([], body, "P", how) or {}) == want, (body, how)


def test_every_shipped_format_can_take_a_text_for_the_model(shipped: Any) -> None:
    talking = {name: one for name, one in shipped.formats.items() if one.kind == "conversation"}
    without = {"baidu.chat", "coze.chat", "dify.chat", "tencent.chat", "zhipu.invoke"}
    """They state no place for it: a row with such a text is left out, and the log says why."""
    assert {name for name, one in talking.items() if one.instruct is None} == without


REGIONS = '{"gemini-2.5-pro": "us", "default": "europe-west1"}'
FORMS = [
    (33, {"key": "a|b|eu-west-1"}, "bedrock", ("a|b|eu-west-1",)),
    (33, {"key": "api-key|eu-west-1"}, "bedrock-key", ("api-key|eu-west-1",)),
    (41, {"key": '{"client_email": "a", "private_key": "b", "project_id": "c"}'}, "vertex", None),
    (41, {"key": "AIzaKey"}, "vertex-express", ("AIzaKey",)),
]


@pytest.mark.parametrize(("kind", "columns", "provider", "keys"), FORMS)
def test_of_several_providers_of_a_number_the_key_decides(
    shipped: program.Program, db: Database, kind: int, columns: Any, provider: str, keys: Any
) -> None:
    made = one(shipped, db, type=kind, **columns)
    assert made.provider.name == provider
    assert keys is None or made.keys == keys


def test_a_region_may_differ_by_model(shipped: program.Program, db: Database) -> None:
    key = '{"client_email": "a", "private_key": "b", "project_id": "c"}'
    made = one(shipped, db, type=41, key=key, other=REGIONS)
    assert made.by_model["region"] == {"gemini-2.5-pro": "us", "default": "europe-west1"}
    assert made.by_model["host"]["default"] == "europe-west1-aiplatform.googleapis.com"
    assert made.by_model["host"]["gemini-2.5-pro"] == "aiplatform.us.rep.googleapis.com"


@pytest.mark.parametrize(("other", "host"), [("asia-east1", "asia-east1-aiplatform"), ("", "aiplatform")])
def test_a_region_stands_in_the_host(shipped: program.Program, db: Database, other: str, host: str) -> None:
    assert one(shipped, db, type=41, key="AIzaKey", other=other).base_url == f"https://{host}.googleapis.com"
