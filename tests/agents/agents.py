"""How each agent is pointed at a gateway and told to do one thing without asking back.

An agent gets a home of its own, a working directory, the gateway's address, a key and a model; it gives the command to
run and the environment to run it in. Nothing here knows what the answer should be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where an agent runs and whom it calls."""

    home: Path
    base: str
    key: str
    model: str


@dataclass(frozen=True)
class Agent:
    """``prepare`` writes what the agent reads at start and returns its environment; ``command`` is one run of it."""

    name: str
    command: Callable[[Place, str], list[str]]
    prepare: Callable[[Place], dict[str, str]]


def _claude(place: Place) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": place.base,
        "ANTHROPIC_AUTH_TOKEN": place.key,
        "ANTHROPIC_MODEL": place.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": place.model,  # for titles and other small work
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _codex(place: Place) -> dict[str, str]:
    directory = place.home / ".codex"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(
        f'model = "{place.model}"\n'
        'model_provider = "gw"\n'
        "[model_providers.gw]\n"
        'name = "Gateway"\n'
        f'base_url = "{place.base}/v1"\n'
        'env_key = "GW_KEY"\n'
        'wire_api = "responses"\n'
        "[features]\n"
        "enable_request_compression = true\n",
        encoding="utf-8",
    )
    return {"GW_KEY": place.key}


def _gemini(place: Place) -> dict[str, str]:
    directory = place.home / ".gemini"
    directory.mkdir(parents=True)
    wanted = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (directory / "settings.json").write_text(json.dumps(wanted), encoding="utf-8")
    return {
        "GEMINI_API_KEY": place.key,
        "GOOGLE_GEMINI_BASE_URL": place.base,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }


AGENTS = (
    Agent("claude", lambda place, prompt: ["claude", "-p", prompt], _claude),
    Agent("codex", lambda place, prompt: ["codex", "exec", "--skip-git-repo-check", prompt], _codex),
    Agent("gemini", lambda place, prompt: ["gemini", "-p", prompt, "-m", place.model], _gemini),
)
_KEPT = ("LANG", "LC_ALL", "TZ", "TERM")


def environment(agent: Agent, place: Place, binaries: Path) -> dict[str, str]:
    """All that the agent sees of this machine's environment."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join([str(binaries), os.environ.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "HOME": str(place.home), "NO_COLOR": "1", **agent.prepare(place)}
