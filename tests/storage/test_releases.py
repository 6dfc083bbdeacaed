"""Documents, revisions and releases in the database: one transaction each, byte for byte, on every engine."""

from __future__ import annotations

import threading
import time

import pytest

from engine.errors import Conflict, NotFound
from engine.storage.database import Database
from engine.storage.releases import documents, drafts
from engine.storage.releases.documents import Author, StoredDocument

ANN = Author(7, "ann")
TEXT = "# why: 30 % дешевле 🙂\r\nkind: Price\n\tend without newline"


def document(name: str, text: str | None, owner: str = "console", line: int = 1) -> StoredDocument:
    return StoredDocument("Price", name, owner, text, f"{name}.yaml", line, {"team": "a"})


def test_a_release_holds_texts_byte_for_byte_and_older_ones_stay(db: Database) -> None:
    assert (documents.head(db), documents.listed(db)) == (0, (0, []))
    first = documents.publish(db, 0, [document("a/b", TEXT), document("A/B", "other case")], ANN, message="one")
    second = documents.publish(db, first, [document("a/b", "new"), document("A/B", None)], ANN, source="abc123")
    assert (first, second, documents.head(db)) == (1, 2, 2)
    number, now = documents.listed(db)
    assert (number, [(one.title, one.text, one.release) for one in now]) == (2, [("Price/a/b", "new", 2)])
    assert [(one.title, one.text) for one in documents.at(db, 1)] == [("Price/A/B", "other case"), ("Price/a/b", TEXT)]
    assert documents.at(db, 2) == now
    assert now[0].labels == {"team": "a"}
    newest = documents.newest(db)
    assert [(one.number, one.parent, one.username, one.message, one.source) for one in newest] == [
        (2, 1, "ann", "", "abc123"), (1, 0, "ann", "one", ""),
    ]  # fmt: skip
    assert newest[0].content == documents.content_of(now) != newest[1].content
    told = [(release.number, one.text) for release, one in documents.history(db, "Price", "A/B")]
    assert told == [(2, None), (1, "other case")]
    for call in (lambda: documents.one(db, "Price", "A/B"), lambda: documents.at(db, 9)):
        with pytest.raises(NotFound):
            call()


def test_who_publishes_on_an_older_base_is_told_and_changes_nothing(db: Database) -> None:
    documents.publish(db, 0, [document("a", "1")], ANN)
    with pytest.raises(Conflict, match="made on release 0, and release 1 has come since"):
        documents.publish(db, 0, [document("b", "2")], ANN)
    assert [one.title for one in documents.listed(db)[1]] == ["Price/a"]


def test_of_many_publishers_on_one_base_one_wins(db: Database) -> None:
    outcomes: list[object] = []

    def publish(name: str) -> None:
        try:
            outcomes.append(documents.publish(db, 0, [document(name, name)], ANN))
        except Conflict as error:
            outcomes.append(error)

    threads = [threading.Thread(target=publish, args=(f"n{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, [one for one in outcomes if isinstance(one, int)])) == ["1"]
    assert len(outcomes) == 6
    assert len(documents.listed(db)[1]) == 1


def test_a_thousand_documents_and_ten_thousand_revisions_are_listed_at_once(lite: Database) -> None:
    base, began = 0, time.process_time()
    for round_ in range(10):
        changes = [document(f"d{number}", f"text {number} {round_}\n" * 10) for number in range(1000)]
        base = documents.publish(lite, base, changes, ANN)
    assert len(documents.listed(lite)[1]) == 1000
    assert {one.text for one in documents.at(lite, 3)} == {f"text {n} 2\n" * 10 for n in range(1000)}
    assert len(documents.history(lite, "Price", "d7")) == 10
    assert time.process_time() - began < 6


def test_a_draft_keeps_what_its_author_typed_and_two_tabs_apart(db: Database) -> None:
    draft = drafts.create(db, "mine", 0, ANN, [document("a", "no: yaml: at all")])
    saved = drafts.save(db, drafts.one(db, draft.id))
    assert (saved.version, drafts.one(db, draft.id).changes[0].text) == (2, "no: yaml: at all")
    with pytest.raises(Conflict, match="saved elsewhere meanwhile"):
        drafts.save(db, draft)
    assert [one.id for one in drafts.listed(db)] == [draft.id]
    drafts.drop(db, draft.id)
    with pytest.raises(NotFound):
        drafts.one(db, draft.id)
