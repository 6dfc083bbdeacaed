"""Files and batches where addresses have a version in the query and paths no /v1; and what the service refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
import requests

from tests.kinds.task.site import Site
from tests.support import PATIENCE
from tests.upstreams import azure
from tests.upstreams.tasks import Vendor

# A token in is a unit, one out four; half of it in a batch.
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: r}
spec:
  channels:
    - name: azure
      provider: azure
      baseUrl: "{base}"
      models: [m]
      modelMapping: {m: deployed}
      credential: {secretRef: {env: GATEWRIGHT_KEY_AZ}}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec:
  models:
    - names: [m]
      tokens: {input: 2, output: 8}
      adjust: [{name: half, when: "usage.raw.service_tier == 'batch'", factor: 0.5}]
"""


@pytest.fixture(scope="module")
def resource() -> Iterator[azure.Azure]:
    made = azure.Azure()
    yield made
    made.upstream.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, resource: azure.Azure) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWRIGHT_KEY_AZ", azure.KEY)
        made = Site(tmp_path_factory.mktemp("azure"), DOCUMENTS, cast(Vendor, resource.upstream))
        yield made
        made.close()


def test_a_batch_goes_up_with_its_own_paths_and_is_charged_by_its_answers(site: Site, resource: azure.Azure) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    before = site.spent()[0]
    with openai.OpenAI(api_key=site.other, base_url=f"{site.base}/v1", max_retries=0) as client:
        file = client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert (resource.lines[0]["url"], resource.lines[0]["body"]["model"]) == ("/chat/completions", "deployed")
        assert resource.endpoint == "/chat/completions"
        assert site.spent()[0] > before
        resource.status = "completed"
        site.follow()
        assert client.batches.retrieve(batch.id).status == "completed"
    assert site.spent()[0] - before == (100 + 10 * 4) // 2
    assert {one.path.partition("?")[2] for one in resource.upstream.got} == {f"api-version={azure.VERSION}"}


WELL = {"input_file_id": "file-in", "completion_window": "24h", "endpoint": "/chat/completions"}
V = f"?api-version={azure.VERSION}"
REFUSED: dict[str, tuple[str, Any, int]] = {
    "no key": (f"/openai/batches{V}", None, 401),
    "no version": ("/openai/batches", WELL, 404),
    "another version": ("/openai/batches?api-version=2020-01-01", WELL, 404),
    "OpenAI's path": (f"/v1/batches{V}", WELL, 404),
    "no JSON": (f"/openai/batches{V}", "{", 400),
    "an unknown file": (f"/openai/batches{V}", {**WELL, "input_file_id": "file-x"}, 404),
    "another window": (f"/openai/batches{V}", {**WELL, "completion_window": "1h"}, 400),
    "an endpoint with /v1": (f"/openai/batches{V}", {**WELL, "endpoint": "/v1/chat/completions"}, 400),
    "another endpoint than the lines": (f"/openai/batches{V}", {**WELL, "endpoint": "/embeddings"}, 400),
    "a file that is no form": (f"/openai/files{V}", {}, 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_service_refuses(resource: azure.Azure, case: str) -> None:
    path, body, status = REFUSED[case]
    resource.lines = [{"custom_id": "a", "url": "/chat/completions"}]
    headers = {} if body is None else {"api-key": azure.KEY}
    data = {"data": body} if isinstance(body, str) else {"json": body}
    assert requests.post(resource.upstream.base + path, headers=headers, timeout=PATIENCE, **data).status_code == status
