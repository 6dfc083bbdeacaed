"""Batches: held while they run, set right once by what their answers used; the official SDKs, two accounts, two keys.

Prices: two dollars a million tokens in (a token is a unit of quota), eight out (four units), half of it in a batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from engine.accounts.keys import create_key
from engine.ledger import proof
from tests.kinds.kept.test_kept import DOCUMENTS, Accounts, line, sdk
from tests.kinds.task.site import Site
from tests.upstreams.tasks import Vendor

HALF = DOCUMENTS.replace(
    "tokens: {input: 2, output: 8}",
    "tokens: {input: 2, output: 8}, adjust: [{name: half, when: \"usage.raw.service_tier == 'batch'\", factor: 0.5}]",
)
"""The price of what is asked for in a batch."""


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("one", "two", "claude"):
            patch.setenv(f"GATEWRIGHT_KEY_{name.upper()}", f"k-{name}")
        made = Site(tmp_path_factory.mktemp("batches"), HALF, vendor)
        yield made
        made.close()


@pytest.fixture
def accounts(vendor: Vendor) -> Iterator[Accounts]:
    made = Accounts()
    vendor.answer = made.answer
    yield made
    assert vendor.faults == []


def chat(sent: int, told: int, cached: int = 0) -> dict[str, Any]:
    usage = {"prompt_tokens": sent, "completion_tokens": told, "total_tokens": sent + told}
    return {"id": "c", "choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": cached}}}


def begin(client: openai.OpenAI, data: bytes, endpoint: Any = "/v1/chat/completions") -> Any:
    file = client.files.create(file=("b.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


def spent(site: Site) -> int:
    """What the user has used, by all of its keys."""
    ((used,),) = site.sql(f"SELECT used_quota FROM users WHERE id = {site.user}")
    return int(used)


def vendors(store: Any) -> str:
    """The vendor's id of the newest batch."""
    return list(store.batches)[-1]


