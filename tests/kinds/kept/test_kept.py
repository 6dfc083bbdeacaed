"""Files and uploads: the official SDKs as clients, two accounts behind them, two keys that see nothing of another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from engine.accounts.keys import create_key
from tests.kinds.task.site import Site
from tests.upstreams.stores import ClaudeStore, OpenAIStore, form
from tests.upstreams.tasks import Answered, Asked, Vendor

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: r}
spec:
  channels:
    - name: one
      provider: here
      credential: {secretRef: {env: GATEWRIGHT_KEY_ONE}}
      models: [m-one, shared, asked]
      modelMapping: {asked: sent}
    - {name: two, provider: here, credential: {secretRef: {env: GATEWRIGHT_KEY_TWO}}, models: [m-two, shared]}
    - {name: claude, provider: claude-here, credential: {secretRef: {env: GATEWRIGHT_KEY_CLAUDE}}, models: [claude-x]}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: here}
extends: openai
spec: {baseUrl: "{base}"}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: claude-here}
extends: anthropic
spec: {baseUrl: "{base}"}
---
apiVersion: gatewright/v1
kind: Price
metadata: {name: own}
spec: {models: [{names: [m-one, m-two, shared, asked, claude-x], tokens: {input: 2, output: 8}}]}
"""


class Accounts:
    """Two accounts of one vendor, and one of another, at one address."""

    def __init__(self) -> None:
        self.one, self.two, self.claude = OpenAIStore("k-one"), OpenAIStore("k-two"), ClaudeStore()

    def answer(self, asked: Asked) -> Answered:
        if "x-api-key" in asked.headers:
            return self.claude.answer(asked)
        return (self.two if asked.headers.get("authorization") == "Bearer k-two" else self.one).answer(asked)


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
        made = Site(tmp_path_factory.mktemp("kept"), DOCUMENTS, vendor)
        yield made
        made.close()


@pytest.fixture
def accounts(vendor: Vendor) -> Iterator[Accounts]:
    made = Accounts()
    vendor.answer = made.answer
    vendor.got.clear()
    yield made
    assert vendor.faults == []


@pytest.fixture(scope="module")
def stranger(site: Site) -> str:
    """Another key of the same user."""
    made: Any = create_key(site.db, site.user, "k2", quota=10_000_000)
    return str(made.key if hasattr(made, "key") else made.secret)


