"""The commands over releases on a database: plan, apply, export, drift, adopt, history, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, delete, insert

from engine import paths
from engine.cli import main
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables import core

ROOT = paths.SPECS.parent
PRICE = """# of the house
apiVersion: gatewright/v1
kind: Price
metadata: {{name: house, labels: {{team: a}}}}
spec:
  models:
    - names: [house-model]
      tokens: {{input: {price}, output: 25}}
"""
ALIAS = """---
apiVersion: gatewright/v1
kind: Alias
metadata: {name: short}
spec: {match: short, model: house-model}
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SQL_DSN", "SQLITE_PATH", "GATEWRIGHT_SPECS", "GATEWRIGHT_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "specs").mkdir(parents=True)
    open_database(Settings(data=tmp_path / "data")).close()
    return tmp_path


@pytest.fixture
def tree(data: Path) -> Path:
    """A repository's directory."""
    directory = data / "tree"
    (directory / "prices").mkdir(parents=True)
    (directory / ".git").mkdir()
    (directory / ".git" / "never-read.yaml").write_text("kind: [")
    (directory / "prices" / "house.yaml").write_text(PRICE.format(price=6) + ALIAS)
    return directory


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def apply(tree: Path, *more: object) -> Result:
    return run("apply", tree, "--wait", 0, *more)


def test_from_plan_to_export_and_back(tree: Path, data: Path) -> None:
    planned = run("plan", tree)
    assert planned.exit_code == 2
    assert "added Price/house (git)" in planned.output
    assert "price of house-model: it has one now" in planned.output
    assert "1,000 tokens in, 1,000 out: $- -> $0.031" in planned.output
    made = apply(tree, "-m", "the first", "--source", "abc123", "--json")
    assert (made.exit_code, json.loads(made.output)["release"]) == (0, 1)
    assert run("plan", tree).exit_code == 0
    assert apply(tree).output == "release 1 holds all of this already\n"
    assert run("export", data / "out").output == "release 1: 2 documents in 1 files\n"
    assert (data / "out/prices/house.yaml").read_bytes() == (tree / "prices/house.yaml").read_bytes()
    assert run("plan", data / "out").exit_code == 0
    (tree / "prices" / "house.yaml").write_text(PRICE.format(price=8) + ALIAS)
    plan = json.loads(run("plan", tree, "--json").output)
    example = "1,000 tokens in, 1,000 out"
    assert [(one["model"], one["before"][example], one["after"][example]) for one in plan["prices"]] == [
        ("house-model", "0.031", "0.033")
    ]
    assert [one["title"] for one in plan["documents"]] == ["Price/house"]
    assert run("drift", tree).exit_code == 2
    apply(tree, "-m", "dearer")
    assert run("drift", tree).exit_code == 0
    told = run("history", "Price/house")
    assert [line.split()[0] for line in told.output.splitlines()] == ["2", "1"]
    blamed = json.loads(run("blame", "Price/house", "--json").output)
    assert [line["release"] for line in blamed] == [1, 1, 1, 1, 1, 1, 1, 2]
    assert run("releases", "diff", 1, 2).exit_code == 2
    assert run("rollback", 1).output == "release 3 holds what release 1 held\n"
    assert run("releases", "diff", 1, 3).exit_code == 0
    shown = json.loads(run("releases", "show", 2, "--json").output)
    assert (shown["message"], [one["title"] for one in shown["documents"]]) == ("dearer", ["Price/house"])


def test_prune_takes_only_what_owner_and_selector_own(tree: Path) -> None:
    apply(tree)
    (tree / "prices" / "house.yaml").write_text(ALIAS.replace("short}", "other}").replace("match: short", "match: o"))
    kept = json.loads(run("plan", tree, "--json").output)
    assert [(one["title"], one["what"]) for one in kept["documents"]] == [("Alias/other", "added")]
    assert apply(tree, "--prune", "-l", "team=b").exit_code == 0
    assert _titles() == ["Alias/other", "Alias/short", "Price/house"]
    assert apply(tree, "--prune", "-l", "team=a").exit_code == 0
    assert _titles() == ["Alias/other", "Alias/short"]
    assert apply(tree, "--prune", "--owner", "console").exit_code == 0
    assert _titles() == ["Alias/other", "Alias/short"]
    assert apply(tree, "--prune").exit_code == 0
    assert _titles() == ["Alias/other"]
    assert run("plan", tree, "-l", "team").exit_code == 2


