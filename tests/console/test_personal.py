"""A person's data in the console: handed out as a file, and erased for good by who types the name."""

from __future__ import annotations

from tests.console.conftest import PASSWORD, Site


def test_everything_is_handed_out_and_erased_by_name(site: Site) -> None:
    root = site.signed_in()
    form = {"username": "leaver", "password": PASSWORD, "display_name": "", "role": "1"}
    made = root.post(f"{site.url}/console/users/new", data=form)
    place = site.url + made.headers["hx-redirect"]
    own = site.signed_in("leaver")
    assert own.get(f"{site.url}/console/profile/export").json()["user"]["username"] == "leaver"
    told = root.get(f"{place}/export")
    assert told.headers["content-disposition"].startswith("attachment")
    assert told.json()["user"]["username"] == "leaver"
    assert own.get(f"{place}/export").status_code == 403
    assert root.post(f"{place}/erase", data={"name": "another"}).status_code == 422
    assert own.get(f"{site.url}/console/profile").status_code == 200
    assert root.post(f"{place}/erase", data={"name": "leaver"}).headers["hx-redirect"] == "/console/users"
    assert own.get(f"{site.url}/console/profile", allow_redirects=False).status_code in (303, 401)
    rows = root.get(f"{site.url}/console/users", headers={"hx-request": None})  # type: ignore[arg-type]
    assert "leaver" not in rows.text
    assert "erased-" in rows.text
    assert root.post(f"{site.url}/console/users/1/erase", data={"name": "root"}).status_code == 403
