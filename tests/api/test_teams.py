"""Teams over ``/api/v2``: who may do what by role, invitations, keys, projects, tags, budgets, money, and the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.accounts import first_start, sessions, users
from engine.accounts.teams import standing
from engine.errors import Conflict
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.rows import accounts, people
from tests.api.test_management import PASSWORD, Site
from tests.api.test_v2 import Asking

PEOPLE = ("olga", "adele", "mia", "max", "stranger")


class Team:
    """A team of an owner, an administrator and two members, and somebody who is in none."""

    def __init__(self, site: Site) -> None:
        self.site, self.db = site, site.worker.db
        self.people = {name: Asking(site, name) for name in PEOPLE}
        self.root = Asking(site, "root")
        self.id = self("olga", "POST", "", {"name": "lab", "title": "The lab"}, 201)["id"]
        self.members = {row["username"]: row["id"] for row in self("olga", "GET", "/members")}
        for name, role in (("adele", "administrator"), ("mia", "member"), ("max", "member")):
            self.members[name] = self("olga", "POST", "/members", {"username": name, "role": role}, 201)["id"]
            self(name, "POST", "/invitation")

    def __call__(self, name: str, method: str, path: str, body: Any = None, status: int = 0) -> Any:
        """Ask as somebody below the team's address; the data of the answer, which has this status."""
        ask = self.root if name == "root" else self.people[name]
        place = "/teams" if method == "POST" and not path else f"/teams/{self.id}{path}"
        answer = ask(method, place, body, **({"if_match": "*"} if method in ("PATCH", "DELETE") else {}))
        assert answer.status_code == (status or (204 if method == "DELETE" else answer.status_code)), answer.text
        if not status:
            assert answer.status_code < 300, answer.text
        return answer.json.get("items", answer.json) if answer.content else None

    def key(self, name: str, **more: Any) -> dict[str, Any]:
        return dict(self(name, "POST", "/keys", {"name": f"of {name}", "unlimited": True, **more}, 201))

    def account(self, key: dict[str, Any]) -> accounts.Account | None:
        return accounts.find_key(self.db, key["key"].removeprefix("sk-"))

    def balance(self, which: int) -> int:
        return int((people.by_id(self.db, which) or {})["quota"])


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    site = Site(Settings(data=tmp_path))
    first_start.make_root(site.worker.db, "root", PASSWORD)
    for name in PEOPLE:
        users.create_user(site.worker.db, name, PASSWORD, quota=1000)
    yield Team(site)
    site.worker.db.close()


def test_a_team_is_an_account_to_which_nobody_signs_in(team: Team) -> None:
    row = people.by_id(team.db, team.id)
    assert row is not None
    assert (row["username"], row["display_name"], row["quota"], row["role"]) == ("lab", "The lab", 0, 1)
    assert team.site.login("lab").json["success"] is False
    assert team.root("PATCH", f"/users/{team.id}", {"password": PASSWORD}, if_match="*").status_code == 200
    assert team.site.login("lab").json["success"] is False
    with pytest.raises(Conflict):
        sessions.begin(team.db, people.by_id(team.db, team.id) or {}, "proxy", "", "")
    assert team.people["mia"]("POST", "/teams", {"name": "lab"}).status_code == 409
    assert team.people["mia"]("POST", "/teams", {"name": "max"}).status_code == 409


MAY: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "", None, {"olga", "adele", "mia"}),
    ("GET", "/members", None, {"olga", "adele", "mia"}),
    ("GET", "/keys", None, {"olga", "adele", "mia"}),
    ("GET", "/budgets", None, {"olga", "adele", "mia"}),
    ("GET", "/usage", None, {"olga", "adele", "mia"}),
    ("GET", "/projects", None, {"olga", "adele", "mia"}),
    ("GET", "/tags", None, {"olga", "adele", "mia"}),
    ("POST", "/keys", {"name": "k", "unlimited": True}, {"olga", "adele", "mia"}),
    ("POST", "/keys", {"name": "k", "unlimited": True, "own": True}, {"olga", "adele"}),
    ("POST", "/members", {"username": "root"}, {"olga", "adele"}),
    ("POST", "/members", {"username": "root", "role": "owner"}, {"olga"}),
    ("PATCH", "/members/MAX", {"role": "administrator"}, {"olga", "adele"}),
    ("PATCH", "/members/MAX", {"role": "owner"}, {"olga"}),
    ("PATCH", "/members/OLGA", {"role": "member"}, set()),
    ("DELETE", "/members/MAX", None, {"olga", "adele"}),
    ("DELETE", "/members/OLGA", None, set()),
    ("POST", "/projects", {"name": "p"}, {"olga", "adele"}),
    ("POST", "/tags", {"name": "t"}, {"olga", "adele"}),
    ("POST", "/budgets", {"holder": "team", "period": "day", "unit": "quota", "amount": 5}, {"olga", "adele"}),
    ("POST", "/transfers", {"direction": "in", "amount": 5}, {"olga"}),
    ("PATCH", "", {"title": "Other"}, {"olga"}),
    ("DELETE", "", None, {"olga"}),
]


