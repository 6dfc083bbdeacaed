"""Voyage AI's embeddings and rerank, as docs.voyageai.com/reference has them."""

from __future__ import annotations

from typing import Any

from tests.relay.scripted import Arrived, Upstream
from tests.upstreams.strict import RefusedError, serve

PROVIDERS = ("voyage",)
KEY = "pa-voyage-key"
_VECTORS = {"model", "input", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format"}
_RANKS = {"model", "query", "documents", "top_k", "return_documents", "truncation"}


def voyage() -> Upstream:
    """The service."""
    return serve(_handle)


def _refused(status: int, detail: str) -> RefusedError:
    return RefusedError(status, {"detail": detail})


def _handle(arrived: Arrived) -> Any:
    if arrived.headers.get("authorization") != f"Bearer {KEY}":
        raise _refused(401, "Provided API key is invalid.")
    if arrived.method != "POST":
        raise _refused(405, "Method Not Allowed")
    known, answer = {"/v1/embeddings": (_VECTORS, _vectors), "/v1/rerank": (_RANKS, _ranks)}.get(
        arrived.path, (set(), None)
    )
    if answer is None:
        raise _refused(404, "Not Found")
    try:
        body = arrived.json
    except ValueError:
        raise _refused(400, "The request body is not valid JSON.") from None
    if not body.keys() <= known:
        raise _refused(400, f"Argument '{sorted(body.keys() - known)[0]}' is not supported by our API.")
    if not str(body.get("model")).startswith(("voyage-", "rerank-")):
        raise _refused(400, f"Model {body.get('model')} is not supported.")
    return answer(body)


def _vectors(body: dict[str, Any]) -> Any:
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not texts or not all(isinstance(one, str) and one for one in texts):
        raise _refused(400, "Input cannot contain empty strings or empty lists.")
    if len(texts) > 1000:
        raise _refused(400, "The batch size limit is 1000.")
    if body.get("encoding_format") not in (None, "base64"):
        raise _refused(400, "Value 'float' provided for argument 'encoding_format' is not valid.")
    if body.get("output_dimension") not in (None, 256, 512, 1024, 2048):
        raise _refused(400, "output_dimension is not valid for this model.")
    data = [{"object": "embedding", "index": number, "embedding": [number, 1.5]} for number in range(len(texts))]
    return {"object": "list", "data": data, "model": body["model"], "usage": {"total_tokens": 3 * len(texts)}}


def _ranks(body: dict[str, Any]) -> Any:
    documents = body.get("documents")
    if not body.get("query") or not documents or not all(isinstance(one, str) for one in documents):
        raise _refused(400, "query and documents must be texts.")
    if len(documents) > 1000:
        raise _refused(400, "The number of documents cannot exceed 1,000.")
    ranks = [{"index": number, "relevance_score": 1 / (number + 1)} for number in range(len(documents))]
    return {"object": "list", "data": ranks[: body.get("top_k")], "model": body["model"], "usage": {"total_tokens": 26}}
