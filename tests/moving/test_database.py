"""Databases of the family become documents that lint, and say the same models, ways and prices."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import text

from engine.cli import main
from engine.storage.database import connect
from engine.storage.dsn import resolve
from tests.databases import SERVERS, server_database
from tests.storage import takeover

PROGRAMS = [(program, "sqlite") for program in takeover.PROGRAMS] + [
    ("one-api-0.6", "mysql"),
    ("new-api-2026-08", "postgresql"),
]
MORE = {
    "ModelRatio": json.dumps({"chat-a": 1, "chat-b": 2.5, "gpt-4o": 1.25, "free": 0}),
    "CompletionRatio": json.dumps({"chat-a": 3, "gpt-4o": 4}),
    "CacheRatio": json.dumps({"chat-a": 0.1}),
    "ModelPrice": json.dumps({"draw": 0.04}),
    "GroupRatio": json.dumps({"default": 1, "vip": 0.5, "贵宾": 2}),
    "RetryTimes": "3",
}


@contextmanager
def database(kind: str, tmp_path: Path):
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/theirs.db"
        return
    with server_database(kind, tmp_path) as settings:
        assert settings.sql_dsn.startswith(SERVERS[kind])
        yield settings.sql_dsn


def add(db, program: str) -> None:
    """Channels and options that ask for more than the takeover's."""
    old, there = takeover.old(program), takeover.columns_of(db)
    usual = {"status": 1, "group": "default", "created_time": 1, "other": "", "config": "", "models": "chat-a,gpt-4o"}
    usual["base_url"] = ""
    rows = [
        usual | {"id": 10, "type": 1, "key": "sk-plain", "name": "weighted", "weight": 3, "priority": 5},
        usual | {"id": 11, "type": 1, "key": "sk-one\nsk-two\nsk-three", "name": "several keys", "weight": 2}
        | {"priority": 5, "channel_info": channel_info(db.kind, is_multi_key=True, multi_key_size=3)},
        usual | {"id": 12, "type": 3, "key": "az", "name": "azure/eu", "base_url": "https://x.openai.azure.com"}
        | {"other": "2024-10-21", "config": '{"api_version": "2024-10-21"}' if old else "", "models": "gpt-4o"},
        usual | {"id": 13, "type": 14, "key": "cl", "name": "overridden", "models": "claude-x", "priority": 1}
        | {"param_override": '{"top_k": 5}', "header_override": '{"X-Team": "search"}', "group": "vip"}
        | {"setting": '{"proxy": "socks5://127.0.0.1:1080"}', "status_code_mapping": '{"429": 503}'}
        | {"model_mapping": '{"claude-x": "step", "step": "claude-sonnet-4-5"}', "auto_ban": 1, "tag": "t"},
        usual | {"id": 14, "type": 9999, "key": "k", "name": "nobody knows"},
        usual | {"id": 15, "type": 1, "key": "k", "name": "off", "status": 2, "models": "draw"},
    ]  # fmt: skip

    def work(connection) -> int:
        for row in rows:
            if old:
                row = {key: value for key, value in row.items() if key not in ("channel_info", "setting")}
            takeover.put(connection, "channels", row, there["channels"])
        quote = connection.dialect.identifier_preparer.quote
        for name, value in MORE.items():
            connection.execute(text(f"DELETE FROM options WHERE {quote('key')} = :name"), {"name": name})
            takeover.put(connection, "options", {"key": name, "value": value}, there["options"])
        return 0

    db.write(work)


def channel_info(kind: str, **info) -> object:
    return json.dumps(info).encode() if kind == "sqlite" else json.dumps(info)


