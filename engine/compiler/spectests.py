"""Spec tests: the tests that documents carry, run against the compiled program.

Takes a compiled Result; gives one record per test, with a difference that shows where the results part. Knows what the
fields of a test mean; the mapping, the way through the hub and the comparison are others'.
"""

from __future__ import annotations

import dataclasses
import marshal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.compiler import Result
from engine.compiler.comparison import difference
from engine.compiler.diagnostics import Fault, Place, nearest, path_text
from engine.compiler.documents.sets import Definition
from engine.compiler.mappings.document import Compiled
from engine.compiler.translation import WireMessage, assemble, translate
from engine.errors import GatewrightError
from engine.hub import usage
from engine.program import Format, Program
from engine.program.refused import refused

Report = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One test. ``difference`` says what was expected and what came, and where; it is empty if the test passed."""

    document: str
    name: str
    ok: bool
    difference: str
    place: Place

    def as_json(self) -> dict[str, Any]:
        """The record as plain data."""
        return {
            "document": self.document,
            "name": self.name,
            "ok": self.ok,
            "difference": self.difference,
            "file": self.place.file,
            "line": self.place.line,
        }


class TestError(GatewrightError):
    """A test that can't be run as it is written."""

    __test__ = False


def run(
    result: Result,
    wanted: Callable[[Definition], bool] | None = None,
    words: str | None = None,
) -> list[TestOutcome]:
    """Every test of the documents that are wanted (all if left out), or those with these words in their title."""
    under = _Tested(result)
    outcomes: list[TestOutcome] = []
    for definition in result.documents:
        if definition.abstract or (wanted is not None and not wanted(definition)):
            continue
        outcomes += _document(definition, under, words or "")
    return outcomes


def faults(result: Result) -> list[Fault]:
    """The tests that fail, as faults of the set: a release whose tests fail can't be activated."""
    return failed(run(result))


def failed(outcomes: Iterable[TestOutcome]) -> list[Fault]:
    """Those that failed, as faults."""
    return [
        Fault("test-failed", f"the test {item.name!r} fails:\n{item.difference}", item.place, document=item.document)
        for item in outcomes
        if not item.ok
    ]


def outputs(samples: Result, by: Result) -> dict[tuple[str, str], Any]:
    """What the tests of one set give when they are run by another, by document and test; errors as their text.

    Documents that the other set has not are left out.
    """
    under = _Tested(by)
    values: dict[tuple[str, str], Any] = {}
    for definition in samples.documents:
        there = by.documents.get(definition.kind, definition.name)
        if definition.abstract or there is None or there.abstract:
            continue
        for test in definition.chain[0].data.get("tests") or ():
            values[definition.title, test["name"]] = _Runner(there, under, test).output()
    return values


class _Tested:
    """A set whose tests are run. PERF: what all of its tests ask for is made once."""

    def __init__(self, result: Result) -> None:
        self.program: Program = result.program()
        self.options: dict[str, Any] = self.program.told({})
        """The console's, of which none is set."""
        self._compiled = result.linked.compiled
        self._mappings: dict[str, dict[str, Compiled]] = {}

    def mappings(self, title: str) -> dict[str, Compiled]:
        """The mappings of a document, by their paths."""
        if title not in self._mappings:
            self._mappings[title] = {path_text(path[1:]): item for path, item in self._compiled[title].items()}
        return self._mappings[title]


def _document(definition: Definition, under: _Tested, words: str) -> Iterator[TestOutcome]:
    own = definition.chain[0]
    for index, test in enumerate(own.data.get("tests") or ()):
        if words not in f"{definition.title} {test['name']}":
            continue
        place = own.where(("tests", index))
        runner = _Runner(definition, under, test)
        failure = runner.outcome()
        yield TestOutcome(definition.title, test["name"], failure is None, failure or "", place)


