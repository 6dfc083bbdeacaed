"""The commands: what they print, as text and as JSON, and the codes that they exit with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine import __version__, paths
from engine.cli import main

FORMAT = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: test.chat}
spec:
  endpoints: [{operation: generate, path: /chat, model: body.model}]
  request:
    decode: {model: "{{ body.model }}", messages: [{role: user, parts: [{type: text, text: "{{ body.text }}"}]}]}
    encode: {model: "{{ request.model }}", text: "{{ request.messages[0].parts[0].text }}"}
  stream:
    framing: {type: sse, done: "[DONE]"}
    ends: {marker: true}
    decode: [{$if: data.d is present, $then: {type: part_delta, kind: text, text: "{{ data.d }}"}}]
    encode: {part_delta: [{d: "{{ event.text }}"}], finish: [{end: "{{ event.reason }}"}]}
tests:
  - name: it carries text
    translate: {from: test.chat, to: test.chat}
    input: {model: m, text: hi}
    expect: {model: m, text: hi}
"""
PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
spec:
  baseUrl: https://llm.acme.example/v1
  formats: {test.chat: {path: /chat}}
  auth: {scheme: none}
  models: [acme-1]
  requestPatches: [{when: "model == 'acme-1'", drop: [top_p]}]
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: r}
spec: {channels: [{name: other, provider: acme, models: [acme-1], weight: 3, groups: [default, vip]}]}
---
apiVersion: gatewright/v1
kind: Alias
metadata: {name: high}
spec: {match: "(?P<base>.+)-high", model: base, hub: {reasoning: {effort: high}}}
"""


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small set instead of the shipped one, in the current directory."""
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "format.yaml").write_text(FORMAT)
    (shipped / "provider.yaml").write_text(PROVIDER)
    monkeypatch.setattr(paths, "SPECS", shipped)
    monkeypatch.setattr(paths, "TEMPLATES", tmp_path / "templates")
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def told(*arguments: str, stdin: str | None = None, code: int = 0) -> Any:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_help_names_every_command_and_imports_none() -> None:
    script = "import sys; from engine.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for name in ("lint", "test", "render", "translate", "schema", "filters", "explain"):
        assert f"\n  {name} " in output
    loaded = output.splitlines()[-1].split()
    assert not {"engine.compiler", "engine.cli.lint", "jinja2", "yaml", "gevent"} & set(loaded)


def test_version() -> None:
    assert run("--version").output == f"gatewright, version {__version__}\n"


def test_an_unknown_command_is_a_usage_fault() -> None:
    assert run("lnit").exit_code == 2


def test_lint_of_a_clean_set(specs: Path) -> None:
    result = run("lint")
    assert (result.exit_code, result.output) == (0, "0 faults\n")


def test_lint_tells_all_faults_of_a_given_file_with_paths_as_given(specs: Path) -> None:
    (specs / "new.yaml").write_text(
        PROVIDER.split("---")[0].replace("baseUrl", "baseURL").replace("test.chat", "tst.chat")
    )
    result = run("lint", "new.yaml")
    assert result.exit_code == 1
    assert "new.yaml:6:3: error: nobody reads 'baseURL' in spec [unknown-key]" in result.output
    assert "did you mean: test.chat" in result.output
    assert result.output.endswith("3 faults\n")
    assert [fault["code"] for fault in told("lint", "new.yaml", code=1)["faults"]] == [
        "missing-key",
        "unknown-key",
        "unknown-reference",
    ]


