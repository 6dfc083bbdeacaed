"""A release in the database runs on every machine within seconds, and what can't be compiled changes nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result
from sqlalchemy import insert

from engine.cli import main
from engine.errors import Conflict, Unavailable
from engine.releases import publishing, reading
from engine.storage.releases import documents, secrets
from engine.storage.tables import core
from tests.releases.conftest import ANN, ROUTE, Site
from tests.support import PATIENCE, until

pytestmark = [
    pytest.mark.xdist_group("live"),
    pytest.mark.timeout(600),
]  # machines are slow where others work beside them


def test_a_release_is_taken_up_by_every_machine(site: Site) -> None:
    until(lambda: len(reading.status(site.db)["machines"]) == 2)
    number, checked = site.publish(ROUTE.format(models="first-model"), message="the first")
    assert (checked.ok, checked.tests > 50) == (True, True)
    there = publishing.wait(site.db, number, 90)
    assert [(one.release, one.ok) for one in there] == [(number, True)] * 2
    for machine in (0, 1):
        until(lambda machine=machine: "first-model" in site.models(machine))
    told = reading.status(site.db)
    assert (told["same"], told["release"]["message"], len(told["machines"])) == (True, "the first", 2)
    assert site.ready()["sources"] == {"release": number, "newest": number, "database": "ok"}


def test_back_to_an_earlier_release_is_one_step(site: Site) -> None:
    first = documents.head(site.db)
    number, _ = site.publish(ROUTE.format(models="second-model"))
    publishing.wait(site.db, number, 90)
    until(lambda: "second-model" in site.models(1))
    back = publishing.rollback(site.db, site.directories, first, ANN)
    publishing.wait(site.db, back, 90)
    until(lambda: "first-model" in site.models(1) and "second-model" not in site.models(1))
    assert documents.release(site.db, back).content == documents.release(site.db, first).content
    with pytest.raises(Conflict, match=f"are those of release {first} already"):
        publishing.rollback(site.db, site.directories, first, ANN)


def test_a_fault_goes_no_further_and_has_its_place(site: Site) -> None:
    head = documents.head(site.db)
    number, checked = site.publish(ROUTE.format(models="x").replace("provider: house", "provider: huose"))
    assert (number, documents.head(site.db)) == (0, head)
    fault = checked.faults[0]
    assert (fault.place.file, fault.place.line, fault.nearest) == ("console:Route/ours", 7, "house")


def test_two_places_that_claim_one_name_are_both_named(site: Site) -> None:
    """A directory's document is not changed by the console, nor Git's; nobody wins in silence."""
    number, checked = site.publish((site.machines[0].data / "specs" / "house.yaml").read_text())
    assert number == 0
    words = checked.faults[0].message
    assert "Provider/house is defined twice; the first stands at" in words or "specs/house.yaml" in str(
        checked.faults[0].place
    )
    number, checked = site.publish(ROUTE.format(models="from-git"), owner="git")
    assert (number, checked.faults[0].code) == (0, "another-owner")
    assert "belongs to console (console:Route/ours:1)" in checked.faults[0].message
    assert "gatewright docs adopt Route/ours --to git" in checked.faults[0].message


def test_a_machine_that_cannot_compile_goes_on_and_says_so(site: Site) -> None:
    """One machine's directory lacks what the release needs; the other takes it up."""
    other = site.machines[1]
    before = site.models(1)
    (other.data / "specs" / "house.yaml").write_text("kind: [")
    number, _ = site.publish(ROUTE.format(models="third-model"))
    try:
        with pytest.raises(Unavailable, match=rf"release {number} is published, but does not run everywhere: .* runs"):
            publishing.wait(site.db, number, 90)
        until(lambda: "third-model" in site.models(0))
        assert site.models(1) == before
        told = site.ready(1)
        assert (told["status"], told["documents"]) == ("degraded", "refused; the last good release is running")
        assert told["sources"]["newest"] == number > told["sources"]["release"]
        assert any("house.yaml" in fault for fault in told["faults"])
        behind = [one for one in reading.status(site.db)["machines"] if not one["ok"]]
        assert ["house.yaml" in one["faults"][0] for one in behind] == [True]
    finally:
        (other.data / "specs" / "house.yaml").write_text((site.machines[0].data / "specs" / "house.yaml").read_text())
    until(lambda: reading.status(site.db)["same"])
    until(lambda: "third-model" in site.models(1))