class _Runner:
    """One test of one document."""

    def __init__(self, definition: Definition, under: _Tested, test: dict[str, Any]) -> None:
        self.definition = definition
        self.program = under.program
        self.options = dict(under.options)
        self._mappings = under.mappings
        self.test = marshal.loads(marshal.dumps(test))  # noqa: S302 - our own copy; PERF: a tenth of deepcopy
        self.report: Report = []

    def outcome(self) -> str | None:
        """What is wrong, or None."""
        wanted = self.test.get("expectError")
        try:
            value = self._value()
        except TestError as error:
            return str(error)
        except (GatewrightError, ValueError) as error:
            if wanted is None:
                return f"it raised {type(error).__name__}: {error}"
            return None if wanted in str(error) else f"expected an error with {wanted!r}\ngot: {error}"
        except Exception as error:  # a mapping that makes the engine fail must not end the other tests
            return f"the engine failed: {type(error).__name__}: {error}"
        if wanted is not None:
            return f"expected an error with {wanted!r}, but there was a result"
        return self._compare(value)

    def output(self) -> Any:
        """What comes, whatever was expected."""
        try:
            return self._value()
        except Exception as error:  # a mapping that makes the engine fail is an output as well
            return f"{type(error).__name__}: {error}"

    def _compare(self, value: Any) -> str | None:
        if "expect" in self.test:
            failure = difference(self.test["expect"], value)
            if failure:
                return failure
        if "expectPart" in self.test:
            failure = difference(self.test["expectPart"], value, partly=True)
            if failure:
                return failure
        paths = [path for path, _ in self.report]
        missing = [path for path in self.test.get("expectReport", ()) if path not in paths]
        if missing:
            return f"the loss report does not name {', '.join(missing)}; it names {', '.join(paths) or 'nothing'}"
        if not {"expect", "expectPart", "expectReport"} & set(self.test):
            return "the test expects nothing; write expect, expectPart, expectReport or expectError"
        return None

    def _value(self) -> Any:
        test = self.test
        if "mapping" in test:
            return self._mapping(test["mapping"])
        if "translate" in test:
            return self._translated(test["translate"])
        if test.get("stream"):
            return self._streamed()
        if test.get("usage"):
            return self._usage()
        if test.get("error"):
            return self._error()
        if "alias" in test:
            return self._alias(test["alias"])
        raise TestError("the test says neither mapping, translate, stream, usage, error nor alias")

    def _mapping(self, name: str) -> Any:
        mappings = self._mappings(self.definition.title)
        item = mappings.get(name)
        if item is None:
            near = nearest(name, mappings)
            raise TestError(
                f"there is no mapping {name!r} in this document" + (f"; did you mean {near}?" if near else "")
            )
        inputs = self.test.get("input", {})
        inputs = inputs if isinstance(inputs, dict) else {}
        strange = sorted(set(inputs) - set(item.variables))
        if strange:
            takes = ", ".join(item.variables)
            raise TestError(f"{name} has no variable {', '.join(strange)}; it takes {takes}")
        values = {"request": self.test.get("request"), "ctx": self.test.get("ctx", {})} | inputs
        values["ctx"] = self._described(values["ctx"])
        values.setdefault("options", self.options)
        values.setdefault("traits", self.program.models.traits(str(values.get("model") or "")))
        arguments = [values.get(variable) for variable in item.variables]
        return self.program.functions[item.name](self.report, *arguments)

    def _described(self, ctx: Any) -> Any:
        """``ctx`` with the traits of its model and the options, as calls have it."""
        return (
            {"traits": self.program.models.traits(str(ctx.get("model") or "")), "options": self.options, **ctx}
            if isinstance(ctx, dict)
            else ctx
        )

    def _translated(self, how: dict[str, Any]) -> Any:
        what = how.get("what", "request")
        done = translate(self.program, how["from"], how["to"], what, self._message())
        self.report = done.report
        return done.result

    def _message(self) -> WireMessage:
        test = self.test
        return WireMessage(test.get("input"), request=test.get("request", {}), ctx=test.get("ctx", {}))

    def _streamed(self) -> Any:
        done = assemble(self.program, self.definition.name, self._message())
        self.report = done.report
        return done.result

    def _usage(self) -> Any:
        rules = self.program.formats[self.definition.name].usage
        body = self.test.get("input")
        model, header = str((self.test.get("ctx") or {}).get("model") or ""), self.test.get("header") or {}
        counts = rules.at([], body, model, header) if rules.at else None
        return usage.normalise(counts, rules.counts, None)

    def _error(self) -> Any:
        answer = self.test.get("input", {})
        status, header, body = answer.get("status", 200), answer.get("header", {}), answer.get("body")
        spoken = self._spoken()
        maps, decode = [spoken.error.rules], spoken.error.decode
        if self.definition.kind == "Provider":
            provider = self.program.providers[self.definition.name]
            maps.insert(0, provider.error_rules)
            decode = provider.error_body or decode
        verdict = refused(maps, decode, status, header, body)
        return {"meaning": None} if verdict is None else {key: verdict[0][key] for key in verdict[0] if key != "status"}

    def _spoken(self) -> Format:
        """The format itself; of a provider, the first that it speaks."""
        if self.definition.kind == "Provider":
            return self.program.formats[next(iter(self.program.providers[self.definition.name].formats))]
        return self.program.formats[self.definition.name]

    def _alias(self, model: str) -> Any:
        plain = next(item for item in self.program.aliases if item.name == self.definition.name)
        alias = dataclasses.replace(plain, options=self.options)
        groups = alias.match(model)
        if groups is None:
            return {"matches": False}
        outcome: dict[str, Any] = {"model": alias.model(groups)}
        if alias.listed_function is not None:
            outcome["listed"] = alias.listed(groups)
        hub = alias.hub(self.report, groups, self.test.get("request", {}))
        if hub is not None:
            outcome["hub"] = hub
        bodies = self.test.get("input")
        if isinstance(bodies, dict):
            outcome["wire"] = {name: alias.patch(self.report, name, groups, body) for name, body in bodies.items()}
        return outcome
