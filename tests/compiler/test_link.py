"""Linking: what a set of documents comes to as a Program."""

from __future__ import annotations

import copy
import functools
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from engine.compiler import Result, compile_set
from engine.compiler.documents import load
from engine.compiler.documents.load import Source
from engine.program import Program

FORMAT = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: test.chat}
spec:
  dialect: test
  endpoints:
    - {operation: generate, path: /chat, model: body.model, stream: body.stream}
    - {operation: list_models, path: /models, when: {header: x-test}}
  tables: {roles: {user: human, _: other}}
  fragments:
    turn: {args: [m], do: {role: "{{ m.role | lookup('roles') }}", text: "{{ m.text }}"}}
  request:
    decode:
      model: "{{ body.model }}"
      messages: [{$for: m in body.messages, $do: {$use: turn, $with: {m: "{{ m }}"}}}]
    encode: {model: "{{ request.model }}", heat: "{{ request.sampling.temperature }}"}
    droppable: [seed]
  usage: {at: "{{ body.usage }}", counts: {input: {path: in}}, calls: {search: {path: searches}}, later: add}
  error:
    map:
      - {status: "429", meaning: rate_limit}
      - {status: [5xx, 400], when: body.code == 7, meaning: overloaded}
      - {when: body.error is present, meaning: unknown}
"""
PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
spec:
  baseUrl: https://llm.acme.example/v1
  formats: {test.chat: {path: /chat}}
  models: [acme-1]
  credential: {secretRef: {env: GATEWRIGHT_KEY_ACME}}
  channelTypes: {newApi: [901, 902], oneApi: [77]}
  requestPatches:
    - when: "{{ model | matches('^acme-r') }}"
      drop: [temperature]
      rename: {max_tokens: most}
      default: {x: 1}
      set: {m: "{{ model }}"}
"""
ROUTE = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: main}
spec:
  channels:
    - {name: second, provider: acme, models: [acme-1, acme-2], groups: [vip], priority: 5, weight: 3,
       modelMapping: {acme-2: acme-r2}}
"""
ALIAS = """
apiVersion: gatewright/v1
kind: Alias
metadata: {name: effort}
spec:
  match: "(?P<base>.+)-(?P<level>high|low)"
  except: ["keep-high"]
  model: base
  hub: {reasoning: {effort: "{{ level }}"}}
  wire: {test.chat: {set: {effort: "{{ level }}"}, drop: [old]}}
  priority: 3