SECRET = "sk-of-the-house-0123456789"
ALIAS = "---\napiVersion: gatewright/v1\nkind: Alias\nmetadata: {{name: a{n}}}\nspec: {{match: a{n}, model: x}}\n"


def remote(site: Site, token: str, *words: object) -> Result:
    env = {"GATEWRIGHT_SERVER": site.machines[0].base, "GATEWRIGHT_TOKEN": token}
    return CliRunner(env=env).invoke(main, [str(word) for word in words])


def test_the_commands_work_on_a_server_with_a_token(site: Site, tmp_path: Path) -> None:
    token = site.token()
    tree = tmp_path / "tree"
    assert remote(site, token, "export", tree, "--owner", "console").exit_code == 0
    assert remote(site, token, "plan", tree, "--owner", "console").exit_code == 0
    (path,) = tree.rglob("*.yaml")
    path.write_text(ROUTE.format(models="third-model, fourth-model"))
    planned = remote(site, token, "plan", tree, "--owner", "console")
    assert (planned.exit_code, "group default gains fourth-model" in planned.output) == (2, True), planned.output
    made = remote(site, token, "apply", tree, "--owner", "console", "-m", "from afar", "--wait", "90", "--json")
    assert (made.exit_code, len(json.loads(made.output)["machines"])) == (0, 2), made.output
    until(lambda: "fourth-model" in site.models(1))
    path.write_text(ROUTE.format(models="x").replace("provider: house", "provider: huose"))
    for command in ("plan", "apply"):
        refused = remote(site, token, command, tree, "--owner", "console")
        assert refused.exit_code == 1
        assert "Route/ours.yaml:7" in refused.stderr or "ours.yaml:7" in refused.stderr
        assert "did you mean: house" in refused.stderr
    head = documents.head(site.db)
    assert remote(site, token, "releases", "diff", head - 1, head).exit_code == 2
    assert "from afar" in remote(site, token, "releases", "list", "--limit", 1).output
    assert "from afar" in remote(site, token, "releases", "show", head).output
    assert remote(site, token, "history", "Route/ours").output.splitlines()[0].split()[0] == str(head)
    assert "fourth-model" in remote(site, token, "blame", "Route/ours").output
    assert remote(site, token, "releases", "status").exit_code == 0
    assert (
        remote(site, token, "rollback", head - 1).output == f"release {head + 1} holds what release {head - 1} held\n"
    )
    assert "there is no release 999" in remote(site, token, "rollback", 999).output
    assert remote(site, "wrong", "releases", "list").exit_code == 1


def test_two_authors_on_one_base_and_the_second_is_told(site: Site) -> None:
    headers = {"authorization": f"Bearer {site.token()}", "if-match": "*"}

    def call(method: str, path: str, body: object = None) -> requests.Response:
        return requests.request(
            method, f"{site.machines[0].base}/api/v2/drafts{path}", json=body, headers=headers, timeout=90
        )

    def draft(name: str, models: str) -> str:
        change = {"kind": "Route", "name": "ours", "text": ROUTE.format(models=models)}
        made = call("POST", "", {"name": name, "changes": [change]})
        assert made.status_code == 201, made.text
        return "/" + made.json()["id"]

    one, two = draft("ann's", "of-ann"), draft("bob's", "of-bob")
    assert call("POST", f"{one}/check").json()["ok"]
    assert [group["gained"] for group in call("POST", f"{one}/plan").json()["models"]] == [["of-ann"]]
    assert call("POST", f"{one}/publish").status_code == 200
    assert call("GET", one).status_code == 404
    refused = call("POST", f"{two}/publish")
    assert (refused.status_code, "has come since; nothing was changed" in refused.json()["detail"]) == (409, True)
    rebased = call("POST", f"{two}/rebase").json()
    assert (rebased["both"], "of-bob" in rebased["changes"][0]["text"]) == (["Route/ours"], True)
    wrong = {"changes": [{"kind": "Route", "name": "other", "text": ROUTE.format(models="x")}], "version": 1}
    assert call("PUT", two, wrong).status_code == 409
    saved = call("PUT", two, {**wrong, "version": rebased["version"]})
    assert saved.status_code == 200
    faults = call("POST", f"{two}/publish")
    assert (faults.status_code, faults.json()["release"]) == (422, 0)
    assert faults.json()["faults"][0]["message"] == "the text is of Route/ours, and was handed in for Route/other"
    broken = {"changes": [{"kind": "Route", "name": "ours", "text": "kind: ["}]}
    assert call("PUT", two, broken).json()["changes"][0]["text"] == "kind: ["
    assert call("POST", f"{two}/check").json()["faults"][0]["file"] == "console:Route/ours"
    for body in (
        {"changes": [{"kind": "Route"}]},
        {"changes": [5]},
        {"chnges": []},
        {"changes": [{"kind": "", "name": "x"}]},
    ):
        assert call("PUT", two, body).status_code == 400, body
    assert call("DELETE", two).status_code == 204


