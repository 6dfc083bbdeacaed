"""Ready texts that use a key in the clients that people have. ``KEY`` stands for the key: a page shows it masked.

Sources: the environment variables and settings that each client's own documentation names.
"""

from __future__ import annotations

KEY = "\x00"


def of(origin: str, masked: str, model: str) -> list[tuple[str, str, str, str]]:
    """Name of a client, the text as shown, and what stands before and after the key in the copy."""
    return [_cut(name, text.format(origin=origin, key=KEY, model=model), masked) for name, text in _CLIENTS]


def _cut(name: str, text: str, masked: str) -> tuple[str, str, str, str]:
    before, _, after = text.partition(KEY)
    return name, text.replace(KEY, masked), before, after


_CLIENTS = (
    (
        "Claude Code",
        "export ANTHROPIC_BASE_URL={origin}\nexport ANTHROPIC_AUTH_TOKEN={key}\nclaude --model {model}",
    ),
    (
        "Codex",
        "export OPENAI_BASE_URL={origin}/v1\nexport OPENAI_API_KEY={key}\ncodex --model {model}",
    ),
    (
        "Gemini CLI",
        "export GOOGLE_GEMINI_BASE_URL={origin}\nexport GEMINI_API_KEY={key}\ngemini --model {model}",
    ),
    ("Cherry Studio", "API host: {origin}\nAPI key: {key}\nModel: {model}"),
    ("NextChat", "BASE_URL={origin}\nOPENAI_API_KEY={key}\nCUSTOM_MODELS=+{model}"),
    ("LobeChat", "OPENAI_PROXY_URL={origin}/v1\nOPENAI_API_KEY={key}\nOPENAI_MODEL_LIST=+{model}"),
    (
        "OpenAI SDK",
        'from openai import OpenAI\n\nclient = OpenAI(base_url="{origin}/v1", api_key="{key}")\n'
        'answer = client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "Hello"}}])\n'
        "print(answer.choices[0].message.content)",
    ),
    (
        "curl",
        'curl {origin}/v1/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        '  -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}\'',
    ),
)