def test_a_document_that_was_changed_elsewhere_is_drift_and_resolved_either_way(tree: Path) -> None:
    path = tree / "prices" / "house.yaml"
    apply(tree)
    path.write_text(PRICE.format(price=8) + ALIAS)
    apply(tree)
    # somebody went back in the database: the directory's word holds again
    run("rollback", 1)
    drift = run("drift", tree)
    assert (drift.exit_code, "Price/house (git) is otherwise" in drift.output) == (2, True)
    assert f"gatewright apply {tree}" in drift.output
    apply(tree)
    assert run("drift", tree).exit_code == 0
    # what the console made of it goes into the file that it stands in, and its neighbour stays
    assert run("docs", "adopt", "Price/house", "--to", "console").exit_code == 0
    assert run("drift", tree).exit_code == 0
    console = tree.parent / "console"
    console.mkdir()
    (console / "price.yaml").write_text(PRICE.format(price=9))
    assert apply(console, "--owner", "console").exit_code == 0
    drift = run("drift", tree)
    assert (drift.exit_code, "belongs to console (console:price.yaml:1)" in drift.output) == (2, True), drift.output
    (told,) = json.loads(run("drift", tree, "--json").output)["documents"]
    assert (told["title"], "docs adopt Price/house --to git" in told["elsewhere"]) == ("Price/house", True)
    assert run("export", tree).exit_code == 1
    assert run("export", tree, "--overwrite").exit_code == 0
    assert path.read_text() == PRICE.format(price=9) + ALIAS
    assert [*tree.glob("p*/*")] == [path]
    assert run("drift", tree).exit_code == 0
    # or its owner is Git again, and the directory's word is published
    path.write_text(PRICE.format(price=10) + ALIAS)
    assert run("plan", tree).exit_code == 1
    assert run("docs", "adopt", "Price/house", "--to", "git").exit_code == 0
    assert apply(tree).exit_code == 0
    assert run("drift", tree).exit_code == 0


COUNTED = """
import sys
from engine.cli import main
from engine.compiler.mappings import reuse
compiled, before = [], reuse.compile_definition
def counted(definition, *more):
    compiled.append(definition.title)
    return before(definition, *more)
reuse.compile_definition = counted
try:
    main(sys.argv[1:])
except SystemExit:
    print(len(compiled), file=sys.stderr)
"""


def test_a_plan_compiles_over_what_stands_and_leaves_what_it_came_to(tree: Path, data: Path) -> None:
    def documents_compiled(*words: object) -> int:
        asked = [sys.executable, "-c", COUNTED, *(str(word) for word in words)]
        return int(subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stderr.split()[-1])

    assert documents_compiled("plan", tree) > 50
    assert len([*(data / "data/programs/cache").glob("server-*.work")]) == 1
    assert documents_compiled("apply", tree, "--wait", 0) < 10
    (tree / "prices" / "house.yaml").write_text(PRICE.format(price=8) + ALIAS)
    assert documents_compiled("plan", tree) < 10


PINNED = """apiVersion: gatewright/v1
kind: Settings
metadata: {{name: ours}}
spec: {{options: {{RetryTimes: {times}}}}}
"""


def test_a_row_that_says_otherwise_than_a_document_is_drift_and_resolved_either_way(tree: Path, data: Path) -> None:
    (tree / "settings.yaml").write_text(PINNED.format(times=3))
    apply(tree)
    _rows(data, {"RetryTimes": "3", "ModelRatio": '{"house-model": 3}', "CompletionRatio": '{"house-model": 2}'})
    # an option's row that says the same is none; a price that differs is
    (twice,) = json.loads(run("plan", tree, "--json").output)["rows"]["twice"]
    assert (twice["kind"], twice["name"], twice["document"][:6], twice["row"][:6]) == (
        *("price", "house-model", "$0.031", "$0.018"),
    )
    _rows(data, {"RetryTimes": "9", "ModelRatio": "{}"})
    drift = run("drift", tree)
    words = "option RetryTimes: git:settings.yaml:4:18 before what the row of the option RetryTimes: 9 says"
    assert (drift.exit_code, words in drift.output) == (2, True), drift.output
    assert run("plan", tree).exit_code == 0
    # the row's word: the document says it, or pins it no more
    (tree / "settings.yaml").write_text(PINNED.format(times=9))
    assert apply(tree).exit_code == 0
    assert run("drift", tree).exit_code == 0
    (tree / "settings.yaml").write_text(PINNED.format(times=4))
    assert apply(tree).exit_code == 0
    assert run("drift", tree).exit_code == 2
    # the document's word: the row goes, and that is a revision
    dropped = run("releases", "rows", "drop", "option/RetryTimes")
    assert (dropped.exit_code, '-value: "9"' in dropped.output) == (0, True), dropped.output
    assert run("drift", tree).exit_code == 0
    (removed,) = json.loads(run("history", "option/RetryTimes", "--json").output)
    assert removed["what"] == "removed"
    undone = run("releases", "rows", "undo", removed["id"])
    assert (undone.exit_code, "RetryTimes is pinned by a document (git:settings.yaml:4:18)" in undone.output) == (
        1,
        True,
    )
    assert "there is no row of an option RetryTimes" in run("releases", "rows", "drop", "option/RetryTimes").output
    assert "only an option's row" in run("releases", "rows", "drop", "channel/1").output