def test_documents_that_are_too_large_or_too_many_are_told_so_by_a_server(site: Site, tmp_path: Path) -> None:
    headers, head = {"authorization": f"Bearer {site.token()}"}, documents.head(site.db)
    many = "".join(ALIAS.format(n=n) for n in range(5000))
    cases = (
        ("# " + "x" * 10_000_000, 413, "8,388,608 bytes may be sent at once; send it in parts"),
        ("# " + "x" * 2_000_000, 422, "a document may have 1,048,576: split it"),
        (many, 422, "documents of your own; 2,000 may be"),
    )
    for text, status, words in cases:
        for path in ("plan", "apply"):
            answer = requests.post(
                f"{site.machines[0].base}/api/v2/releases/{path}",
                json={"files": {"x.yaml": text}},
                headers=headers,
                timeout=90,
            )
            seen = answer.status_code, words in answer.text
            assert seen in ((status, True), (200 if path == "plan" and status == 422 else status, True)), answer.text
        (tmp_path / "x.yaml").write_text(text)
        refused = remote(site, site.token(), "apply", tmp_path)
        assert (refused.exit_code, words in refused.output) == (1, True), refused.output
    assert documents.head(site.db) == head


def test_who_may_not_publish_is_refused(site: Site) -> None:
    base = site.machines[0].base
    for method, path in (("GET", "/releases"), ("POST", "/releases/apply"), ("GET", "/documents")):
        answer = requests.request(method, base + "/api/v2" + path, json={"files": {}}, timeout=PATIENCE)
        assert answer.status_code == 401
        answer = requests.request(method, base + "/api/v2" + path, headers=site.as_root, timeout=PATIENCE)
        assert answer.status_code == 401


def test_a_secret_of_the_database_is_sent_and_never_shown(site: Site, tmp_path: Path) -> None:
    keyed = (
        ROUTE.format(models="keyed-model").replace("name: ours}", "name: keyed}").replace("name: ours,", "name: keyed,")
    )
    head = "credential: {secretRef: {db: house-key}}, provider: keyed"
    document = (site.machines[0].data / "specs" / "house.yaml").read_text().replace("name: house", "name: keyed")
    document = document.replace("scheme: none", "scheme: bearer")
    base, headers = site.machines[0].base + "/api/v2", {"authorization": f"Bearer {site.token()}"}

    def asked(method: str, path: str, body: object = None) -> requests.Response:
        return requests.request(method, base + path, json=body, headers=headers, timeout=90)

    # set by the API, the command line, or on the database; nobody but root
    for headers_ in ({}, site.as_root):
        refused = requests.put(base + "/secrets/house-key", json={"value": "x"}, headers=headers_, timeout=PATIENCE)
        assert refused.status_code == 401
    assert [asked("PUT", "/secrets/house-key", {"value": text}).status_code for text in ("", "a\nb")] == [400, 400]
    assert asked("PUT", "/secrets/..%2Fx", {"value": "x"}).status_code in (400, 404)
    told = asked("PUT", "/secrets/house-key", {"value": SECRET})
    assert (told.status_code, told.json()["encrypted"], SECRET in told.text) == (200, True, False)
    env = {"GATEWRIGHT_SERVER": site.machines[0].base, "GATEWRIGHT_TOKEN": site.token()}
    made = CliRunner(env=env).invoke(main, ["secret", "set", "other-key"], input=SECRET + "\n")
    assert made.output == "secret other-key is set\n", made.output
    assert "other-key" in remote(site, site.token(), "secret", "list").output
    assert remote(site, site.token(), "secret", "remove", "other-key").exit_code == 0
    assert [one["name"] for one in asked("GET", "/secrets").json()["items"]] == ["house-key"]

    number, checked = site.publish(document + "---\n" + keyed.replace("provider: house", head))
    assert number, checked.faults
    publishing.wait(site.db, number, 90)
    until(lambda: "keyed-model" in site.models(0))
    body = {"model": "keyed-model", "messages": [{"role": "user", "content": "hello"}]}
    site.machines[0].post("/v1/chat/completions", body)
    assert site.upstream.got[-1].headers["authorization"] == f"Bearer {SECRET}"
    with site.db.read() as connection:
        (stored,) = connection.exec_driver_sql("SELECT value FROM gatewright_secrets").scalars()
    assert stored.startswith("gw1.")
    assert secrets.listed(site.sealed)[0][0] == "house-key"

    # whatever is told of documents and releases names it, and has no value
    tree, token = tmp_path / "tree", site.token()
    said = [remote(site, token, "export", tree).output, *(path.read_text() for path in tree.rglob("*.yaml"))]
    for words in (
        *(("plan", tree, "--json"), ("drift", tree, "--json"), ("releases", "diff", number - 1, number)),
        *(("releases", "show", number), ("releases", "status", "--json"), ("releases", "list", "--json")),
        *(("history", "Route/keyed", "--diff"), ("blame", "Route/keyed"), ("secret", "list", "--json")),
    ):
        said.append(remote(site, token, *words).output)
    said += [asked("GET", path).text for path in ("/documents?texts=true", "/audit?limit=100", "/secrets", "/rows")]
    said += [json.dumps(site.ready(machine)) + site.machines[machine].output for machine in (0, 1)]
    with site.db.read() as connection:
        for table in ("documents", "releases", "revisions"):
            found = [name for name in site.db.columns if name.startswith("gatewright_") and table in name]
            assert found, table
            for name in found:
                said.append(str(connection.exec_driver_sql(f"SELECT * FROM {name}").all()))
    assert "house-key" in "".join(said)
    assert not [text[:200] for text in said if SECRET in text]


