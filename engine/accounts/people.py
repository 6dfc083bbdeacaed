"""What users may do to themselves and administrators to users: the rules of the management API.

Takes rows and ids, gives rows; refusals have words in every language. Nobody changes a user of the own role or a higher
one, except root; root itself can't be disabled, deleted or demoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from engine import paths
from engine.accounts import credit, invitations, passwords
from engine.accounts.keys import new_id, present, random_text
from engine.accounts.users import create_user
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.storage.database import Database
from engine.storage.rows import logins, people
from engine.storage.rows.api import rules, teams
from engine.storage.rows.crud import Guard, Row
from engine.storage.values import ADMIN, DISABLED, ENABLED, ROOT
from engine.texts import refusal

__all__ = ["Person", "new_id", "present"]
NAME, PASSWORD, SHORTEST = 20, 20, 8
LANGUAGES = ("en", "zh", "zh-CN", "zh-TW", "fr", "ja", "ru", "vi")
BINDINGS = {
    "email": "email",
    "github": "github_id",
    "discord": "discord_id",
    "oidc": "oidc_id",
    "wechat": "wechat_id",
    "telegram": "telegram_id",
    "linuxdo": "linux_do_id",
}
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
_MOST_QUOTA = 2**53


class Person:
    """A user's row with what is read out of it."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.id: int = row["id"]
        self.role: int = row.get("role") or 0
        self.username: str = row.get("username") or ""
        self.group: str = row.get("group") or "default"
        self.setting: dict[str, Any] = _object(row.get("setting"))

    @property
    def language(self) -> str:
        """The language that was chosen, or nothing."""
        return str(self.setting.get("language") or "")