@pytest.mark.parametrize(("program", "kind"), PROGRAMS)
def test_a_database_becomes_documents_that_say_the_same(
    program: str, kind: str, sheets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))
    with database(kind, tmp_path) as dsn:
        db = connect(resolve(dsn, "", tmp_path))
        takeover.build(db, program, sheets, "http://127.0.0.1:9/v1")
        add(db, program)
        before = takeover.snapshot(db, takeover.columns_of(db))
        out, keys = tmp_path / "out", tmp_path / "keys"
        words = ["import", "one-api" if takeover.old(program) else "new-api", dsn, "--output", str(out)]
        told = CliRunner().invoke(main, [*words, "--secrets", str(keys)])
        assert told.exit_code == 0, told.output
        assert takeover.snapshot(db, takeover.columns_of(db)) == before
        db.close()
    check(told.output, out, keys, old=takeover.old(program), n26=program.endswith("2026-08"))


def check(output: str, out: Path, keys: Path, *, old: bool, n26: bool) -> None:
    assert "differs" not in output
    assert "channels #14 'nobody knows': left out: no provider document states channel type 9999" in output
    assert "channels #1 '渠道一': is called channel-1" in output
    assert "channels #13 'overridden': " in output or old
    (routes,) = yaml.safe_load_all((out / "routes.yaml").read_text())
    channels = {channel["name"]: channel for channel in routes["spec"]["channels"]}
    assert channels["weighted"]["weight"] == 3 * (3 if n26 else 1)
    assert channels["off"]["enabled"] is False
    assert channels["azure-eu"]["parameters"] == {"apiVersion": "2024-10-21"}
    if n26:
        assert [channels[name]["weight"] for name in ("several-keys", "several-keys-key-2", "several-keys-key-3")] == [
            2,
            2,
            2,
        ]
        assert (keys / "imported" / "several-keys-key-2.key").read_text() == "sk-two"
        assert channels["overridden"]["modelMapping"] == {"claude-x": "claude-sonnet-4-5"}
        (provider,) = yaml.safe_load_all((out / "providers.yaml").read_text())
        assert provider["spec"] == {
            "proxy": "socks5://127.0.0.1:1080", "headers": {"set": {"X-Team": "search"}},
            "requestPatches": [{"set": {"top_k": 5}}],
        }  # fmt: skip
        for what in ("status_code_mapping", "tag 't'", "auto_ban"):
            assert f"channels #13 'overridden': {what}" in output
    assert (keys / "imported" / "weighted.key").stat().st_mode & 0o077 == 0
    assert "options OidcClientId: is no part of documents" in output


def test_explain_tells_the_same(sheets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SQL_DSN", f"sqlite:///{tmp_path}/theirs.db")
    db = connect(resolve(f"sqlite:///{tmp_path}/theirs.db", "", tmp_path))
    takeover.build(db, "new-api-2026-08", sheets, "http://127.0.0.1:9/v1")
    add(db, "new-api-2026-08")
    db.close()
    run = CliRunner().invoke
    out = str(tmp_path / "out")
    words = ["import", "new-api", f"sqlite:///{tmp_path}/theirs.db", "--output", out]
    assert run(main, [*words, "--secrets", str(tmp_path / "data" / "secrets")]).exit_code == 0
    for model in ("chat-a",):
        words = ["explain", "--model", model, "--price", "--key", "vip", "--json"]
        theirs = json.loads(run(main, [*words, "--database"]).output)["charge"]
        ours = json.loads(run(main, [*words, out]).output)["charge"]
        assert (ours["quota"], ours["usd"], ours["lines"]) == (theirs["quota"], theirs["usd"], theirs["lines"])
    words = ["explain", "--model", "chat-a", "--from", "openai.chat", "--json", out]
    ways = json.loads(run(main, words).output)["candidates"]
    shares = {way["channel"]: way["odds"] for way in ways if way["priority"] == 5}
    assert shares == {
        "weighted": "60%", "several-keys": "13%", "several-keys-key-2": "13%", "several-keys-key-3": "13%"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "words"),
    [("sqlite:///empty.db", "no database of this family"), ("postgres://u:hidden-word@127.0.0.1:9/x", "127.0.0.1:9")],
)
def test_what_is_no_such_database_is_told(
    source: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.db").touch()
    told = CliRunner().invoke(main, ["import", "new-api", source])
    assert (told.exit_code, words in told.output) == (1, True), told.output
    assert "hidden-word" not in told.output
    assert not (tmp_path / "imported").exists()