def test_a_change_names_what_was_read(team: Team) -> None:
    """428 without ``If-Match``, 412 after somebody else's change, and the tag of what was read does it."""
    key = team.key("mia")
    project = team("olga", "POST", "/projects", {"name": "p"}, 201)["id"]
    budget = team("olga", "POST", "/budgets", {"holder": "team", "period": "day", "unit": "quota", "amount": 5}, 201)[
        "id"
    ]
    ask, place = team.people["olga"], f"/teams/{team.id}"
    things = [
        (f"/keys/{key['id']}", {"name": "other"}, {"tags": []}),
        (f"/members/{team.members['max']}", {"role": "administrator"}, {"role": "member"}),
        (f"/projects/{project}", None, None),
        (f"/budgets/{budget}", None, None),
        ("", {"title": "New"}, {"title": "Newer"}),
    ]
    for path, first, second in things:
        read = ask("GET", place + path)
        tag = read.headers["etag"]
        for method, body in (*((("PATCH", first),) if first else ()), ("DELETE", None)):
            assert ask(method, place + path, body).status_code == 428, path
            assert ask(method, place + path, body, if_match='"other"').status_code == 412, path
        assert ask("GET", place + path).json == read.json
        if first:
            changed = ask("PATCH", place + path, first, if_match=tag)
            assert changed.status_code == 200, changed.text
            assert ask("PATCH", place + path, second, if_match=tag).status_code == 412, path
            assert ask("DELETE", place + path, if_match=tag).status_code == 412, path
            assert changed.headers["etag"] == ask("GET", place + path).headers["etag"] != tag
            tag = changed.headers["etag"]
        assert ask("DELETE", place + path, if_match=tag).status_code == 204, path
        assert ask("GET", place + path).status_code == 404, path


def _named(value: Any) -> str:
    """The same in every process, which the order of a set is not."""
    return " ".join(sorted(value)) if isinstance(value, set) else str(value or "-")


@pytest.mark.parametrize(("method", "path", "body", "may"), MAY, ids=_named)
def test_each_role_may_what_it_may_and_no_more(team: Team, method: str, path: str, body: Any, may: set[str]) -> None:
    for name in team.members:
        path = path.replace(name.upper(), str(team.members[name]))
    for name in ("stranger", "mia", "adele", "olga"):
        answer = team.people[name](method, f"/teams/{team.id}{path}", body, if_match="*")
        allowed = answer.status_code < 300
        assert allowed is (name in may), (name, answer.status_code, answer.text)
        if not allowed:  # nobody learns of a team from outside
            assert answer.status_code in ((404,) if name == "stranger" else (403, 409)), answer.text
        if allowed and method != "GET":
            return


def test_an_invitation_counts_when_it_is_accepted(team: Team) -> None:
    team("adele", "POST", "/members", {"username": "stranger"}, 201)
    stranger = team.people["stranger"]
    mine = stranger("GET", "/teams").json["items"]
    assert [(row["name"], row["invited"], row["may"]) for row in mine] == [("lab", True, [])]
    team("stranger", "GET", "/members", status=404)
    team("adele", "POST", "/members", {"username": "stranger"}, 409)
    team("stranger", "POST", "/invitation")
    assert [row["role"] for row in stranger("GET", "/teams").json["items"]] == ["member"]
    team("stranger", "DELETE", f"/members/{team('stranger', 'POST', '/invitation')['id']}")
    assert stranger("GET", "/teams").json["items"] == []
    team("adele", "POST", "/members", {"username": "stranger"}, 201)
    team("stranger", "DELETE", "/invitation")
    team("stranger", "POST", "/invitation", status=404)
    team("olga", "POST", "/members", {"username": "nobody there"}, 404)
    team("olga", "POST", "/members", {"username": "lab"}, 404)


