"""What the console writes for a new document compiles as it stands."""

from __future__ import annotations

import pytest

from admin.curl import provider_of
from admin.pages.specs.documents import _TEMPLATES
from engine import paths
from engine.compiler import Source, compile_set, read_set
from engine.compiler.diagnostics import has_errors
from engine.errors import Invalid

HEADERS = {
    "/chat/completions": "Authorization: Bearer k",
    "/responses": "Authorization: Bearer k",
    "/messages": "x-api-key: k",
}


def test_templates_and_curl_lines_are_documents_without_faults() -> None:
    """All of them in one compile."""
    documents = [(kind, f"begun-{kind.lower()}", body) for kind, body in _TEMPLATES.items()]
    for end, header in HEADERS.items():
        line = f"curl https://llm.example.com/v1{end} -H '{header}' \\\n -d '{{\"model\": \"m-{end[1:5]}\"}}'"
        body, name = provider_of(line, "")
        assert name == "example"
        documents.append(("Provider", f"curl-{end[1:5]}", body))
    sources, shared, _ = read_set([paths.SPECS])
    for kind, name, body in documents:
        head = f"apiVersion: gatewright/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        sources.append(Source(f"{name}.yaml", head + body, 1))
    result = compile_set(sources, shared)
    assert not has_errors(result.faults), [fault.as_log() for fault in result.faults]


@pytest.mark.parametrize("line", ["", "curl 'https://x", "curl -d {}", "curl https://llm.example.com/v1/other"])
def test_a_line_that_is_none_is_told(line: str) -> None:
    """With the field at fault."""
    with pytest.raises(Invalid) as told:
        provider_of(line, "")
    assert told.value.field == "curl"
