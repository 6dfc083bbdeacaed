"""Other products' configurations become documents; what a file says and no document can is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from engine.cli import main
from engine.cli._common import compiled
from engine.cli.explain import explain
from engine.ledger.pricing.book import Book
from engine.moving.proof import errors

NAMED = [
    ("gpt-4o", "openai/gpt-4o"), ("gpt-4o", "azure/gpt-4o-eu"), ("gpt-4o-mini", "gpt-4o-mini"), ("o3", "o3"),
    ("house-large", "openai/gpt-4.1"), ("claude", "anthropic/claude-sonnet-4-5"), ("claude-haiku", "claude-haiku-4-5"),
    ("claude-aws", "bedrock/converse/us.anthropic.claude-sonnet-4-20250514-v1:0"),
    ("gemini-2.5-pro", "gemini/gemini-2.5-pro"),
    ("gemini-flash", "gemini/gemini-2.5-flash"), ("mistral-large-latest", "mistral/mistral-large-latest"),
    ("llama-groq", "groq/llama-3.3-70b-versatile"), ("deepseek-chat", "deepseek/deepseek-chat"),
    ("command-a", "cohere/command-a-03-2025"),
    ("together-llama", "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ("fireworks", "fireworks_ai/accounts/fireworks/models/qwen3-235b-a22b"), ("sonar", "perplexity/sonar"),
    ("router", "openrouter/openai/gpt-4o"), ("local", "ollama/llama3"), ("grok-4", "xai/grok-4"),
    ("vllm", "hosted_vllm/qwen"), ("embed", "openai/text-embedding-3-small"), ("embed-large", "text-embedding-3-large"),
    ("kimi", "moonshot/kimi-k2-0711-preview"), ("qwen-max", "dashscope/qwen-max"), ("whisper", "whisper-1"),
    ("cerebras", "cerebras/llama3.1-8b"), ("nim", "nvidia_nim/meta/llama3-8b-instruct"), ("infra", "deepinfra/x"),
    ("odd", "sagemaker/jumpstart"), ("openai/*", "openai/*"),
]  # fmt: skip

SPOKEN = {"embed": "openai.embeddings", "embed-large": "openai.embeddings", "whisper": "openai.transcriptions"}


def litellm() -> str:
    """Thirty models and what stands beside them, as that product's pages show it."""
    entries = []
    for number, (name, upstream) in enumerate(NAMED):
        params: dict[str, object] = {"model": upstream}
        if upstream.startswith("azure/"):
            params |= {
                "api_base": "https://x.openai.azure.com/",
                "api_key": "os.environ/AZURE_EU",
                "api_version": "2024-10-21",
            }
            params["weight"] = 3
        if upstream.startswith("hosted_vllm"):
            params |= {"api_base": "http://10.0.0.5:8000/v1", "api_key": "none-needed-here"}
        if name == "house-large":
            params |= {"api_key": "sk-literal-key", "rpm": 60, "order": 2}
        info = {"input_cost_per_token": 0.0000025, "output_cost_per_token": 0.00001} if number % 2 else {"mode": "chat"}
        entries.append({"model_name": name, "litellm_params": params, "model_info": info})
    return yaml.safe_dump(
        {
            "model_list": entries,
            "litellm_settings": {"drop_params": True, "num_retries": 4, "fallbacks": [{"gpt-4o": ["claude"]}]},
            "router_settings": {"routing_strategy": "simple-shuffle", "model_group_alias": {"gpt-4": "gpt-4o"}},
            "general_settings": {"master_key": "sk-1234", "database_url": "postgresql://u:p@h/x"},
        },
        sort_keys=False,
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWRIGHT_DATA", str(tmp_path / "data"))

    def call(*words: str):
        return CliRunner().invoke(main, list(words))

    return call


def test_thirty_models_lint_and_explain_the_same(run, tmp_path: Path) -> None:
    text = litellm()
    (tmp_path / "config.yaml").write_text(text)
    told = run("import", "litellm", "config.yaml", "--secrets", "keys")
    assert told.exit_code == 0, told.output
    lines = text.splitlines()

    def line(words: str) -> int:
        return next(number for number, one in enumerate(lines, 1) if words in one)

    for words in (
        f"config.yaml:{line('model_name: odd')}: model 'odd' is left out: no provider is known for 'sagemaker/jump",
        f"config.yaml:{line('openai/*')}: model 'openai/*' is left out: names are listed",
        f"config.yaml:{line('rpm: 60')}: litellm_params.rpm is not carried; give keys a limit",
        f"config.yaml:{line('- claude')}: litellm_settings.fallbacks.gpt-4o is not carried; list the other",
        f"config.yaml:{line('master_key')}: general_settings.master_key is not carried; gatewright key create",
        "config.yaml: keys stand in environment variables; set GATEWRIGHT_SECRET_ENV=ANTHROPIC_API_KEY,AWS_BEARER",
    ):
        assert words in told.output, (words, told.output)
    assert "drop_params" not in told.output
    result = compiled((tmp_path / "imported",))
    assert not errors(result)
    program = result.program()

    def ways(name: str) -> dict[str, tuple[str, str]]:
        caller = program.formats[SPOKEN.get(name, "openai.chat")]
        told = explain(program, name, "default", caller, {"model": name})
        return {way["channel"]: (way["model"], way["odds"]) for way in told["candidates"]}

    for name, upstream in NAMED:
        if "*" not in name and name != "odd":
            assert any(upstream.endswith(model) for model, _ in ways(name).values()), name
    assert {name: odds for name, (_, odds) in ways("gpt-4").items()} == {"openai-1": "25%", "azure-2": "75%"}
    book, usage = Book(program), {"input_fresh": 1000, "input_total": 1000, "output_text": 1000, "output_total": 1000}
    assert book.find("gpt-4o-mini") is not None
    assert book.charge(book.find("claude"), usage, group="default").quota == 6250
    assert (tmp_path / "keys" / "imported").is_dir()
    assert {path.read_text() for path in (tmp_path / "keys" / "imported").iterdir()} == {
        "sk-literal-key",
        "none-needed-here",
    }


PORTKEY = {
    "strategy": {"mode": "fallback", "on_status_codes": [429]},
    "targets": [
        {"provider": "openai", "api_key": "sk-a", "override_params": {"model": "gpt-4o", "temperature": 0}},
        {"provider": "anthropic", "virtual_key": "vk-1", "override_params": {"model": "claude-sonnet-4-5"}},
    ],
    "retry": {"attempts": 2},
}
MODELS = {
    "data": [
        {"id": "vendor/new-model", "name": "New", "context_length": 1000, "architecture": {"modality": "text"},
         "pricing": {"prompt": "0.000003", "completion": "0.000015", "request": "0", "image": "0.001"}},
    ]
}  # fmt: skip


def test_targets_in_their_order_and_a_list_with_prices(run, tmp_path: Path) -> None:
    (tmp_path / "portkey.json").write_text(json.dumps(PORTKEY, indent=1))
    told = run("import", "portkey", "portkey.json", "--output", "a")
    assert told.exit_code == 0, told.output
    assert "override_params.temperature is not carried" in told.output
    assert "virtual_key is not carried; put the key" in told.output
    (routes,) = yaml.safe_load_all((tmp_path / "a" / "routes.yaml").read_text())
    assert [channel.get("priority", 0) for channel in routes["spec"]["channels"]] == [0, -1]
    (tmp_path / "models.json").write_text(json.dumps(MODELS))
    told = run("import", "openrouter", "models.json", "--output", "b")
    assert told.exit_code == 0, told.output
    assert "models.json:1: pricing.image is not carried" in told.output
    (price,) = yaml.safe_load_all((tmp_path / "b" / "prices.yaml").read_text())
    assert price["spec"]["models"] == [{"names": ["vendor/new-model"], "tokens": {"input": 3, "output": 15}}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_list: [\n", "c.yaml:2: "),
        ("- a\n", "c.yaml:1: a map of settings is expected"),
        ("models: []\n", "has no model_list: it is no configuration of LiteLLM"),
        ("model_list: []\n", "has no model_list"),
        ("a: &a [*a]\nmodel_list: [*a]\n", "c.yaml"),
        ("\x00", "c.yaml"),
        ("model_list: [{model_name: m}]\n", "no provider is known"),
        ("model_list: [{litellm_params: {}}, 5, null]\n", "left out: it says no model_name"),
    ],
)
def test_what_is_no_such_file_is_told(run, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    told = run("import", "litellm", "c.yaml")
    assert words in told.output, told.output
    assert "Traceback" not in told.output
    assert run("import", "litellm", "none.yaml").exit_code == 1


@pytest.mark.parametrize(
    ("product", "text", "words"),
    [
        ("litellm", json.dumps(PORTKEY), "has no model_list"),
        ("portkey", "model_list: [{model_name: m, litellm_params: {model: openai/m}}]", "nothing of it can be carried"),
        ("openrouter", '{"models": []}', "has no data"),
        ("portkey", '{"targets": [{"provider": "@a-slug-of-theirs"}]}', "nothing of it can be carried"),
    ],
)
def test_another_products_file_is_refused_and_nothing_is_written(
    run, tmp_path: Path, product: str, text: str, words: str
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    told = run("import", product, "c.yaml")
    assert (told.exit_code, words in told.output) == (1, True), told.output
    assert not (tmp_path / "imported").exists()


def test_nothing_is_written_over(run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(litellm())
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "mine.yaml").write_text("mine")
    told = run("import", "litellm", "c.yaml")
    assert (told.exit_code, "not empty" in told.output) == (1, True)
    assert [path.name for path in (tmp_path / "imported").iterdir()] == ["mine.yaml"]