def test_lint_warns_of_an_environment_variable_that_no_server_would_read(
    specs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = PROVIDER.split("---")[0]
    (specs / "keyed.yaml").write_text(provider + "  credential: {secretRef: {env: OPENAI_API_KEY}}\n")
    result = run("lint", "keyed.yaml")
    assert result.exit_code == 0
    assert "warning: environment variable OPENAI_API_KEY is not open to documents" in result.output
    assert "GATEWRIGHT_SECRET_ENV [closed-secret]" in result.output
    monkeypatch.setenv("GATEWRIGHT_SECRET_ENV", "OPENAI_API_KEY")
    assert run("lint", "keyed.yaml").output == "0 faults\n"


def test_lint_of_a_path_that_is_not_there_is_a_usage_fault(specs: Path) -> None:
    assert run("lint", "nowhere.yaml").exit_code == 2


def test_own_documents_take_the_place_of_shipped_ones(specs: Path) -> None:
    own = specs / "data" / "specs"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(PROVIDER.split("---")[0].replace("[acme-1]", "[acme-9]"))
    assert told("render", "Provider/acme")["spec"]["models"] == ["acme-9"]


def test_test_runs_what_documents_carry(specs: Path) -> None:
    result = run("test")
    assert (result.exit_code, result.output) == (0, "1 passed, 0 failed\n")


def test_test_shows_where_results_part(specs: Path) -> None:
    (specs / "shipped" / "format.yaml").write_text(FORMAT.replace("expect: {model: m", "expect: {model: n"))
    result = run("test")
    assert result.exit_code == 1
    assert 'at model:\n      - "n"\n      + "m"' in result.output
    (test,) = told("test", code=1)["tests"]
    assert (test["document"], test["ok"]) == ("Format/test.chat", False)


def test_test_runs_only_what_is_asked_for(specs: Path) -> None:
    assert run("test", "shipped/provider.yaml").output == "0 passed, 0 failed\n"
    assert run("test", "-k", "carries").output == "1 passed, 0 failed\n"


def test_commands_that_need_a_program_show_the_faults_instead(specs: Path) -> None:
    (specs / "shipped" / "bad.yaml").write_text("a: [\n")
    for arguments in (["test"], ["explain", "--model", "m"], ["translate", "--from", "a", "--to", "b", "-"]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "[yaml-syntax]" in result.output


def test_render_shows_a_document_and_where_its_values_stand(specs: Path) -> None:
    assert "baseUrl: https://llm.acme.example/v1" in run("render", "Provider/acme").output
    rows = told("render", "Provider/acme", "--origin")
    (row,) = [row for row in rows if row["path"] == "spec.baseUrl"]
    assert (row["line"], row["layer"], Path(row["file"]).name) == (6, 0, "provider.yaml")


def test_render_offers_the_nearest_document(specs: Path) -> None:
    result = run("render", "Provider/acne")
    assert result.exit_code == 2
    assert "did you mean Provider/acme?" in result.output


def test_translate_shows_every_hop(specs: Path) -> None:
    found = told("translate", "--from", "test.chat", "--to", "test.chat", "-", stdin='{"model": "m", "text": "hi"}')
    names = [step["step"] for step in found["steps"]]
    assert names == ["test.chat request", "hub request", "shaped hub request", "test.chat request"]
    assert found["steps"][-1]["value"] == {"model": "m", "text": "hi"}


def test_translate_tells_an_answer_that_is_an_error(specs: Path) -> None:
    errors = '  response: {decode: {parts: []}, encode: {x: 1}}\n  error: {decode: {message: "{{ body.why }}"}}\n'
    (specs / "shipped" / "format.yaml").write_text(FORMAT.replace("tests:\n", f"{errors}tests:\n"))
    asked = ("translate", "--response", "--status", "429", "--from", "test.chat", "--to", "test.chat", "-")
    found = told(*asked, stdin='{"why": "slower"}')
    assert [step["step"] for step in found["steps"]][1:] == ["hub error", "test.chat error, status 429"]
    assert found["steps"][-1]["value"]["error"]["message"] == "slower"


def test_translate_tells_a_refusal(specs: Path) -> None:
    (specs / "shipped" / "format.yaml").write_text(FORMAT.replace("  request:\n", "  request:\n    meant: [odd]\n"))
    result = run("translate", "--from", "test.chat", "--to", "test.chat", "-", stdin='{"model": "m", "odd": 1}')
    assert result.exit_code == 1
    assert result.output.startswith("refused: odd: ")


@pytest.mark.parametrize(
    "stream",
    [
        'data: {"d": "a"}\n\ndata: {"d": "b"}\n\ndata: [DONE]\n\n',
        'event: x\r\ndata: {"d": "a"}\r\n\r\ndata: {"d": "b"}\r\n\r\ndata: [DONE]\r\n\r\n',
        '{"d": "a"}\n{"d": "b"}\n"[DONE]"\n',
        '[{"d": "a"}, {"d": "b"}, "[DONE]"]',
    ],
)
def test_translate_reads_streams_as_they_are_recorded(specs: Path, stream: str) -> None:
    found = told("translate", "--stream", "--from", "test.chat", "--to", "test.chat", "-", stdin=stream)
    assert found["steps"][-1]["value"] == [{"d": "a"}, {"d": "b"}, {"end": "stop"}]


def test_translate_of_an_unknown_format_or_of_no_json_is_a_usage_fault(specs: Path) -> None:
    assert run("translate", "--from", "test.chatt", "--to", "test.chat", "-", stdin="{}").exit_code == 2
    assert run("translate", "--from", "test.chat", "--to", "test.chat", "-", stdin="{").exit_code == 2


def test_explain_tells_alias_candidates_odds_and_patches(specs: Path) -> None:
    (specs / "body.json").write_text('{"model": "acme-1-high", "top_p": 1}')
    found = told("explain", "--model", "acme-1-high", "--body", "body.json")
    assert (found["alias"]["name"], found["alias"]["model"]) == ("high", "acme-1")
    odds = [(item["channel"], item["odds"], item["model"]) for item in found["candidates"]]
    assert odds == [("other", "75%", "acme-1"), ("acme", "25%", "acme-1")]
    assert found["candidates"][0]["patches"] == [{"drop": ["top_p"]}]
    assert [item["channel"] for item in told("explain", "--model", "acme-1", "--key", "vip")["candidates"]] == ["other"]


def test_explain_tells_by_which_routes_and_strategies_channels_are_ordered(specs: Path) -> None:
    usual = {"route": None, "when": {}, "strategies": [{"affinity": {}}, {"priority": {}}]}
    assert told("explain", "--model", "acme-1")["order"] == [usual]
    head = "apiVersion: gatewright/v1\nkind: Route\nmetadata: {name: NAME}\nspec:\n"
    some = "  when: {groups: [vip]}\n  strategies: [{cheapest: {within: 0.1}, when: {stream: true}}, {latency: {}}]\n"
    (specs / "shipped" / "some.yaml").write_text(head.replace("NAME", "some") + some)
    first = {"route": "some", "when": {"groups": ["vip"]}}
    first["strategies"] = [{"cheapest": {"within": 0.1}, "when": {"stream": True}}, {"latency": {}}]
    assert told("explain", "--model", "acme-1")["order"] == [first, usual]
    shown = run("explain", "--model", "acme-1").output
    steps = "cheapest within 0.1 (when stream true), then latency, then by weight"
    assert f'order by the Route some when groups ["vip"]: {steps}' in shown
    assert "else order by no Route: affinity, then priority, then by weight" in shown
    more = "  strategies: [{split: {shares: {other: 1}}}]\n"
    (specs / "shipped" / "zall.yaml").write_text(head.replace("NAME", "zall") + more)
    assert [each["route"] for each in told("explain", "--model", "acme-1")["order"]] == ["some", "zall"]


def test_explain_says_why_nobody_serves_a_model(specs: Path) -> None:
    result = run("explain", "--model", "acme-2")
    assert result.exit_code == 1
    assert "did you mean acme-1?" in result.output
    assert "but not to the group 'x'" in run("explain", "--model", "acme-1", "--key", "x").output


def test_schema_lists_kinds_and_fields() -> None:
    assert run("schema").output.startswith("Format ")
    assert "spec.baseUrl  (text, required)" in run("schema", "provider").output
    assert told("schema", "Provider")["properties"]["kind"]["const"] == "Provider"
    assert run("schema", "Providr").exit_code == 2


def test_filters_lists_filters_and_tells_of_one() -> None:
    assert "lower" in run("filters").output
    (record,) = told("filters", "lower")
    assert record["is"] == "filter"
    assert record["examples"]
    result = run("filters", "lowr")
    assert result.exit_code == 2
    assert "did you mean lower?" in result.output


def test_translate_takes_documents_on_top(specs: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra.yaml"
    extra.write_text(FORMAT.replace("test.chat", "other.chat").replace("path: /chat", "path: /other"), encoding="utf-8")
    arguments = ["--from", "test.chat", "--to", "other.chat", "-"]
    found = told("translate", "--with", str(extra), *arguments, stdin='{"model": "m", "text": "hi"}')
    assert found["steps"][-1] == {"step": "other.chat request", "value": {"model": "m", "text": "hi"}}
    assert "--with" in run("translate", *arguments, stdin="{}").output
