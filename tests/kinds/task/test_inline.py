"""Films that stand in their vendor's answer: no row holds one, and its vendor is asked for it when it is wanted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert

from engine.storage.tables import core
from tests.kinds.task.site import Site
from tests.kinds.task.test_keeping import keep
from tests.upstreams import google
from tests.upstreams.strict import channel, route

DOCUMENTS = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: films}
spec: {models: [{match: "veo-.*", second: 0.05}]}
---
apiVersion: gatewright/v1
kind: Policy
metadata: {name: keeping}
spec: {results: {keep: directory}}
---
"""
MODELS = ("veo-here", "veo-there", "veo-by-key")
FILM = random.Random(7).randbytes(3_000_001)
"""Longer than a piece; base64 ends it with padding."""


@pytest.fixture(scope="module")
def vertex() -> Iterator[google.Vertex]:
    made = google.Vertex()
    yield made
    made.upstream.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, vertex: google.Vertex) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("inline")
    (directory / "secrets").mkdir()
    (directory / "secrets" / "express").write_text(google.API_KEY)
    by_key = channel("express", "vertex-express", vertex.upstream.base, "", "veo-by-key")
    by_key["credential"] = {"secretRef": {"file": "express"}}
    made = Site(directory, DOCUMENTS + route(by_key), vertex.upstream)
    regions = {"default": "us-central1", "veo-there": "europe-west4"}
    row = {"id": 7, "type": 41, "status": 1, "name": "account", "models": "veo-here,veo-there", "group": "default",
           "key": json.dumps(google.account(vertex.upstream.base)), "base_url": vertex.upstream.base,
           "other": json.dumps(regions), "priority": 0, "weight": 0}  # fmt: skip
    made.db.write(lambda connection: connection.execute(insert(core.channels).values(row)))
    made.parts.refresh()
    yield made
    made.close()


def filmed(site: Site, vertex: google.Vertex, model: str) -> str:
    vertex.film, asked = b"", {"model": model, "prompt": "rain", "seconds": "8"}
    answer = site.call("POST", "/v1/videos", json=asked)
    assert answer.status_code == 200, answer.text
    name = str(answer.json()["id"])
    site.follow()
    assert site.row(name)["status"] == "IN_PROGRESS"
    vertex.film = FILM
    site.follow()
    assert site.row(name)["status"] == "SUCCESS", site.row(name)
    return name


@pytest.mark.parametrize("model", MODELS)
def test_a_film_in_the_answer_is_fetched_from_where_it_was_made(site: Site, vertex: google.Vertex, model: str) -> None:
    name = filmed(site, vertex, model)
    row = site.row(name)
    assert len(str(row["private_data"])) + len(str(row["data"])) < 5_000
    film = site.call("GET", f"/v1/videos/{name}/content")
    assert (film.status_code, film.headers["content-type"], film.content) == (200, "video/mp4", FILM)
    place = {"veo-here": "us-central1", "veo-there": "europe-west4"}.get(model)
    asked = [one.path.partition("?")[0] for one in vertex.upstream.got if one.path.partition("?")[0] != "/token"]
    assert all((f"/locations/{place}/" in path) if place else ("/projects/" not in path) for path in asked[-4:])
    assert site.call("GET", f"/v1/videos/{name}/content?index=1").status_code == 404
    vertex.film = b""  # its vendor has it no more
    assert site.call("GET", f"/v1/videos/{name}/content").status_code == 404
    vertex.film = FILM
    assert keep(site) == ["1 results were kept"]
    vertex.film = b""
    part = site.call("GET", f"/v1/videos/{name}/content", headers={"range": "bytes=2999999-"})
    assert (part.status_code, part.content) == (206, FILM[-2:])


def test_what_nobody_can_be_asked_for_is_told(site: Site, vertex: google.Vertex) -> None:
    name = filmed(site, vertex, "veo-here")
    site.db.write(lambda one: one.exec_driver_sql("UPDATE channels SET status = 2 WHERE id = 7"))
    site.parts.refresh()
    answer: Any = site.call("GET", f"/v1/videos/{name}/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "origin_channel")
    site.db.write(lambda one: one.exec_driver_sql("UPDATE channels SET status = 1 WHERE id = 7"))
    site.parts.refresh()
