"""A client that a package makes of the served OpenAPI document runs the operator's story, and nothing else is called.

What the generator can't express of the document is a fault of the document.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest
import requests

from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, serving, until

NAME = "generated_client"
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "River"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40},
}
ALIAS = """apiVersion: gatewright/v1
kind: Alias
metadata: {name: story-alias}
spec: {match: story-alias, model: story-model}
"""


class Client:
    """The generated package, signed in with a token: ``client("keys", "create", ...)`` calls an operation."""

    def __init__(self, package: ModuleType, base: str, token: str) -> None:
        self.models: Any = importlib.import_module(f"{NAME}.models")
        self._signed_in = package.AuthenticatedClient(base_url=base, token=token, timeout=PATIENCE)

    def whole(self, module: str, operation: str, /, *path: Any, **more: Any) -> Any:
        """The answer with its status and headers."""
        made = importlib.import_module(f"{NAME}.api.{module}.{module}_{operation}")
        return made.sync_detailed(*path, client=self._signed_in, **more)

    def __call__(self, module: str, operation: str, /, *path: Any, status: int = 200, **more: Any) -> Any:
        answer = self.whole(module, operation, *path, **more)
        assert answer.status_code == status, answer.content
        assert not isinstance(answer.parsed, self.models.Problem), answer.parsed
        return answer.parsed


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    one = Upstream()
    one.script = lambda say: say.whole(ANSWER)
    yield one
    one.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    one = Gateway(
        tmp_path_factory.mktemp("story"),
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
    )
    with serving(one):
        yield one


@pytest.fixture(scope="module")
def client(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Made of the document as it is served; a warning of the generator fails."""
    directory = tmp_path_factory.mktemp("made")
    served = requests.get(f"{gateway.base}/api/v2/openapi.json", timeout=PATIENCE)
    (directory / "openapi.json").write_bytes(served.content)
    (directory / "config.yaml").write_text("post_hooks: []\n")
    told = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"),
            *("--path", str(directory / "openapi.json"), "--output-path", str(directory / NAME)),
            *("--config", str(directory / "config.yaml")),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "arning" not in told.stdout, told.stdout
    headers = gateway.root()
    made = requests.post(f"{gateway.base}/api/v2/me/tokens", json={"name": "story"}, headers=headers, timeout=PATIENCE)
    sys.path.insert(0, str(directory))
    try:
        yield Client(importlib.import_module(NAME), gateway.base, made.json()["token"])
    finally:
        sys.path.remove(str(directory))
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]


def test_the_operators_story(gateway: Gateway, upstream: Upstream, client: Client) -> None:
    models = client.models
    channel = client(
        *("channels", "create"),
        body=models.ChannelNew(
            name="story", type_=1, key="sk-upstream", base_url=upstream.base, models=["story-model"], groups=["default"]
        ),
        idempotency_key="story-1",
        status=201,
    )
    assert client("channels", "create", body=channel_again(models, upstream), idempotency_key="story-1", status=201)
    changed = client.whole("channels", "change", channel.id, body=models.ChannelPatch(remark="x"), if_match="*")
    assert (changed.status_code, changed.parsed.remark) == (HTTPStatus.OK, "x")
    late = client.whole("channels", "change", channel.id, body=models.ChannelPatch(remark="y"), if_match='"old"')
    assert (late.status_code, late.parsed.code) == (HTTPStatus.PRECONDITION_FAILED, "precondition_failed")
    assert [one.name for one in client("channels", "listed", name="story").items] == ["story"]

    key = client("keys", "create", body=models.KeyNew(name="story", unlimited=True), status=201)
    budget = models.BudgetNew(
        holder=models.BudgetNewHolder.KEY,
        holder_id=key.id,
        period=models.BudgetNewPeriod.DAY,
        unit=models.BudgetNewUnit.TOKENS,
        amount=5000,
    )
    client("budgets", "create", body=budget, status=201)

    body = {"model": "story-model", "max_tokens": 10, "messages": [{"role": "user", "content": "River?"}]}
    headers = {"authorization": f"Bearer {key.key}"}
    answer = requests.post(f"{gateway.base}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    until(lambda: client("logs", "listed", model_name="story-model").items)
    (row,) = client("logs", "listed", model_name="story-model").items
    assert (row.prompt_tokens, row.completion_tokens, row.channel_id) == (30, 10, channel.id)
    limits = {one.kind.value: one for one in client("limits", "of_key", key.id).items}
    assert (limits["budget"].used, limits["budget"].left) == (40, 4960)
    assert limits["balance"].resets_at is None

    (entry,) = client("ledger", "entries", token_id=key.id).items
    assert entry.quota == row.quota
    assert client("ledger", "verify").agrees is True
    assert client("reports", "hourly", since=int(time.time()) - 7200).items[-1].calls >= 1

    draft = client("drafts", "create", body=models.DraftNew(name="story", changes=[change(models)]), status=201)
    assert client("drafts", "check", draft.id).ok is True
    assert client("drafts", "plan", draft.id).ok is True
    published = client("drafts", "publish", draft.id)
    assert published.ok is True
    assert client("releases", "listed").items[0].number == published.release
    until(
        lambda: (
            requests.post(
                f"{gateway.base}/v1/chat/completions",
                json={**body, "model": "story-alias"},
                headers=headers,
                timeout=PATIENCE,
            ).status_code
            == 200
        )
    )
    faulty = client(
        "drafts", "create", body=models.DraftNew(name="bad", changes=[change(models, "spec: {}")]), status=201
    )
    refused = client("drafts", "publish", faulty.id, status=422)
    assert (refused.ok, bool(refused.faults)) == (False, True)
    client("drafts", "remove", faulty.id, if_match="*", status=204)
    assert client("releases", "rollback", body=models.BackToNew(number=published.release - 1)).ok is True
    assert client("keys", "delete", key.id, if_match="*", status=204) is None
    assert "PATCH /api/v2/channels/:id" in [one.action for one in client("audit", "listed").items]
    assert client("audit", "verify").whole is True


def channel_again(models: Any, upstream: Upstream) -> Any:
    """The body that the channel was made by."""
    return models.ChannelNew(
        name="story", type_=1, key="sk-upstream", base_url=upstream.base, models=["story-model"], groups=["default"]
    )


def change(models: Any, spec: str = "") -> Any:
    """A document of a draft."""
    text = ALIAS if not spec else ALIAS.partition("spec:")[0] + spec
    return models.DraftNewChangesItem.from_dict({"kind": "Alias", "name": "story-alias", "text": text})