def _rows(data: Path, rows: dict[str, str]) -> None:
    """Options' rows as another program writes them."""
    db = open_database(Settings(data=data / "data"))

    def work(connection: Connection) -> None:
        connection.execute(delete(core.options).where(core.options.c.key.in_(rows)))
        for key, value in rows.items():
            connection.execute(insert(core.options).values(key=key, value=value))

    db.write(work)
    db.close()


def _titles() -> list[str]:
    from engine.releases import reading

    db = open_database(Settings(data=Path(__import__("os").environ["GATEWRIGHT_DATA"])))
    try:
        return [f"{one['kind']}/{one['name']}" for one in reading.listed(db)["documents"]]
    finally:
        db.close()


def test_a_faulty_document_changes_nothing_and_names_its_line(tree: Path) -> None:
    path = tree / "prices" / "house.yaml"
    path.write_text(PRICE.format(price=6) + ALIAS.replace("model:", "modle:"))
    for command in (run("plan", tree), apply(tree), run("drift", tree)):
        assert command.exit_code == 1
        assert "git:prices/house.yaml:13:22: error: nobody reads 'modle'" in command.stderr
    assert run("releases", "list").output == ""
    cases = {
        "kind: [": "git:prices/house.yaml:2:1",
        "# nothing\n": None,
        "a: b\n": "the document has no kind",
        PRICE.format(price=6) + "---\n" + PRICE.format(price=7): "Price/house is defined twice",
        "x" * (1024 * 1024 + 1): "a document may have 1,048,576",
        PRICE.format(price=6).replace("name: house", "name: ../up"): "metadata.name",
        PRICE.format(price=6) + "---\n" + PRICE.format(price=6).replace("name: house", "name: HOUSE"): "case alone",
    }
    for text, words in cases.items():
        path.write_text(text)
        planned = run("plan", tree)
        assert planned.exit_code == (1 if words else 0), text[:40]
        assert (words or "") in planned.stderr
    path.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in run("plan", tree).stderr
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert "is a link out of the directory" in run("plan", tree).stderr


def test_five_thousand_documents_are_refused_before_they_are_compiled(tree: Path) -> None:
    many = "".join(f"---\napiVersion: gatewright/v1\nkind: Alias\nmetadata: {{name: a{n}}}\n" for n in range(5000))
    (tree / "prices" / "house.yaml").write_text(many)
    assert "there would be 5,000 documents of your own; 2,000 may be" in run("plan", tree).stderr


def test_a_document_moves_between_owners_on_purpose(tree: Path, data: Path) -> None:
    specs = data / "data" / "specs"
    (specs / "mine.yaml").write_text(PRICE.format(price=6) + ALIAS)
    refused = run("plan", tree)
    assert (refused.exit_code, refused.stderr.count("is defined twice; the first stands at")) == (1, 2)
    assert run("docs", "adopt", "Price/house", "--to", "console").exit_code == 0
    assert (specs / "mine.yaml").read_text() == ALIAS
    assert run("docs", "adopt", "Alias/short", "--to", "git").exit_code == 0
    assert not (specs / "mine.yaml").exists()
    (tree / "prices" / "house.yaml").write_text(PRICE.format(price=7))
    refused = run("plan", tree)
    assert "belongs to console (console:Price/house:1) and is changed there" in refused.stderr
    assert run("docs", "adopt", "Price/house", "--to", "git").exit_code == 0
    assert run("plan", tree).exit_code == 2
    assert run("docs", "adopt", "Price/house", "--to", "directory").exit_code == 0
    assert (specs / "price" / "house.yaml").read_text() == PRICE.format(price=6)
    for words in (("Price/house", "git"), ("Alias/none", "console")):
        again = run("docs", "adopt", words[0], "--to", words[1])
        assert (again.exit_code == 0) == (words[0] == "Price/house")
    assert run("docs", "adopt", "nonsense", "--to", "git").exit_code == 2