def sdk(site: Site, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{site.base}/v1", max_retries=0)


def line(model: str, **more: Any) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello."}], **more}
    told = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(told).encode() + b"\n"


def test_a_file_is_its_keys_own_and_stays_with_its_channel(site: Site, accounts: Accounts, stranger: str) -> None:
    asked = "SELECT COUNT(*), SUM(quota) FROM logs WHERE type = 2"
    ((calls, quota),) = site.sql(asked)
    with sdk(site, site.other) as mine, sdk(site, stranger) as other:
        made = [
            mine.files.create(file=("a.txt", b"one \xff"), purpose="user_data", extra_query={"model": "m-two"}),
            mine.files.create(file=("b.jsonl", line("m-one")), purpose="batch"),
        ]
        assert [list(accounts.two.files), list(accounts.one.files)] == [[made[0].id], [made[1].id]]
        for one, data in zip(made, (b"one \xff", line("m-one")), strict=True):
            assert mine.files.retrieve(one.id).id == one.id
            assert mine.files.content(one.id).read() == data
        assert [one.id for one in mine.files.list()] == [made[1].id, made[0].id]
        assert [one.id for one in mine.files.list(purpose="batch")] == [made[1].id]
        assert [one.id for one in mine.files.list(limit=1)] == [made[1].id, made[0].id], "page by page"
        assert list(other.files.list()) == []
        refused = []
        for name in (made[0].id, "file-nobodys"):
            for ask in (other.files.retrieve, other.files.content, other.files.delete):
                with pytest.raises(openai.NotFoundError) as ex:
                    ask(name)
                refused.append(ex.value.message.replace(name, "ID"))
        assert len(set(refused)) == 1, "another's id is told from an unknown one"
        assert mine.files.delete(made[0].id).deleted
        assert accounts.two.files == {}
        with pytest.raises(openai.NotFoundError):
            mine.files.retrieve(made[0].id)
    assert site.sql(asked) == [(calls + 2, quota or 0)], "files are free, and booked"


def test_a_file_in_a_request_is_its_keys_own_and_decides_the_channel(
    site: Site, accounts: Accounts, vendor: Vendor, stranger: str
) -> None:
    def part(name: str) -> Any:
        return [{"role": "user", "content": [{"type": "file", "file": {"file_id": name}}]}]

    def answer(asked: Asked) -> Answered:
        if not asked.path.endswith("/chat/completions"):
            return accounts.answer(asked)
        key = asked.headers["authorization"].removeprefix("Bearer ")
        choice = {"index": 0, "message": {"role": "assistant", "content": key}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return Answered({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})

    vendor.answer = answer
    with sdk(site, site.other) as mine, sdk(site, stranger) as other:
        names = []
        for model in ("m-one", "m-two"):
            made = mine.files.create(file=("a", b"x"), purpose="user_data", extra_query={"model": model})
            names.append(made.id)
            told = [mine.chat.completions.create(model="shared", messages=part(made.id)) for _ in range(6)]
            assert {one.choices[0].message.content for one in told} == {model.replace("m-", "k-")}
            with pytest.raises(openai.BadRequestError, match="not known here as this key's own"):
                other.chat.completions.create(model="shared", messages=part(made.id))
        with pytest.raises(openai.BadRequestError, match="several channels"):
            mine.chat.completions.create(model="shared", messages=[*part(names[0]), *part(names[1])])
        with pytest.raises(openai.InternalServerError, match="does not serve this"):
            mine.chat.completions.create(model="m-one", messages=part(names[1]))


def test_a_file_of_requests_names_the_model_as_its_channel_knows_it(site: Site, accounts: Accounts) -> None:
    with sdk(site, site.other) as mine:
        made = mine.files.create(file=("b.jsonl", line("asked", max_tokens=7) * 3), purpose="batch")
    stored = accounts.one.files[made.id][1].splitlines()
    assert [json.loads(one)["body"] for one in stored] == [json.loads(line("sent", max_tokens=7))["body"]] * 3


def test_a_large_file_goes_up_through_a_file_and_byte_for_byte(site: Site, accounts: Accounts) -> None:
    data = bytes(range(256)) * 20_000
    with sdk(site, site.other) as mine:
        made = mine.files.create(file=("a.bin", data), purpose="user_data")
        assert (accounts.one.files | accounts.two.files)[made.id][1] == data
        assert mine.files.content(made.id).read() == data


def test_an_upload_in_parts_becomes_a_file_of_the_same_key(site: Site, accounts: Accounts, stranger: str) -> None:
    with sdk(site, site.other) as mine, sdk(site, stranger) as other:
        asked: Any = {"purpose": "user_data", "filename": "a.bin", "bytes": 6, "mime_type": "application/octet-stream"}
        upload = mine.uploads.create(**asked, extra_query={"model": "m-two"})
        with pytest.raises(openai.NotFoundError):
            other.uploads.parts.create(upload.id, data=b"xxx")
        parts = [mine.uploads.parts.create(upload.id, data=data).id for data in (b"abc", b"def")]
        done = mine.uploads.complete(upload.id, part_ids=parts)
        assert done.file is not None
        assert mine.files.content(done.file.id).read() == b"abcdef"
        assert accounts.one.files == {}
        with pytest.raises(openai.NotFoundError):
            other.files.retrieve(done.file.id)
        again = mine.uploads.create(**asked, extra_query={"model": "m-two"})
        assert mine.uploads.cancel(again.id).status == "cancelled"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "file holds no requests"),
        (b"\n\n", "file holds no requests"),
        (line("m-one") + b"{", "file, line 2 is not valid JSON"),
        (line("m-one") + line("m-two"), "line 2: its model is 'm-two'"),
        (b"[]\n", "line 1: a request must be an object in body"),
        (line(""), "line 1: body.model must name a model"),
        (line("m-one").replace(b"/v1/chat/completions", b"/v1/nothing"), "nothing that can be asked for is served"),
        (line("m-one", max_tokens="many"), "max_tokens must be a whole number"),
        (line("unknown-model"), "unknown-model"),
    ],
)
def test_a_file_of_requests_that_are_wrong_is_refused_by_its_line(
    site: Site, accounts: Accounts, data: bytes, says: str
) -> None:
    with sdk(site, site.other) as mine, pytest.raises(openai.APIStatusError) as ex:
        mine.files.create(file=("b.jsonl", data), purpose="batch")
    assert says in ex.value.message
    assert ex.value.status_code in (400, 404)
    assert ex.value.body["param"]  # type: ignore[index]
    assert accounts.one.files == accounts.two.files == {}


