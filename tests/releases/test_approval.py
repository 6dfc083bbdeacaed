"""A second person: nobody makes his own change live where a Policy wants that another one approves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import paths
from engine.errors import Conflict, Forbidden
from engine.releases.doings import Services
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.releases import documents, drafts
from engine.storage.releases.documents import Author, StoredDocument

ANN, BOB, GIT = Author(7, "ann"), Author(8, "bob"), Author(0, "git")
POLICY = """apiVersion: gatewright/v1
kind: Policy
metadata: {name: second}
spec:
  approval: {kinds: [Price]}
"""
PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: house}}
spec:
  models:
    - {{names: [a-model], tokens: {{input: {usd}, output: 1}}}}
"""
ALIAS = """apiVersion: gatewright/v1
kind: Alias
metadata: {name: other}
spec: {match: "other", model: "a-model"}
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    one = open_database(Settings(data=Path(tmp_path_factory.mktemp("approval"))))
    yield one
    one.close()


@pytest.fixture(scope="module")
def services(db: Database) -> Services:
    made = Services(lambda: db, [paths.SPECS])
    assert asked(made, "apply", ANN, files={"a.yaml": POLICY}, owner="console")["ok"]
    return made


def asked(services: Services, what: str, by: Author, **values: Any) -> dict[str, Any]:
    answer: dict[str, Any] = getattr(services, what)({**values, "author": {"id": by.id, "name": by.name}, "root": True})
    return answer


def files(usd: int) -> dict[str, Any]:
    return {"files": {"p.yaml": PRICE.format(usd=usd)}, "owner": "console"}


def test_the_author_can_not_publish_and_another_person_s_word_opens_it(db: Database, services: Services) -> None:
    before = documents.head(db)
    with pytest.raises(Forbidden, match="another person approves Price/house"):
        asked(services, "apply", ANN, **files(1))
    kept = asked(services, "apply", ANN, **files(1), draft="new prices")
    assert (kept["ok"], documents.head(db)) == (True, before)
    id_ = kept["draft"]
    for act in ("approve_draft", "publish_draft"):
        with pytest.raises(Forbidden):
            asked(services, act, ANN, id=id_, version=1)
    with pytest.raises(Conflict, match="saved meanwhile"):
        asked(services, "approve_draft", BOB, id=id_, version=9)
    assert asked(services, "approve_draft", BOB, id=id_, version=1)["approved_by"] == ["bob"]
    assert asked(services, "publish_draft", ANN, id=id_)["release"] == before + 1
    assert not drafts.listed(db)


def test_who_wrote_a_word_of_it_does_not_approve_it_and_a_word_more_asks_anew(db: Database, services: Services) -> None:
    id_ = asked(services, "apply", ANN, **files(2), draft="more")["draft"]
    asked(services, "approve_draft", BOB, id=id_, version=1)
    draft = drafts.one(db, id_)
    change = StoredDocument("Price", "house", "console", PRICE.format(usd=200))
    draft = drafts.save(db, drafts.Draft(**{**_members(draft), "changes": (change,)}), BOB)
    with pytest.raises(Forbidden, match="wrote this draft"):
        asked(services, "approve_draft", BOB, id=id_, version=draft.version)
    for author in (ANN, BOB):
        with pytest.raises(Forbidden, match="another person"):
            asked(services, "publish_draft", author, id=id_)
    drafts.drop(db, id_)


def _members(draft: drafts.Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in drafts.Draft.__slots__}


def test_another_name_is_no_other_person(db: Database, services: Services) -> None:
    id_ = asked(services, "apply", ANN, **files(9), draft="renamed")["draft"]
    with pytest.raises(Forbidden, match="wrote this draft"):
        asked(services, "approve_draft", Author(7, "ann-by-another-name"), id=id_, version=1)
    drafts.drop(db, id_)


def test_what_an_approval_stands_on_must_be_there_still(db: Database, services: Services) -> None:
    id_ = asked(services, "apply", ANN, **files(3), draft="three")["draft"]
    asked(services, "approve_draft", BOB, id=id_, version=1)
    other = asked(services, "apply", BOB, **files(4), draft="four")["draft"]
    asked(services, "approve_draft", ANN, id=other, version=1)
    assert asked(services, "publish_draft", BOB, id=other)["ok"]
    draft = drafts.one(db, id_)
    drafts.save(db, drafts.Draft(**{**_members(draft), "base": documents.head(db)}))
    with pytest.raises(Forbidden, match="another person"):
        asked(services, "publish_draft", ANN, id=id_)
    drafts.drop(db, id_)


def test_a_canary_of_it_needs_the_same_and_policies_always_count(db: Database, services: Services) -> None:
    id_ = asked(services, "apply", ANN, **files(5), draft="five")["draft"]
    assert asked(services, "begin_trial", ANN, draft=id_)["trial"] == id_
    with pytest.raises(Forbidden, match="another person"):
        asked(services, "begin_canary", ANN, trial=id_)
    away = [drafts.as_json(StoredDocument("Policy", "second", "console", None))]
    with pytest.raises(Forbidden, match="Policy/second"):
        asked(services, "publish", ANN, changes=away, base=documents.head(db))


def test_other_kinds_going_back_and_git_go_on(db: Database, services: Services) -> None:
    assert asked(services, "apply", ANN, files={"x.yaml": ALIAS}, owner="console")["ok"]
    before = documents.head(db)
    assert asked(services, "rollback", ANN, number=before - 1)["release"] == before + 1
    text = PRICE.format(usd=7).replace("house", "merged").replace("a-model", "b-model")
    assert asked(services, "apply", GIT, files={"p.yaml": text}, owner="git")["ok"]