def test_somebody_is_in_several_teams(team: Team) -> None:
    other = team.people["mia"]("POST", "/teams", {"name": "mias"}).json
    names = {row["name"]: row["role"] for row in team.people["mia"]("GET", "/teams").json["items"]}
    assert names == {"lab": "member", "mias": "owner"}
    assert team.people["olga"]("GET", f"/teams/{other['id']}").status_code == 404
    assert {row["name"] for row in team.root("GET", "/teams/all").json["items"]} == {"lab", "mias"}


def test_a_teams_key_calls_as_the_team_and_its_secret_is_the_members(team: Team) -> None:
    key = team.key("mia")
    account = team.account(key)
    assert account is not None
    assert (account.user_id, account.username, account.user_quota) == (team.id, "lab", 0)
    assert [row["member"] for row in team("mia", "GET", "/keys")] == ["mia"]
    assert team("max", "GET", "/keys") == []
    assert [row["key"] for row in team("adele", "GET", "/keys")] == [team("mia", "GET", "/keys")[0]["key"]]
    assert key["key"] not in str(team("adele", "GET", "/keys"))
    for name, status in (("max", 404), ("adele", 403), ("olga", 403)):
        team(name, "POST", f"/keys/{key['id']}/renew", status=status)
    team("max", "PATCH", f"/keys/{key['id']}", {"name": "x"}, 404)
    team("adele", "PATCH", f"/keys/{key['id']}", {"status": "disabled"})
    fresh = team("mia", "POST", f"/keys/{key['id']}/renew")
    assert team.account(key) is None
    assert team.account(fresh) is not None
    # the personal list and routes know nothing of it
    assert team.people["mia"]("GET", "/keys").json["items"] == []
    assert team.people["mia"]("GET", f"/keys/{key['id']}").status_code == 404


def test_who_leaves_or_is_switched_off_has_no_key_any_more(team: Team) -> None:
    mias, maxs = team.key("mia"), team.key("max")
    team("adele", "DELETE", f"/members/{team.members['mia']}")
    assert team.account(mias) is None
    assert team.account(maxs) is not None
    max_id = next(row["user_id"] for row in team("olga", "GET", "/members") if row["username"] == "max")
    assert team.root("PATCH", f"/users/{max_id}", {"status": "disabled"}, if_match="*").status_code == 200
    off = team.account(maxs)
    assert off is not None
    assert off.status == 2
    assert team.root("POST", f"/users/{max_id}/erase").status_code == 200
    assert team.account(maxs) is None
    assert [row["username"] for row in team("olga", "GET", "/members")] == ["olga", "adele"]


def test_a_team_never_loses_its_last_owner(team: Team) -> None:
    mine = team.members["olga"]
    team("olga", "PATCH", f"/members/{mine}", {"role": "member"}, 409)
    team("olga", "DELETE", f"/members/{mine}", status=409)
    team("olga", "PATCH", f"/members/{team.members['mia']}", {"role": "owner"})
    team("olga", "DELETE", f"/members/{mine}")
    assert [row["name"] for row in team.people["mia"]("GET", "/teams").json["items"]] == ["lab"]


def test_projects_and_tags_are_the_teams_and_keys_are_counted_for_them(team: Team) -> None:
    team("adele", "POST", "/projects", {"name": "crawler"}, 201)
    for name in ("night", "batch"):
        team("adele", "POST", "/tags", {"name": name}, 201)
    team("adele", "POST", "/tags", {"name": "batch"}, 409)
    key = team.key("mia", project="crawler", tags=["night", "batch"])
    assert (key["project"], key["tags"]) == ("crawler", ["batch", "night"])
    wrong = team("mia", "POST", "/keys", {"name": "k", "project": "crawlr"}, 400)
    assert "crawler" in str(wrong)
    changed = team("mia", "PATCH", f"/keys/{key['id']}", {"tags": ["night"], "project": ""})
    assert (changed["project"], changed["tags"]) == ("", ["night"])
    night = next(row["id"] for row in team("mia", "GET", "/tags") if row["name"] == "night")
    team("adele", "DELETE", f"/tags/{night}")
    assert team("mia", "GET", "/keys")[0]["tags"] == []
    team("adele", "DELETE", f"/projects/{night}", status=404)