# What the answers used, and what it costs by hand: (input + 4 * output) / 2 units.
PRICED = [
    ([chat(1, 1)], 3),  # 2.5, rounded
    ([chat(100_000, 20_000), chat(300_000, 5_000)], (400_000 + 100_000) // 2),
    ([chat(7, 0), chat(0, 0), {"error": "no usage"}], 4),  # 3.5, rounded
    ([], 0),
]


@pytest.mark.parametrize(("answers", "quota"), PRICED)
def test_a_batch_is_held_while_it_runs_and_costs_what_it_used_by_hand(
    site: Site, accounts: Accounts, answers: list[dict[str, Any]], quota: int
) -> None:
    before = spent(site)
    data = line("m-one", max_tokens=5) + line("m-one", max_tokens=100_000)
    with sdk(site, site.other) as client:
        batch = begin(client, data)
        assert batch.status == "validating"
        assert batch.id.startswith("batch_")
        tokens = sum(len(one) // 4 + 1 for one in data.splitlines())
        held = -(-tokens // 2) + 4 * -(-(5 + 1024) // 2)  # two of middling size, each at half the price
        assert spent(site) - before == held, "what it may use, as the Policy bounds it"
        site.follow()
        assert client.batches.retrieve(batch.id).status == "validating"
        accounts.one.end(vendors(accounts.one), answers)
        site.follow()
        site.follow()
        done = client.batches.retrieve(batch.id)
        assert (done.status, done.id) == ("completed", batch.id)
        if answers:
            told = client.files.content(str(done.output_file_id)).text.splitlines()
            assert [json.loads(one)["response"]["body"] for one in told] == answers
            assert done.output_file_id in [one.id for one in client.files.list(purpose="batch_output")]
    assert spent(site) - before == quota
    found = proof.verify(site.db, site.db, site.parts.services.settings.data / "journal")
    assert found.differences == []


def test_a_batch_goes_to_the_channel_of_its_file_and_is_its_keys_own(site: Site, accounts: Accounts) -> None:
    made: Any = create_key(site.db, site.user, "k2", quota=10_000_000)
    with sdk(site, site.other) as mine, sdk(site, made.key if hasattr(made, "key") else made.secret) as other:
        file = mine.files.create(file=("b.jsonl", line("m-two")), purpose="batch")
        wanted: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        for name in (file.id, "file-nobodys"):
            with pytest.raises(openai.NotFoundError) as ex:
                other.batches.create(input_file_id=name, **wanted)
            assert ex.value.body["param"] == "input_file_id"  # type: ignore[index]
        batch = mine.batches.create(input_file_id=file.id, metadata={"a": "b"}, **wanted)
        assert (len(accounts.two.batches), accounts.one.batches) == (1, {})
        assert batch.metadata == {"a": "b"}
        for ask in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                ask(batch.id)
        assert list(other.batches.list()) == []
        assert batch.id in [one.id for one in mine.batches.list(limit=1)]
        with pytest.raises(openai.NotFoundError):
            mine.batches.retrieve("batch_nobodys")
        accounts.two.end(vendors(accounts.two), [])
        site.follow()


def test_a_cancelled_batch_costs_what_was_answered_and_a_failed_one_nothing(site: Site, accounts: Accounts) -> None:
    with sdk(site, site.other) as client:
        before = spent(site)
        batch = begin(client, line("m-one"))
        assert client.batches.cancel(batch.id).status == "cancelling"
        accounts.one.end(vendors(accounts.one), [chat(10, 5)], "cancelled")
        site.follow()
        assert client.batches.retrieve(batch.id).status == "cancelled"
        assert spent(site) - before == (10 + 20) // 2
        with pytest.raises(openai.BadRequestError, match="has ended"):
            client.batches.cancel(batch.id)
        before = spent(site)
        failed = begin(client, line("m-one"))
        errors = {"object": "list", "data": [{"code": "bad_line", "message": "line 1 is wrong", "line": 1}]}
        accounts.one.batches[vendors(accounts.one)] |= {"status": "failed", "errors": errors}
        site.follow()
        told = client.batches.retrieve(failed.id)
        assert told.status == "failed"
        assert told.errors is not None
        assert told.errors.data is not None
        assert told.errors.data[0].message == "line 1 is wrong"
        assert spent(site) == before


def test_a_batch_whose_end_nobody_saw_costs_what_was_held(site: Site, accounts: Accounts) -> None:
    with sdk(site, site.other) as client:
        before = spent(site)
        batch = begin(client, line("m-one", max_tokens=8))
        held = spent(site) - before
        long_ago = int(time.time()) - 3 * 86_400
        site.db.write(
            lambda connection: (
                connection.exec_driver_sql(
                    f"UPDATE tasks SET submit_time = {long_ago} WHERE task_id = '{batch.id}'"
                ).rowcount
            )
        )
        site.follow()
        assert client.batches.retrieve(batch.id).status == "failed"
        assert spent(site) - before == held > 0


def test_results_that_can_not_be_read_are_read_later(site: Site, accounts: Accounts) -> None:
    with sdk(site, site.other) as client:
        before = spent(site)
        batch = begin(client, line("m-one"))
        accounts.one.end(vendors(accounts.one), [chat(2, 0)])
        output = accounts.one.batches[vendors(accounts.one)]["output_file_id"]
        shown = accounts.one.files.pop(output)
        site.follow()
        assert client.batches.retrieve(batch.id).status == "validating"
        accounts.one.files[output] = shown
        site.follow()
        assert client.batches.retrieve(batch.id).status == "completed"
    assert spent(site) - before == 1


def test_a_batch_of_a_file_that_came_in_parts_is_measured_at_its_provider(site: Site, accounts: Accounts) -> None:
    data = line("m-two", max_tokens=8)
    with sdk(site, site.other) as client:
        upload = client.uploads.create(
            purpose="batch", filename="b.jsonl", bytes=len(data), mime_type="application/jsonl",
            extra_query={"model": "m-two"},
        )  # fmt: skip
        parts = [client.uploads.parts.create(upload.id, data=one).id for one in (data[:9], data[9:])]
        file = client.uploads.complete(upload.id, part_ids=parts).file
        assert file is not None
        before = spent(site)
        client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert spent(site) - before == -(-((len(data) - 1) // 4 + 1 + 4 * 8) // 2)
        accounts.two.end(vendors(accounts.two), [])
        site.follow()
    assert spent(site) == before


MESSAGE = {"role": "assistant", "type": "message", "id": "m", "model": "claude-x", "content": []}


def request(model: str, most: Any = 10) -> Any:
    return {"model": model, "max_tokens": most, "messages": [{"role": "user", "content": "Hi."}]}


def test_claudes_sdk_makes_a_batch_and_reads_its_results(site: Site, accounts: Accounts) -> None:
    before = spent(site)
    with anthropic.Anthropic(api_key=site.other, base_url=site.base, max_retries=0) as client:
        batch = client.messages.batches.create(
            requests=[{"custom_id": str(number), "params": request("claude-x")} for number in range(3)]
        )
        assert (batch.processing_status, batch.results_url) == ("in_progress", None)
        assert spent(site) > before
        usage = {"input_tokens": 100, "output_tokens": 11, "cache_read_input_tokens": 20}
        answered = {"type": "succeeded", "message": {**MESSAGE, "stop_reason": "end_turn", "usage": usage}}
        refused = {
            "type": "errored",
            "error": {"type": "error", "error": {"type": "invalid_request_error", "message": "x"}},
        }
        accounts.claude.end(vendors(accounts.claude), [answered, refused, answered])
        site.follow()
        done = client.messages.batches.retrieve(batch.id)
        assert (done.processing_status, done.id) == ("ended", batch.id)
        results = list(client.messages.batches.results(batch.id))
        assert [one.result.type for one in results] == ["succeeded", "errored", "succeeded"]
        assert batch.id in [one.id for one in client.messages.batches.list(limit=1)]
        assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(batch.id)
    # twice: 100 fresh, 20 read of the cache at the price of input, 11 out; half of it in a batch
    assert spent(site) - before == 2 * (120 + 44) // 2


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/batches", {"endpoint": "/v1/chat/completions", "completion_window": "24h"}, "input_file_id"),
        ("/v1/batches", {"input_file_id": 7, "endpoint": "/v1/x", "completion_window": "24h"}, "input_file_id"),
        ("/v1/batches", {"input_file_id": "x" * 2000, "endpoint": "/x", "completion_window": "24h"}, "input_file_id"),
        ("/v1/messages/batches", {}, "requests"),
        ("/v1/messages/batches", {"requests": []}, "requests"),
        ("/v1/messages/batches", {"requests": [{"custom_id": "1", "params": []}]}, "requests[0]"),
        ("/v1/messages/batches", {"requests": [{"custom_id": "1", "params": request("claude-x", "x")}]}, "max_tokens"),
        (
            "/v1/messages/batches",
            {"requests": [{"custom_id": "1", "params": request(name)} for name in ("claude-x", "m-one")]},
            "requests[1]",
        ),
    ],
)  # fmt: skip
def test_a_wrong_batch_is_refused_by_the_field(
    site: Site, accounts: Accounts, path: str, body: Any, field: str
) -> None:
    before = spent(site)
    answer = site.call("POST", path, json=body, headers={"anthropic-version": "2023-06-01"})
    assert answer.status_code in (400, 404), answer.text
    assert field in answer.text
    assert "error" in answer.json()
    assert spent(site) == before