def test_an_option_that_a_document_pins_is_changed_there_alone(site: Site) -> None:
    base, token = site.machines[0].base, site.token()

    def name() -> str:
        return str(requests.get(base + "/api/status", timeout=PATIENCE).json()["data"]["system_name"])

    text = "apiVersion: gatewright/v1\nkind: Settings\nmetadata: {name: ours}\nspec: {options: {SystemName: Pinned}}\n"
    number, checked = site.publish(text)
    assert number, checked.faults
    until(lambda: name() == "Pinned")
    headers = {"authorization": f"Bearer {token}"}
    answers = [
        requests.put(
            base + "/api/option/",
            json={"key": "SystemName", "value": "Mine"},
            headers={**headers, "New-Api-User": "1"},
            timeout=PATIENCE,
        ).json()["message"],
        requests.put(
            base + "/api/v2/options/SystemName",
            json={"value": "Mine"},
            headers={**headers, "If-Match": "*"},
            timeout=PATIENCE,
        ).json()["detail"],
    ]
    assert answers == ["SystemName is pinned by a document (console:Settings/ours:4:18) and is changed there"] * 2
    # a row that another program writes beside it is told by a plan, and goes
    row = insert(core.options).values(key="SystemName", value="Another")
    site.db.write(lambda connection: connection.execute(row))

    def twice() -> list[tuple[str, str, str]]:
        plan = requests.post(f"{base}/api/v2/releases/plan", json={"files": {}}, headers=headers, timeout=90).json()
        return [(one["name"], one["document"], one["row"]) for one in plan["rows"]["twice"]]

    assert twice() == [("SystemName", "Pinned", "Another")]
    drop = f"{base}/api/v2/rows/option/SystemName/drop"
    assert requests.post(drop, timeout=PATIENCE).status_code == 401
    assert '-value: "Another"' in requests.post(drop, headers=headers, timeout=PATIENCE).json()["diff"]
    assert requests.post(drop, headers=headers, timeout=PATIENCE).status_code == 404
    assert (twice(), name()) == ([], "Pinned")
    site.publish(dataclasses.replace(documents.one(site.db, "Settings", "ours"), text=None))
    until(lambda: name() != "Pinned")


def test_a_document_that_is_taken_away_is_gone(site: Site) -> None:
    there = documents.one(site.db, "Route", "ours")
    number, _ = site.publish(dataclasses.replace(there, text=None))
    publishing.wait(site.db, number, 90)
    until(lambda: "third-model" not in site.models(0))
    assert reading.revisions(site.db, "Route", "ours")[0]["what"] == "removed"
