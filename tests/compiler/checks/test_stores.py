"""Stores of results, and patches that options switch: what can't be meant is told where it stands."""

from __future__ import annotations

import pytest

from engine.compiler import Source, compile_set

_POLICY = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: p}\nspec: {results: %s}\n"
_PATCH = """apiVersion: gatewright/v1
kind: Format
metadata: {name: a}
spec: {endpoints: [{operation: generate, path: /v1/a}]}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: p}
spec: {baseUrl: "https://p.example", formats: {a: {path: /a}}, %s: [{when: 'options.%s', drop: [x]}]}
"""


def faults(text: str) -> list[tuple[str, str, str]]:
    compiled = compile_set([Source("p.yaml", text)], [])
    return [(one.code, one.path, one.message) for one in compiled.faults]


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        ("{keep: films, stores: {films: {directory: films}}}", None),
        ("{keep: films, stores: {films: {url: 'https://s.example/b'}}}", None),
        ("{keep: null}", None),
        ("{keep: film, stores: {films: {directory: films}}}", ("unknown-reference", "spec.results.keep")),
        ("{keep: films, stores: {films: {region: x}}}", ("missing-key", "spec.results.keep")),
        ("{stores: {films: {directory: ../films}}}", ("wrong-value", "spec.results.stores.films.directory")),
        ("{stores: {films: {directory: /films}}}", ("wrong-value", "spec.results.stores.films.directory")),
        ("{stores: {films: {url: 'file:///etc'}}}", ("wrong-value", "spec.results.stores.films.url")),
        ("{stores: {films: {credential: plain}}}", ("bad-secret", "spec.results.stores.films.credential")),
    ],
)
def test_a_store_has_a_place_and_is_known(results: str, fault: tuple[str, str] | None) -> None:
    told = [(code, path) for code, path, _ in faults(_POLICY % results)]
    assert told == ([fault] if fault is not None else [])


@pytest.mark.parametrize(
    ("where", "option", "said"),
    [
        ("requestPatches", "MjModeClearEnabled", ""),
        ("requestPatches", "MjModeClear", "there is no option 'MjModeClear'"),
        ("responsePatches", "MjModeClearEnabled", "options"),
    ],
)
def test_a_patch_of_requests_may_hang_on_an_option(where: str, option: str, said: str) -> None:
    told = [message for _, _, message in faults(_PATCH % (where, option))]
    assert (said == "" and told == []) or any(said in message for message in told), told