"""


def compiled(*texts: str) -> Result:
    result = compile_set([Source(f"{number}.yaml", text) for number, text in enumerate(texts)], [])
    assert not result.faults, [fault.as_text() for fault in result.faults]
    return result


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled(FORMAT, PROVIDER, ROUTE, ALIAS).program()


def test_mappings_run_with_tables_and_fragments(program: Program) -> None:
    decode: Any = program.formats["test.chat"].decode_request
    body = {"model": "m", "messages": [{"role": "user", "text": "hi"}, {"role": "x"}]}
    assert decode([], body, {}, {}, {}, {}) == {
        "model": "m",
        "messages": [{"role": "human", "text": "hi"}, {"role": "other"}],
    }


def test_what_mappings_read_is_known(program: Program) -> None:
    assert program.formats["test.chat"].request_reads == {"model", "messages"}
    assert program.formats["test.chat"].hub_reads == {"model", "sampling.temperature"}


def test_endpoints_get_their_usual_method(program: Program) -> None:
    told = [(item.operation, item.method, item.path) for item in program.endpoints]
    assert told == [("generate", "POST", "/chat"), ("list_models", "GET", "/models")]


def test_marks_of_an_endpoint_are_one_each() -> None:
    marked = FORMAT.replace("when: {header: x-test}", "when: {header: x-test, query: key}")
    endpoint = compiled(marked).program().endpoints[1]
    assert list(endpoint.when) == [("header", "x-test"), ("query", "key")]


def test_error_rules_fit_by_status_class_or_condition(program: Program) -> None:
    rules = program.formats["test.chat"].error.rules

    def meaning(status: int, body: Any) -> str | None:
        rule = rules.find(status, {}, body)
        return rule.meaning if rule else None

    assert meaning(429, {}) == "rate_limit"
    assert meaning(503, {"code": 7}) == "overloaded"
    assert meaning(503, {"code": 8}) is None
    assert meaning(200, {"error": "x"}) == "unknown"


@pytest.mark.parametrize(
    ("when", "members"),
    [
        ("body.error.code == 429 or body.type == 'error'", {"error", "type"}),
        ("body['a.b'] is present", {"a.b"}),
        ("status == 200 and body.oops is present", {"oops"}),
        ("body | length > 1", None),
        ("body.error is present and header['x-kind'] == 'bad'", None),
    ],
)
def test_the_members_on_which_an_error_rule_hangs_are_known(when: str, members: set[str] | None) -> None:
    document = FORMAT.replace("body.code == 7", json.dumps(when))
    rules = compiled(document).program().formats["test.chat"].error.rules.rules
    assert rules[1].members == (None if members is None else frozenset(members))


def test_calls_and_later_of_usage_stand_among_the_counts(program: Program) -> None:
    counts = program.formats["test.chat"].usage.counts
    assert counts == {"input": {"later": "add", "path": "in"}, "calls": {"search": {"path": "searches"}}}


def test_provider_patches_apply_where_their_condition_holds(program: Program) -> None:
    (patch,) = program.providers["acme"].patches
    body = {"temperature": 1, "max_tokens": 5, "x": 2}
    assert not patch.applies("other", body, "test.chat", {}, {}, {})
    assert patch.applies("acme-r1", body, "test.chat", {}, {}, {})
    assert patch.apply([], "acme-r1", body, "test.chat", {}, {}, {}) == {"most": 5, "x": 2, "m": "acme-r1"}


def test_a_provider_with_models_and_credential_is_a_channel_itself(program: Program) -> None:
    own, second = program.channels
    assert (own.name, own.provider, own.models) == ("acme", "acme", ("acme-1",))
    assert own.credential == {"secretRef": {"env": "GATEWRIGHT_KEY_ACME"}}
    assert (second.groups, second.priority, second.weight) == (("vip",), 5, 3)
    assert second.model_mapping == {"acme-2": "acme-r2"}


def test_a_provider_without_credential_is_no_channel_unless_it_needs_none() -> None:
    bare = PROVIDER.replace("  credential: {secretRef: {env: GATEWRIGHT_KEY_ACME}}\n", "")
    assert compiled(FORMAT, bare).program().channels == ()
    free = bare.replace("  models:", "  auth: {scheme: none}\n  models:")
    assert [channel.name for channel in compiled(FORMAT, free).program().channels] == ["acme"]


def test_legacy_channel_types_lead_to_their_provider(program: Program) -> None:
    assert program.legacy == {("newApi", 901): ("acme",), ("newApi", 902): ("acme",), ("oneApi", 77): ("acme",)}


def test_providers_share_a_channel_type_only_where_the_form_of_a_key_decides() -> None:
    other = PROVIDER.replace("name: acme", "name: acme-two").replace("  models:", "  auth: {auth}\n  models:")
    keyed = "{scheme: bearer, key: {parts: [a, b]}}"
    one = PROVIDER.replace("  models:", f"  auth: {keyed}\n  models:")
    result = compiled(FORMAT, one, other.replace("{auth}", "{scheme: bearer, key: {parts: [a]}}"))
    assert result.program().legacy["newApi", 901] == ("acme", "acme-two")
    with pytest.raises(AssertionError, match="channel type 901 is already the provider 'acme'"):
        compiled(FORMAT, one, other.replace("{auth}", "{scheme: bearer}"))


def test_aliases_know_their_groups(program: Program) -> None:
    (alias,) = program.aliases
    groups = alias.match("m-high")
    assert groups == {"base": "m", "level": "high"}
    assert alias.match("keep-high") is None
    assert alias.model(groups) == "m"
    assert alias.hub([], groups, {}) == {"reasoning": {"effort": "high"}}
    assert alias.patch([], "test.chat", groups, {"old": 1}) == {"effort": "high"}


def test_policies_are_merged_in_the_order_of_their_names() -> None:
    first = (
        "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: a}\nspec: {retries: {times: 1}, unpriced: allow}\n"
    )
    second = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: b}\nspec: {retries: {times: 4}}\n"
    assert compiled(second, first).program().policy == {"retries": {"times": 4}, "unpriced": "allow"}


def test_an_abstract_document_is_not_in_the_program() -> None:
    base = PROVIDER.replace("{name: acme}", "{name: base, abstract: true}")
    child = "apiVersion: gatewright/v1\nkind: Provider\nmetadata: {name: child}\n"
    child += "extends: base\nspec: {channelTypes: null}\n"
    assert list(compiled(FORMAT, base, child).program().providers) == ["child"]


def test_the_sample_of_the_language_works() -> None:
    base = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: openai-compatible, abstract: true}
spec: {formats: {test.chat: {path: /chat/completions}}}
"""
    sample = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
