"""Every vendor of videos: asked to the letter, followed through its states, paid and paid back to the unit."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from engine.ledger import proof
from tests.kinds.task.site import UNIT, Site
from tests.kinds.task.vendors import CASES, FILM, VendorCase
from tests.upstreams.tasks import Answered, Asked, Vendor

SECRETS = {"kling": "a-key|secret", "jimeng": "a-key|secret"}
DOCUMENT = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: NAME-here}
extends: NAME
spec:
  baseUrl: "{base}/at-NAME"
  credential: {secretRef: {file: NAME}}
  models: [MODEL]
  price: [{names: [MODEL], second: 0.05}]
---
"""
DOCUMENTS = "".join(
    DOCUMENT.replace("NAME", name).replace("MODEL", model)
    for name, model in sorted({(case.name, case.model) for case in CASES})
)
IDS = [f"{case.name} by {case.asked[0].split('?')[0]}" for case in CASES]


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("vendors")
    (directory / "secrets").mkdir()
    for case in CASES:
        (directory / "secrets" / case.name).write_text(SECRETS.get(case.name, "the-key"))
    made = Site(directory, DOCUMENTS, vendor)
    yield made
    made.close()


def played(vendor: Vendor, case: VendorCase, states: list[object]) -> None:
    """What lies at the vendor's other addresses lies at this one."""
    at = [0]
    vendor.faults.clear()

    def answer(asked: Asked) -> Answered:
        if asked.path == "/v.mp4":
            assert "authorization" not in asked.headers
            return Answered(FILM, kind="video/mp4")
        answered = case.answer(asked, states, at)
        if not isinstance(answered.body, bytes):
            answered.body = json.loads(json.dumps(answered.body).replace("https://cdn.example", vendor.base))
        return answered

    vendor.answer = answer


def here(vendor: Vendor, case: VendorCase) -> str:
    """Where what came of it lies in these tests."""
    return case.results[0].replace("https://cdn.example", vendor.base)


def submitted(site: Site, case: VendorCase) -> str:
    answer = site.call("POST", case.asked[0], json=case.asked[1])
    assert answer.status_code == 200, (answer.text, site.vendor.faults)
    told = answer.json()
    return str(told["data"]["task_id"] if "data" in told else told["id"])


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_task_goes_through_its_states_and_costs_its_seconds(site: Site, vendor: Vendor, case: VendorCase) -> None:
    played(vendor, case, case.states)
    before = site.spent()
    name = submitted(site, case)
    assert site.spent()[0] - before[0] == 0.5 * UNIT
    seen = []
    for _ in case.states:
        site.follow()
        seen.append(site.row(name)["status"])
    assert vendor.faults == []
    assert seen[-1] == "SUCCESS", (seen, site.row(name))
    assert seen == sorted(seen, key=["SUBMITTED", "QUEUED", "IN_PROGRESS", "SUCCESS"].index)
    told = site.call("GET", f"/v1/videos/{name}").json()
    address = here(vendor, case)
    assert (told["status"], told["progress"], told["metadata"]["url"]) == ("completed", 100, address)
    assert site.spent()[0] - before[0] == 0.5 * UNIT
    asked = len(vendor.got)
    site.follow()
    assert len(vendor.got) == asked  # what has ended is not asked for
    film = site.call("GET", f"/v1/videos/{name}/content")
    assert (film.status_code, film.content, film.headers["content-type"]) == (200, FILM, "video/mp4"), vendor.faults
    assert site.call("GET", f"/v1/videos/{name}/content", key=site.key).status_code == 404


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_failure_is_told_and_paid_back(site: Site, vendor: Vendor, case: VendorCase) -> None:
    played(vendor, case, case.fails)
    before = site.spent()
    name = submitted(site, case)
    site.follow()
    site.follow()
    assert vendor.faults == []
    assert site.row(name)["status"] == "FAILURE"
    assert site.call("GET", f"/v1/videos/{name}").json()["error"]["message"]
    assert site.spent()[:2] == before[:2]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_one_that_never_ends_is_given_up_and_paid_back(site: Site, vendor: Vendor, case: VendorCase) -> None:
    played(vendor, case, case.states[:1])
    before = site.spent()
    name = submitted(site, case)
    day = 24 * 60 * 60 + 60
    site.db.write(
        lambda one: one.exec_driver_sql(f"UPDATE tasks SET submit_time = submit_time - {day} WHERE task_id = '{name}'")
    )
    site.follow()
    assert site.row(name)["status"] == "FAILURE"
    assert "within 1440 minutes" in site.row(name)["fail_reason"]
    assert site.spent()[:2] == before[:2]


def test_native_callers_get_native_answers(site: Site, vendor: Vendor) -> None:
    kling, jimeng = CASES[0], CASES[2]
    played(vendor, kling, kling.states)
    name = submitted(site, kling)
    for _ in kling.states:
        site.follow()
    told = site.call("GET", f"/kling/v1/videos/image2video/{name}").json()
    assert (told["code"], told["data"]["task_id"], told["data"]["task_status"]) == (0, name, "succeed")
    assert told["data"]["task_result"]["videos"][0]["url"] == here(vendor, kling)
    missing = site.call("GET", "/kling/v1/videos/image2video/none").json()
    assert (missing["code"], set(missing)) == (1203, {"code", "message", "request_id"})
    played(vendor, jimeng, jimeng.states)
    name = submitted(site, jimeng)
    for _ in jimeng.states:
        site.follow()
    asked = {"req_key": "jimeng_t2v_v30", "task_id": name}
    told = site.call("POST", "/jimeng/?Action=CVSync2AsyncGetResult&Version=2022-08-31", json=asked).json()
    assert (told["code"], told["data"]["status"], told["data"]["video_url"]) == (
        10000,
        "done",
        here(vendor, jimeng),
    )


def test_the_books_agree(site: Site) -> None:
    site.spent()
    journals = site.parts.settings.data / "journal"
    assert proof.verify(site.db, site.parts.services.log_db, journals).differences == []
