"""docs/inventory.md: what each shipped provider does, and by what that was seen; made from documents and tests.

python -m tests.inventory --write | --check. A provider has a live exchange where a scripted service in tests/upstreams
names it (``PROVIDERS``); spec tests are those of its own document and of the formats that it speaks.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from engine import compiler, paths
from engine.program import Program, Provider

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "inventory.md"
_HEAD = """# Inventory of providers

Made by `make docs` from the documents and tests; don't edit by hand. What differs: [providers.md](providers.md).

Live: a scripted service that is strict about its vendor's page stands in `tests/upstreams`, is called through the
gateway, and official SDKs read the answers. Spec tests: those of the document and of its formats. A document that names
no page of its vendor's, or says so itself, is thin.

| provider | endpoints | credential | key | lists | own errors | types | spec tests | live | pages |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
_THIN = re.compile(r"\bthin\b", re.IGNORECASE)
_LINK = re.compile(r"\b(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}/[^\s,;)\"'>]*", re.IGNORECASE)


@dataclass(frozen=True)
class Document:
    """A provider's document as it is written: its comment and its spec."""

    text: str
    spec: dict[str, Any]


@cache
def documents() -> dict[str, Document]:
    """The shipped providers' documents by name."""
    told = {}
    for file in sorted((paths.SPECS / "providers").glob("*.yaml")):
        shared = file.read_text(encoding="utf-8").split("\n---\n")
        for text in shared:
            content = yaml.safe_load(text)
            told[content["metadata"]["name"]] = Document(text, content.get("spec") or {})
    return told


@cache
def program() -> Program:
    """The shipped documents, compiled."""
    sources, shared, _ = compiler.read_set([paths.SPECS])
    return compiler.compile_set(sources, shared).program()


@cache
def tested() -> dict[str, int]:
    """How many spec tests each document has, by its name."""
    counts: dict[str, int] = {}
    for file in sorted(paths.SPECS.rglob("*.yaml")):
        for content in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            counts[content["metadata"]["name"]] = len(content.get("tests") or ())
    return counts


@cache
def live() -> frozenset[str]:
    """The providers that scripted services stand for."""
    names: set[str] = set()
    for file in (ROOT / "tests" / "upstreams").glob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["PROVIDERS"]:
                names |= set(ast.literal_eval(node.value))
    return frozenset(names)


def endpoints(provider: Provider) -> str:
    """What can be asked of it, by its formats; native forms of chat by name."""
    spoken = [program().formats[name] for name in provider.formats]
    told = [
        one.name if one.kind == "conversation" else (one.hub_format or one.name).removeprefix("openai.")
        for one in spoken
    ]
    return ", ".join(dict.fromkeys(told))


def key_form(form: dict[str, Any]) -> str:
    """What a key consists of."""
    return "JSON" if form.get("json") else (form.get("separator") or "|").join(form.get("parts") or ["one"])


def row(name: str) -> str:
    """A provider's line."""
    provider, document = program().providers[name], documents()[name]
    types = [f"{numbering} {number}" for (numbering, number), names in program().legacy.items() if name in names]
    auth, form = provider.auth, provider.auth.get("key") or {}
    scheme = "token by exchange" if "exchange" in auth else str(auth.get("scheme"))
    said = "\n".join(line for line in document.text.splitlines() if line.lstrip().startswith("#"))
    pages = _LINK.findall(said)
    thin = _THIN.search(document.text) is not None or not pages
    lists = [word for word, at in (("models", "path"), ("balance", "balance")) if provider.discover.get(at)]
    cells = (
        f"`{name}`",
        endpoints(provider),
        scheme,
        key_form(form).replace("|", "\\|"),
        ", ".join(lists) or "-",
        "yes" if document.spec.get("errors") or document.spec.get("errorBody") else "of its formats",
        ", ".join(types) or "-",
        str(tested().get(name, 0) + sum(tested().get(one, 0) for one in provider.formats)),
        "yes" if name in live() else "-",
        "thin" if thin else str(len(pages)),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def page() -> str:
    """The page."""
    names = sorted(name for name in documents() if name in program().providers)
    shown = sum(name in live() for name in names)
    tail = f"\n{len(names)} providers; {shown} with a live exchange.\n"
    return _HEAD + "".join(map(row, names)) + tail


def main() -> None:
    """Write the page, or say that it is out of date."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE.relative_to(ROOT)} is out of date: run `make docs`")


if __name__ == "__main__":
    main()