extends: openai-compatible
spec:
  baseUrl: https://llm.acme.example/v1
  auth: {scheme: bearer}
  requestPatches:
    - when: "{{ model | matches('^acme-r') }}"
      drop: [temperature, top_p]
      rename: {max_tokens: max_completion_tokens}
"""
    provider = compiled(FORMAT, base, sample).program().providers["acme"]
    (patch,) = provider.patches
    assert provider.formats["test.chat"].path == "/chat/completions"
    assert patch.apply([], "acme-r1", {"top_p": 1, "max_tokens": 5}, "f", {}, {}, {}) == {"max_completion_tokens": 5}


def test_a_child_replaces_a_fragment_whole_and_single_rows_of_tables() -> None:
    child = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: child.chat}
extends: test.chat
spec:
  endpoints: []
  tables: {roles: {user: person}}
  fragments: {turn: {args: [m], do: {who: "{{ m.role | lookup('roles') }}"}}}
"""
    decode: Any = compiled(FORMAT, child).program().formats["child.chat"].decode_request
    body = {"messages": [{"role": "user", "text": "hi"}, {"role": "x"}]}
    assert decode([], body, {}, {}, {}, {}) == {"messages": [{"who": "person"}, {"who": "other"}]}


def test_faults_of_inherited_mappings_stand_where_they_were_written() -> None:
    broken = FORMAT.replace("body.model }}", "body.model | lowr }}")
    child = (
        "apiVersion: gatewright/v1\nkind: Format\nmetadata: {name: child}\nextends: test.chat\nspec: {endpoints: []}\n"
    )
    result = compile_set([Source("parent.yaml", broken), Source("child.yaml", child)], [])
    (fault,) = result.faults
    assert (fault.code, fault.place.file, fault.nearest) == ("unknown-filter", "parent.yaml", "lower")
    assert fault.place.text[fault.place.column - 1 :].startswith("lowr")


def test_two_formats_share_a_route_only_if_one_says_when() -> None:
    other = FORMAT.replace("test.chat", "test.other")
    result = compile_set([Source("a.yaml", FORMAT), Source("b.yaml", other)], [])
    assert [(fault.code, fault.path) for fault in result.faults] == [("duplicate-document", "spec.endpoints[0].path")]


def test_a_channel_type_belongs_to_one_provider() -> None:
    other = PROVIDER.replace("{name: acme}", "{name: other}").replace("902", "903").replace("77", "78")
    result = compile_set([Source("a.yaml", FORMAT), Source("b.yaml", PROVIDER), Source("c.yaml", other)], [])
    assert [fault.path for fault in result.faults] == ["spec.channelTypes.newApi[0]"]


def test_the_same_documents_give_the_same_bytes_and_hash() -> None:
    first, second = compiled(FORMAT, PROVIDER, ALIAS), compiled(ALIAS, PROVIDER, FORMAT)
    assert first.hash == second.hash
    assert first.artefact == second.artefact


def test_the_hash_tells_documents_apart_but_not_their_comments() -> None:
    assert compiled(FORMAT).hash == compiled("# a comment\n" + FORMAT).hash
    assert compiled(FORMAT).hash != compiled(FORMAT.replace("[seed]", "[seeds]")).hash


ODD = [None, 1, "", "{{ x", [], {}, [None], {"a": None}, {"$if": 1}, {"$use": "turn"}, {"$for": 3}, {"": {}}, "(("]


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from spots(item, (*path, key))


@pytest.mark.parametrize("seed", range(8))
def test_a_document_that_is_wrong_anywhere_makes_faults_and_never_a_failure(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        documents = [load.parse(Source("", text))[0][0].data for text in (FORMAT, PROVIDER, ROUTE, ALIAS)]
        document = chance.choice(documents)
        path = chance.choice(list(spots(document)))
        owner = functools.reduce(lambda value, key: value[key], path[:-1], document)
        owner[path[-1]] = copy.deepcopy(chance.choice(ODD))
        result = compile_set([Source(f"{number}", json.dumps(data)) for number, data in enumerate(documents)], [])
        assert result.faults or result.program()
        assert all(fault.as_text() and fault.as_json() for fault in result.faults)


def test_names_that_fold_to_one_identifier_stay_apart() -> None:
    one = "apiVersion: gatewright/v1\nkind: Format\nmetadata: {name: a.b}\nspec: {models: {get: {v: 1}}}\n"
    other = one.replace("a.b", "a_b").replace("v: 1", "v: 2")
    formats = compiled(one, other).program().formats
    found = [formats[name].model_get for name in ("a.b", "a_b")]
    assert [function([], {}, {}) if function else None for function in found] == [{"v": 1}, {"v": 2}]
