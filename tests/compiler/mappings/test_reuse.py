"""An edit compiles the documents that it touches, and the set is what a compile from nothing would give."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Iterator
from typing import Any

import pytest

from engine.compiler import Source, compile_set, spectests
from engine.compiler.documents import load, parsed
from engine.compiler.mappings import reuse

PATCHED = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: {name}}}
spec:
  baseUrl: https://{name}.example
  formats: {{said: {{path: /say}}}}
  auth: {{scheme: none}}
  requestPatches: [{{when: "{{{{ model == '{model}' }}}}", set: {{by: "{{{{ '{by}' }}}}"}}}}]
"""
FORMAT = """
apiVersion: gatewright/v1
kind: Format
metadata: {{name: {name}}}
{extends}
spec:
  fragments: {{shout: {{args: [words], do: {{loud: "{{{{ words | upper }}}}", by: "{by}"}}}}}}
  request: {{encode: {{say: {{$use: shout, $with: {{words: "{{{{ (request.messages | last).parts | text }}}}"}}}}}}}}
tests:
  - name: the last thing said goes up
    mapping: request.encode
    input: {{request: {{messages: [{{role: user, parts: [{{type: text, text: hi}}]}}]}}}}
    expect: {{say: {{loud: HI, by: "{by}"}}}}
"""


def said(by: str = "us", name: str = "said", extends: str = "") -> Source:
    return Source(f"{name}.yaml", FORMAT.format(name=name, by=by, extends=f"extends: {extends}" if extends else ""))


def patched(name: str, model: str = "m", by: str = "us") -> Source:
    return Source(f"{name}.yaml", PATCHED.format(name=name, model=model, by=by))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    reuse.LAST.clear()
    parsed.KEPT.clear()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the documents that were compiled since it was last cleared."""
    titles: list[str] = []
    real = reuse.compile_definition

    def noting(definition: Any, *more: Any) -> Any:
        titles.append(definition.title)
        return real(definition, *more)

    monkeypatch.setattr(reuse, "compile_definition", noting)
    return titles


def behaviour(sources: list[Source]) -> dict[str, Any]:
    """What each provider's patch does, and how the documents' own tests come out."""
    result = compile_set(sources, [])
    assert not result.faults, [fault.as_text() for fault in result.faults]
    program = result.program()
    patches = {
        name: [provider.patches[0].applies(model, {}, "said", {}, {}, {}) for model in ("m", "n")]
        + [provider.patches[0].apply([], "m", {}, "said", {}, {}, {})]
        for name, provider in program.providers.items()
    }
    return {"patches": patches, "tests": [item.ok for item in spectests.run(result)], "hash": result.hash}


CHILD = Source("low.yaml", "{apiVersion: gatewright/v1, kind: Format, metadata: {name: low}, extends: said, spec: {}}")


def test_only_the_edited_document_and_its_children_are_compiled(compiled: list[str]) -> None:
    compile_set([said(), said("us", "other"), CHILD, patched("a"), patched("b", "n", "me")], [])
    assert len(compiled) == 5
    compiled.clear()
    compile_set([said(), said("us", "other"), CHILD, patched("a", "z"), patched("b", "n", "me")], [])
    assert compiled == ["Provider/a"]
    compiled.clear()
    compile_set([said("me"), said("us", "other"), CHILD, patched("a", "z"), patched("b", "n", "me")], [])
    assert compiled == ["Format/low", "Format/said"]


def test_a_function_that_another_document_owned_does_not_go_with_it(compiled: list[str]) -> None:
    both = behaviour([said(), patched("a"), patched("b")])
    compiled.clear()
    alone = behaviour([said(), patched("b")])
    assert compiled == ["Provider/b"], "its functions were those of a, which is gone"
    assert alone["patches"]["b"] == both["patches"]["b"]
    assert behaviour([said(), patched("a", "n"), patched("b")])["patches"]["b"] == both["patches"]["b"]


def test_a_changed_shared_fragment_compiles_what_may_use_it() -> None:
    uses = Source(
        "said.yaml", FORMAT.format(name="said", by="us", extends="").replace("fragments: {shout:", "tables: {x:")
    )
    uses = Source(
        "said.yaml", uses.text.replace('{args: [words], do: {loud: "{{ words | upper }}", by: "us"}}', "{a: b}")
    )
    shared = "shout: {args: [words], do: {loud: '{{ words | upper }}', by: us}}"
    first = compile_set([uses], [Source("f.yaml", shared)])
    assert [item.ok for item in spectests.run(first)] == [True]
    second = compile_set([uses], [Source("f.yaml", shared.replace("by: us", "by: them"))])
    assert [item.ok for item in spectests.run(second)] == [False]


def test_faults_of_an_untouched_document_are_told_again() -> None:
    wrong = Source("w.yaml", patched("w").text.replace("model ==", "modle =="))
    for by in ("us", "me"):
        (fault,) = compile_set([said(), wrong, patched("a", by=by)], []).faults
        assert fault.nearest == "model"
        assert fault.place.file == "w.yaml"


def test_compiling_leaves_what_was_read_as_it_was() -> None:
    sources = [said(), said("child", "low", "said"), patched("a")]
    compile_set(sources, [])
    kept = {source: copy.deepcopy([document.data for document in parsed.KEPT[source][0]]) for source in sources}
    compile_set(sources, [])
    fresh = {source: [document.data for document in load.parse(source)[0]] for source in sources}
    assert kept == fresh
    assert {source: [document.data for document in parsed.KEPT[source][0]] for source in sources} == fresh


@pytest.mark.parametrize("seed", range(5))
def test_any_edits_give_what_a_compile_from_nothing_gives(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        sources = [said(chance.choice(["us", "me"])), said(chance.choice(["us", "me"]), "low", "said")]
        for name in "abcd":
            if chance.random() < 0.7:
                sources.append(patched(name, chance.choice("mn"), chance.choice(["us", "me"])))
        step = behaviour(sources)
        kept = dict(reuse.LAST), dict(parsed.KEPT)
        if seed % 2:  # as another process takes it up
            kept = pickle.loads(pickle.dumps(kept))
        forget()
        assert step == behaviour(sources)
        forget()
        reuse.LAST.update(kept[0])
        parsed.KEPT.update(kept[1])
