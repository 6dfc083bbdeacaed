"""Which logins there are and which are on: those of documents, and those that the console keeps.

A provider of the console (New API's `custom_oauth_providers`) is read as a Login document that somebody has written:
the same type, with functions in place of expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.errors import MappingError
from engine.identity import policy
from engine.program.outside.logins import (
    Login,
    LoginAuthorize,
    LoginClient,
    LoginCondition,
    LoginIdToken,
    LoginPerson,
    LoginRead,
    LoginToken,
)
from engine.storage.database import Database
from engine.storage.rows import jobs
from engine.storage.rows.crud import Row

PLACE = "custom_oauth_providers.client_secret"
_HEADER = 2


def is_on(login: Login, options: Mapping[str, str]) -> bool:
    """Whether the operator has switched it on and set all that it needs."""
    values = login.read(options)
    if not all(values[name].strip() for name in login.needs):
        return False
    try:
        return login.enabled is None or login.enabled([], values) is True
    except MappingError:
        return False


def every(db: Database, logins: Iterable[Login]) -> tuple[Login, ...]:
    """All of them, on or off: of one name the console's own stands behind the document's."""
    found = {login.name: login for login in logins}
    for row in jobs.everything(db, jobs.PROVIDERS):
        found.setdefault(str(row["slug"]), custom(db, row))
    return tuple(found.values())


def custom(db: Database, row: Row) -> Login:
    """A provider that the console keeps."""
    said: Callable[[str], str] = lambda name: str(row.get(name) or "").strip()  # noqa: E731
    # the secret is opened when it is used: one that can't be read must not shut the others' way
    secret = lambda *_: db.vault.open(row.get("client_secret") or "", PLACE)  # noqa: E731
    openid = "openid" in said("scopes").split() and bool(said("well_known"))
    conditions = policy.conditions(said("access_policy"), said("access_denied_message"))
    fields = {name: policy.field(said(f"{name}_field")) for name in ("user_id", "username", "display_name", "email")}

    def person(name: str) -> Callable[..., Any]:
        return lambda _, answers, claims, query: fields[name](answers.get("user"))

    def identity(_: Any, answers: Any, claims: Any, query: Any) -> Any:
        value = fields["user_id"](answers.get("user"))
        return str(value) if isinstance(value, float) and value.is_integer() else value

    return Login(
        name=said("slug"),
        title=said("name") or said("slug"),
        icon=said("icon"),
        enabled=lambda *_: bool(row.get("enabled")),
        discovery=(lambda *_: said("well_known")) if openid else None,
        client=LoginClient(lambda *_: said("client_id"), secret),
        authorize=LoginAuthorize(
            url=lambda *_: said("authorization_endpoint"),
            scopes=lambda *_: said("scopes"),
            pkce=openid,
            parameters=None,
            code=None,
        ),
        token=LoginToken(
            "POST",
            lambda *_: said("token_endpoint"),
            None,
            None,
            None,
            "header" if row.get("auth_style") == _HEADER else "body",
        ),
        id_token=LoginIdToken(None, None) if openid else None,
        reads=(LoginRead("user", "GET", lambda *_: said("user_info_endpoint"), None, None, None),),
        person=LoginPerson(
            id=identity,
            former_id=None,
            name=person("username"),
            display_name=person("display_name"),
            email=person("email"),
            email_verified=lambda _, answers, claims, query: policy.field("email_verified")(answers.get("user")),
        ),
        admit=tuple(LoginCondition(*pair) for pair in conditions),
        number=int(row["id"]),
    )


def shown(logins: Iterable[Login], options: Mapping[str, str]) -> list[dict[str, str]]:
    """Those that are on, as a page offers them: name, title, icon, and the way in (`redirect`, `proof` or `code`)."""
    return [
        {"name": login.name, "title": login.title, "icon": login.icon, "way": way(login)}
        for login in logins
        if is_on(login, options)
    ]


def way(login: Login) -> str:
    """How people come in by it."""
    return "redirect" if login.authorize is not None else "proof" if login.proof is not None else "code"
