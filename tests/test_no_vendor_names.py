"""The engine names no vendor, product or model: those stand in specs/, so that a new one needs no Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parent.parent / "engine"
NAMES = (
    r"openai|chatgpt|gpt|anthropic|claude|gemini|google|vertex|azure|bedrock|amazon|aws|mistral|deepseek|"
    r"cohere|groq|ollama|openrouter|perplexity|qwen|alibaba|dashscope|moonshot|kimi|zhipu|glm|minimax|"
    r"baidu|ernie|qianfan|doubao|volcengine|siliconflow|llama|meta|xai|grok|huggingface|cerebras|snowflake|"
    r"nvidia|replicate|together|fireworks|hunyuan|tencent|spark|iflytek|baichuan|stepfun|coze|dify|jina|"
    r"suno|midjourney|kling|cloudflare"
)
# Words of the wire or of Python packages that contain such a name and are no vendor's.
ALLOWED = [
    r"google-re2",  # the package's name, where the licence of patterns is told; imported as re2
    r"aws-eventstream",  # the name of a framing, as a document writes it
    r"application/vnd\.amazon\.eventstream",  # that framing's media type
    r"\bmeta(data|_schema)\w*",
    r"\b\w*[._]meta\b",
    r"\bspark(line)s?\b",
    r"\btogether\b",  # the English word
    r"\bmeta\b(?=[\.\[\(:=])",
]
PATTERN = re.compile(rf"(?<![a-z])({NAMES})(?![a-z])", re.IGNORECASE)
FILES = sorted(path for path in ENGINE.rglob("*") if path.suffix in {".py", ".json", ".toml"} and path.is_file())


def vendor_names(text: str) -> list[tuple[int, str]]:
    """Line and name of each vendor in a text."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for allowed in ALLOWED:
            line = re.sub(allowed, "", line)
        found.extend((number, match[0]) for match in PATTERN.finditer(line))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_engine_names_no_vendor(path: Path) -> None:
    assert vendor_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ["# as Claude does", "GPT_4 = 1", "if name == 'openai.chat':", "x_gemini", "gpt-4o"])
def test_the_search_finds_a_vendor(line: str) -> None:
    assert vendor_names(line)


@pytest.mark.parametrize("line", ["metadata: 1", "import re2  # google-re2", "kept together", "awsome", "pattern"])
def test_the_search_lets_plain_words_be(line: str) -> None:
    assert not vendor_names(line)