def _object(text: Any) -> dict[str, Any]:
    try:
        value = orjson.loads(text) if text else {}
    except (orjson.JSONDecodeError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def is_email(text: str) -> bool:
    """Whether this may be an e-mail address."""
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def checked_name(name: str) -> str:
    """A user's name, trimmed; raises ``Invalid``."""
    name = name.strip()
    if not name or len(name) > NAME:
        raise refusal(Invalid, "invalid.field", field="username", what=f"1 to {NAME} characters")
    return name


def checked_password(password: str) -> str:
    """A password of a length that the family's programs take; raises ``Invalid``."""
    if not SHORTEST <= len(password) <= PASSWORD:
        raise refusal(Invalid, "invalid.field", field="password", what=f"{SHORTEST} to {PASSWORD} characters")
    return password


def lower(db: Database, actor: Person, which: int, key: str = "user.higher") -> Row:
    """A user whom the actor may change."""
    row = people.by_id(db, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    if actor.role != ROOT and actor.role <= (row.get("role") or 0):
        raise refusal(Forbidden, key)
    return row


def create(db: Database, actor: Person, name: str, password: str, display: str, role: int) -> Row:
    """Make a user below the actor."""
    if not name.strip() or not password:
        raise refusal(Invalid, "invalid")
    name, password = checked_name(name), checked_password(password)
    _display(display)
    if role >= actor.role:
        raise refusal(Forbidden, "user.create.role")
    if role not in (1, ADMIN):
        raise refusal(Invalid, "invalid.field", field="role", what="1 or 10")
    if people.taken(db, name):
        raise refusal(Conflict, "user.exists")
    which = create_user(
        db, name, password, role=role, quota=0, display_name=display or name, setting=first_setting(role)
    )
    return people.by_id(db, which) or {}


def first_setting(role: int, language: str = "") -> str:
    """What a new user's setting begins with: which parts of the console are shown."""
    modules = orjson.loads((paths.CATALOGUE / "sidebar.json").read_bytes())["admin" if role >= ADMIN else "user"]
    setting = {"gotify_priority": 0, "sidebar_modules": orjson.dumps(modules).decode()}
    return orjson.dumps({**setting, **({"language": language} if language else {})}).decode()


def register(db: Database, name: str, password: str, code: str, language: str, email: str = "") -> Row:
    """Make an ordinary user who asked to be one; ``code`` is of who invited, and counts only where it is known."""
    password = checked_password(password)
    name = checked_name(name)
    if people.taken(db, name):
        raise refusal(Conflict, "user.exists")
    if code:
        try:
            db.write(lambda connection: invitations.inviter(db, connection, code))
        except NotFound:
            code = ""
    _free(db, email)
    setting = first_setting(1, language)
    which = create_user(db, name, password, display_name=name, invited_by=code, setting=setting, email=email)
    return people.by_id(db, which) or {}


def _free(db: Database, email: str) -> None:
    if email and people.by_email(db, email) is not None:
        raise refusal(Conflict, "email.taken")


def bind_email(db: Database, person: Person, email: str) -> None:
    """Make an address a user's that nobody has."""
    _free(db, email)
    db.write(lambda connection: people.change(db, connection, person.id, {"email": email}))


def _display(name: str) -> None:
    if len(name) > NAME:
        raise refusal(Invalid, "invalid.field", field="display_name", what=f"{NAME} characters at most")


def edit(db: Database, actor: Person, which: int, body: Mapping[str, Any], guard: Guard | None = None) -> Row:
    """Change what is given of a user."""
    row = lower(db, actor, which)
    values = _edited(db, actor, row, body)
    quota, password = body.get("quota"), body.get("password") or ""
    if quota is not None and not 0 <= quota <= _MOST_QUOTA:
        raise refusal(Invalid, "invalid.field", field="quota", what=f"0 to {_MOST_QUOTA}")

    def work(connection: Any) -> None:
        people.guarded(db, connection, which, guard)
        if quota is not None:
            credit.give_user(connection, which, quota - (row.get("quota") or 0), "admin", f"by {actor.username}")
        ends = bool(password) or any(values.get(name, row.get(name)) != row.get(name) for name in ("group", "role"))
        people.change(db, connection, which, values, end=ends)
        if values.get("status", ENABLED) != ENABLED:
            teams.switch_off(db, connection, which)
        if "role" in values:
            rules.drop(db, connection, which)

    db.write(work)
    return people.by_id(db, which) or {}


def _edited(db: Database, actor: Person, row: Row, body: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a body sets of a user."""
    values = _rank(actor, row, body)
    if body.get("username"):
        values["username"] = checked_name(body["username"])
    if body.get("display_name"):
        _display(body["display_name"])
        values["display_name"] = body["display_name"]
    if body.get("group"):
        values["group"] = bounded("group", body["group"], 64)
    if body.get("remark") is not None:
        values["remark"] = bounded("remark", body["remark"], 255)
    if body.get("password"):
        name = str(values.get("username") or row["username"])
        values["password"] = passwords.hash_password(checked_password(body["password"]), name)
    if values.get("username", row["username"]) != row["username"] and people.taken(db, values["username"]):
        raise refusal(Conflict, "user.exists")
    return values


def _rank(actor: Person, row: Row, body: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a change of role or state."""
    values: dict[str, Any] = {}
    role, status = body.get("role"), body.get("status")
    if role is not None and role != row.get("role"):
        if actor.role != ROOT:
            raise refusal(Forbidden, "user.promote.root")
        if row.get("role") == ROOT:
            raise refusal(Forbidden, "user.root.demote")
        if role not in (1, ADMIN):
            raise refusal(Invalid, "invalid.field", field="role", what="1 or 10")
        values["role"] = role
    if status is not None and status != row.get("status"):
        if row.get("role") == ROOT:
            raise refusal(Forbidden, "user.root.disable")
        values["status"] = status
    return values


def bounded(field: str, text: str, most: int) -> str:
    """A text that the column holds."""
    if len(text) > most:
        raise refusal(Invalid, "invalid.field", field=field, what=f"{most} characters at most")
    return text


def change_self(db: Database, person: Person, body: Mapping[str, Any]) -> bool:
    """Change the own name or password; whether the password changed, which ends other logins."""
    values: dict[str, Any] = {}
    name, display, password = (str(body.get(key) or "") for key in ("username", "display_name", "password"))
    if len(name) > NAME or len(display) > NAME or (password and not SHORTEST <= len(password) <= PASSWORD):
        raise refusal(Invalid, "invalid.input")
    if name and name.strip() != person.username:
        values["username"] = checked_name(name)
        if people.taken(db, values["username"]):
            raise refusal(Conflict, "user.exists")
    if display:
        values["display_name"] = display
    if password:
        kept = person.row.get("password") or ""
        # who came from outside has none yet, and chooses the first one
        if kept and not passwords.check_password(str(body.get("original_password") or ""), kept):
            raise refusal(Conflict, "self.password")
        values["password"] = passwords.hash_password(password, name.strip() or person.username)
    db.write(lambda connection: people.change(db, connection, person.id, values, end=bool(password)))
    return bool(password)


def put_setting(db: Database, person: Person, values: Mapping[str, Any]) -> None:
    """Change members of the own setting; the others stay."""
    text = orjson.dumps({**person.setting, **values}).decode()
    if len(text) > 60_000:
        raise refusal(Invalid, "invalid.field", field="setting", what="60000 characters at most")
    db.write(lambda connection: people.change(db, connection, person.id, {"setting": text}))


def give(db: Database, actor: Person, which: int, mode: str, value: int, why: str = "") -> int:
    """Add to, take from or set a balance; the new one. Who did it and why stands beside the amount."""
    row = lower(db, actor, which)
    if mode not in ("add", "subtract", "override"):
        raise refusal(Invalid, "invalid")
    if mode != "override" and value <= 0:
        raise refusal(Invalid, "user.quota.zero")
    if not 0 <= value <= _MOST_QUOTA:
        raise refusal(Invalid, "invalid.field", field="value", what=f"0 to {_MOST_QUOTA}")
    balance = row.get("quota") or 0
    amount = {"add": value, "subtract": -value, "override": value - balance}[mode]
    reference = f"by {actor.username}{f': {why}' if why else ''}"
    return db.write(lambda connection: credit.give_user(connection, which, amount, "admin", reference))


def set_status(db: Database, actor: Person, which: int, *, enabled: bool) -> Row:
    """Let a user in or keep it out."""
    row = lower(db, actor, which)
    if row.get("role") == ROOT and not enabled:
        raise refusal(Forbidden, "user.root.disable")
    status = ENABLED if enabled else DISABLED

    def work(connection: Any) -> None:
        # its logins are refused meanwhile, and hold again after it: a pause is no change of who knows the password
        people.change(db, connection, which, {"status": status})
        if not enabled:
            teams.switch_off(db, connection, which)

    db.write(work)
    return {**row, "status": status}


def set_role(db: Database, actor: Person, which: int, *, admin: bool) -> Row:
    """Make an administrator of a user, or a user of an administrator."""
    row = lower(db, actor, which)
    if admin and actor.role != ROOT:
        raise refusal(Forbidden, "user.promote.root")
    if admin and (row.get("role") or 0) >= ADMIN:
        raise refusal(Conflict, "user.admin.already")
    if not admin and row.get("role") == ROOT:
        raise refusal(Forbidden, "user.root.demote")
    if not admin and row.get("role") == 1:
        raise refusal(Conflict, "user.common.already")
    role = ADMIN if admin else 1

    def work(connection: Any) -> None:
        people.change(db, connection, which, {"role": role}, end=True)
        rules.drop(db, connection, which)

    db.write(work)
    return {**row, "role": role}


def delete(db: Database, actor: Person, which: int, *, hard: bool, guard: Guard | None = None) -> None:
    """Delete a user with its keys and logins; a user may delete itself."""
    row = people.by_id(db, which) if which == actor.id else lower(db, actor, which)
    if row is None:
        raise refusal(NotFound, "not_found")
    if row.get("role") == ROOT:
        raise refusal(Forbidden, "user.higher" if hard else "user.root.delete")

    def work(connection: Any) -> None:
        people.guarded(db, connection, which, guard)
        logins.end(db, connection, which)
        logins.drop_access_tokens(db, connection, which)
        rules.drop(db, connection, which)
        teams.leave_all(db, connection, which)
        (people.erase if hard else people.bury)(db, connection, which)

    db.write(work)


def unbind(db: Database, actor: Person, which: int, kind: str) -> None:
    """Take an outside identity from a user."""
    lower(db, actor, which)
    if kind not in BINDINGS:
        raise refusal(Invalid, "user.binding")
    db.write(lambda connection: people.change(db, connection, which, {BINDINGS[kind]: ""}))


def invitation_code(db: Database, person: Person) -> str:
    """The own code for invitations; one is made where there is none."""
    code = str(person.row.get("aff_code") or "").rstrip()
    if not code:
        code = random_text(8)
        db.write(lambda connection: people.change(db, connection, person.id, {"aff_code": code}))
    return code