def test_wrong_forms_and_pages_name_the_field(site: Site, accounts: Accounts) -> None:
    file = {"file": ("a.txt", b"x")}
    for more, field in [
        ({"files": {"purpose": (None, "batch")}}, "file"),
        ({"files": {"purpose": (None, "batch"), "file": (None, "text")}}, "file"),
        ({"files": file}, "purpose"),
        ({"json": {"purpose": "batch"}}, "content-type"),
    ]:
        answer = site.call("POST", "/v1/files", **more)
        assert answer.status_code in (400, 415), answer.text
        error = answer.json()["error"]
        assert field in (error["param"] or "") or field in error["message"], answer.text
    for query, field in [("limit=0", "limit"), ("order=up", "order"), ("after=file-x", "after")]:
        answer = site.call("GET", f"/v1/files?{query}")
        assert answer.json()["error"]["param"] == field, answer.text
    assert site.call("POST", "/v1/uploads", json={"purpose": "x"}).status_code == 400


def test_claudes_sdk_keeps_files_too(site: Site, accounts: Accounts, stranger: str) -> None:
    with (
        anthropic.Anthropic(api_key=site.other, base_url=site.base, max_retries=0) as mine,
        anthropic.Anthropic(api_key=stranger, base_url=site.base, max_retries=0) as other,
    ):
        beta: Any = {"betas": ["files-api-2025-04-14"]}
        made = mine.beta.files.upload(file=("a.txt", b"some text", "text/plain"), **beta)
        assert mine.beta.files.retrieve_metadata(made.id, **beta).size_bytes == 9
        assert mine.beta.files.download(made.id, **beta).read() == b"some text"
        assert [one.id for one in mine.beta.files.list()] == [made.id]
        assert list(other.beta.files.list()) == []
        with pytest.raises(anthropic.NotFoundError, match="there is nothing with the id"):
            other.beta.files.download(made.id)
        assert mine.beta.files.delete(made.id, **beta).type == "file_deleted"
        with pytest.raises(anthropic.NotFoundError):
            mine.beta.files.retrieve_metadata(made.id)


def test_the_scripted_vendors_refuse_what_their_pages_refuse() -> None:
    one, claude = OpenAIStore(), ClaudeStore()
    bearer = {"authorization": "Bearer k-one"}
    beta = {"x-api-key": "k-claude", "anthropic-version": "2023-06-01", "anthropic-beta": "files-api-2025-04-14"}
    batch = json.dumps({"requests": [{"custom_id": "1", "params": {"model": "m"}}]}).encode()
    wrong = [
        (one, Asked("GET", "/v1/files/x", {}, b"")),
        (one, Asked("GET", "/v1/files/x", bearer, b"")),
        (one, Asked("GET", "/v2/files/x", bearer, b"")),
        (one, Asked("POST", "/v1/files", {**bearer, "content-type": "application/json"}, b"{}")),
        (one, Asked("POST", "/v1/uploads", bearer, b'{"purpose": "x"}')),
        (one, Asked("POST", "/v1/batches", bearer, b'{"input_file_id": "x"}')),
        (one, Asked("GET", "/v1/batches/x", bearer, b"")),
        (claude, Asked("GET", "/v1/files/x", {"x-api-key": "other"}, b"")),
        (claude, Asked("GET", "/v1/files/x", {"x-api-key": "k-claude"}, b"")),
        (claude, Asked("GET", "/v1/files/x", {**beta, "anthropic-beta": "other"}, b"")),
        (claude, Asked("POST", "/v1/messages/batches", beta, batch)),
        (claude, Asked("GET", "/v1/batches/x", beta, b"")),
    ]
    for store, asked in wrong:
        try:
            assert store.answer(asked).status >= 400, asked
        except (AssertionError, KeyError):
            continue
    assert form  # read by both