def test_budgets_bind_only_what_is_of_the_team(team: Team) -> None:
    cap = {"period": "month", "unit": "quota", "amount": 100, "rollover": 50}
    member = team.members["mia"]
    set_one = team("adele", "POST", "/budgets", {**cap, "holder": "member", "holder_id": member}, 201)
    assert (set_one["name"], set_one["rollover"], set_one["used"], set_one["carried"]) == ("mia", 50, 0, 0)
    assert [row["holder"] for row in team.people["mia"]("GET", "/me/budgets").json["items"]] == ["member"]
    assert team("max", "GET", "/budgets") == []
    other = team.people["max"]("POST", "/teams", {"name": "maxs"}).json["id"]
    mine = team.people["max"]("GET", f"/teams/{other}/members").json["items"][0]["id"]
    for holder, which in (("member", mine), ("project", 1), ("key", 1), ("team", other)):
        team("adele", "POST", "/budgets", {**cap, "holder": holder, "holder_id": which}, 404)
    assert team.people["max"]("DELETE", f"/teams/{other}/budgets/{set_one['id']}", if_match="*").status_code == 404
    for wrong in ({"rollover": 101}, {"rollover": -1}, {"amount": -1}, {"period": "year"}, {"holder": "user"}):
        team("adele", "POST", "/budgets", {**cap, "holder": "member", "holder_id": member, **wrong}, 400)
    team("adele", "DELETE", f"/budgets/{set_one['id']}")


def test_money_goes_between_wallets_exactly(team: Team) -> None:
    olga = next(row["user_id"] for row in team("olga", "GET", "/members") if row["username"] == "olga")
    assert team("olga", "POST", "/transfers", {"direction": "in", "amount": 600}, 201) == {
        "balance": 400,
        "team_balance": 600,
    }
    team("olga", "POST", "/transfers", {"direction": "in", "amount": 401}, 409)
    team("olga", "POST", "/transfers", {"direction": "out", "amount": 601}, 409)
    for amount in (0, -5, 2**54):
        team("olga", "POST", "/transfers", {"direction": "in", "amount": amount}, 400)
    team("olga", "DELETE", "", status=409)  # there is money left
    assert team("root", "POST", "/transfers", {"direction": "out", "amount": 5}, 403)
    team("olga", "POST", "/transfers", {"direction": "out", "amount": 600}, 201)
    assert (team.balance(olga), team.balance(team.id)) == (1000, 0)
    key = team.key("mia")
    team("olga", "DELETE", "")
    assert team.account(key) is None
    assert proof.verify(team.db, team.db, team.site.worker.settings.data / "journal").agrees


def test_a_code_and_a_plan_are_bought_for_the_team_by_who_may_spend_its_money(team: Team) -> None:
    code = team.root("POST", "/codes", {"name": "gift", "quota": 700, "count": 1}).json["keys"][0]

    def redeem(name: str) -> Any:
        headers = {"authorization": f"Bearer {team.people[name].token}"}
        return team.site.ask("POST", "/api/user/topup", {"key": code, "team": team.id}, **headers).json

    for name in ("stranger", "mia", "adele"):
        assert redeem(name)["success"] is False
        assert team.balance(team.id) == 0
    assert redeem("olga") == {"success": True, "message": "", "data": 700}
    assert team.balance(team.id) == 700


def test_administrators_of_the_gateway_see_to_teams(team: Team) -> None:
    assert team("root", "GET", "")["role"] == "owner"
    added = team("root", "POST", "/members", {"username": "stranger"}, 201)
    assert added["joined_at"] > 0
    team("root", "PATCH", f"/members/{added['id']}", {"role": "owner"})
    assert team.root("POST", f"/users/{team.id}/grants", {"mode": "add", "amount": 50}).status_code == 201
    assert team("olga", "GET", "")["quota"] == 50
    assert team("mia", "GET", "")["quota"] == 0
    assert team.root("PATCH", f"/users/{team.id}", {"status": "disabled"}, if_match="*").status_code == 200
    key = team.key("mia")
    account = team.account(key)
    assert account is not None
    assert account.user_status == 2


def test_a_document_says_which_roles_may(team: Team) -> None:
    row = {"account_id": team.id, "terms": '{"rights": {"keys": "administrator", "wallet": "administrator"}}'}
    who = standing.Standing({**row, "id": team.id}, None, "member", None, standing.terms_of(row))  # type: ignore[arg-type]
    assert not who.may("keys")
    who = standing.Standing({**row, "id": team.id}, None, "administrator", None, standing.terms_of(row))  # type: ignore[arg-type]
    assert who.may("wallet")
    assert not who.may("team")