def test_a_server_is_asked_with_a_token_and_over_http_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no access token is given" in run("releases", "list", "--server", "https://localhost:1").output
    monkeypatch.setenv("GATEWRIGHT_TOKEN", "secret-token")
    for address, words in {"ftp://x": "write https://HOST", "http://127.0.0.1:1": "does not answer"}.items():
        told = run("releases", "list", "--server", address)
        assert (told.exit_code, words in told.output, "secret-token" in told.output) == (1, True, False)


def test_editors_get_a_schema_for_each_kind_and_one_for_all(data: Path) -> None:
    assert run("schema", "--write", data / "schemas").exit_code == 0
    texts = {path.stem: json.loads(path.read_text()) for path in (data / "schemas").glob("*.json")}
    kinds = texts.pop("document")["properties"]["kind"]["enum"]
    assert sorted(kinds) == sorted(texts)
    assert all(text["properties"]["kind"]["const"] == name for name, text in texts.items())


def test_a_secret_is_set_listed_and_taken_away_and_never_shown(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_SECRET", "of the tests")
    told = CliRunner().invoke(main, ["secret", "set", "house-key"], input="sk-of-the-house\n")
    assert told.output == "secret house-key is set\n"
    assert "house-key" in run("secret", "list").output
    assert "sk-of-the-house" not in run("secret", "list", "--json").output
    assert b"sk-of-the-house" not in (data / "data" / "gatewright.db").read_bytes()
    assert "gatewright_secrets.value: 1 encrypted" in run("secrets", "status").output
    assert run("secret", "remove", "house-key").exit_code == 0
    assert "there is no secret" in run("secret", "remove", "house-key").output
    for name, value in (("../x", "a"), ("ok", ""), ("ok", "x" * 20_000)):
        assert CliRunner().invoke(main, ["secret", "set", name], input=value + "\n").exit_code == 1


def test_who_wins_is_told_where_a_document_and_a_row_name_the_same_thing(data: Path) -> None:
    (data / "data" / "specs" / "ours.yaml").write_text(
        PRICE.format(price=6)
        + """---
apiVersion: gatewright/v1
kind: Settings
metadata: {name: ours}
spec: {options: {RetryTimes: 3}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: twin}
spec:
  baseUrl: https://twin.example
  formats: {openai.chat: {path: /v1/chat/completions}}
  auth: {scheme: none}
  models: [house-model]
"""
    )
    words = ("explain", "--model", "house-model", "--database")
    assert "RetryTimes" not in run(*words).output
    db = open_database(Settings(data=data / "data"))
    rows = {"RetryTimes": "9", "ModelRatio": '{"house-model": 5}'}
    row = {"type": 1, "status": 1, "key": "sk", "models": "other", "group": "default", "name": "twin"}

    def work(connection: Connection) -> None:
        for key, value in rows.items():
            connection.execute(insert(core.options).values(key=key, value=value))
        connection.execute(insert(core.channels).values(**row))

    db.write(work)
    db.close()
    told = json.loads(run(*words, "--json").output)["twice"]
    assert [(one["kind"], one["name"]) for one in told] == [
        ("option", "RetryTimes"), ("price", "house-model"), ("channel", "twin"),
    ]  # fmt: skip
    assert "ours.yaml" in told[0]["wins"]
    assert told[0]["over"] == ["the row of the option RetryTimes"]
    assert "ours.yaml" in told[1]["wins"]
    assert "options:ModelRatio['house-model']" in told[1]["over"][0]
    shown = run(*words).output
    assert "channel twin: the document's and the database's number 1, by priority and weight" in shown
    priced = run(*words, "--price")
    assert "before options (options:ModelRatio['house-model'])" in priced.output
    assert json.loads(run(*words, "--price", "--json").output)["rule"]["name"] == told[1]["wins"].split(" (")[0]


def test_shipped_documents_say_where_editors_find_their_schema() -> None:
    root = paths.SPECS.parent
    for path in sorted(paths.SPECS.rglob("*.yaml")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        words, _, schema = first.partition("$schema=")
        assert words == "# yaml-language-server: ", path
        assert (path.parent / schema).resolve() == (root / ".schemas" / "document.json").resolve(), path
