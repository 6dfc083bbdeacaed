"""Where commands over releases work: on the database of the settings, or on a server by its address and a token.

Both answer the same questions with the same plain data (``engine.releases.reading`` and ``.doings``).
"""

from __future__ import annotations

import getpass
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, NoReturn, Protocol, TypeVar

import click

from engine import settings
from engine.cli import _common
from engine.cli.gitops import _rows_here
from engine.errors import Conflict, Forbidden, GatewrightError, Invalid, NotFound, Unavailable
from engine.releases import checking, publishing, reading
from engine.releases.doings import Services
from engine.storage.database import Database, open_database
from engine.storage.releases.acting import acting
from engine.storage.releases.documents import Author

SAME, FAULT, DIFFERS = 0, 1, 2
"""Exit codes: nothing differs, something is wrong, something differs."""
Command = TypeVar("Command", bound=Callable[..., Any])
_READ = {
    *("status", "releases", "release", "diff", "listed", "revisions", "blame", "trials", "canaries", "canary"),
    *("captures", "capture", "watched"),
}
_COMPILED = {"plan", "apply", "rollback", "begin_trial", "publish_draft", "promote_canary"}
"""What takes a compile."""
PREFIX = "/api/v2"
_ROUTES = {
    "status": ("GET", "/releases/status"),
    "releases": ("GET", "/releases"),
    "release": ("GET", "/releases/{number}"),
    "diff": ("GET", "/releases/{newer}/diff"),
    "listed": ("GET", "/documents?texts=true"),
    "revisions": ("GET", "/documents/{kind}/history"),
    "blame": ("GET", "/documents/{kind}/blame"),
    "plan": ("POST", "/releases/plan"),
    "apply": ("POST", "/releases/apply"),
    "rollback": ("POST", "/releases/rollback"),
    "trials": ("GET", "/releases/trials"),
    "begin_trial": ("POST", "/releases/trials"),
    "end_trial": ("DELETE", "/releases/trials/{id}"),
    "canaries": ("GET", "/releases/canaries"),
    "canary": ("GET", "/releases/canaries/{number}"),
    "begin_canary": ("POST", "/releases/canaries"),
    "promote_canary": ("POST", "/releases/canaries/promote"),
    "drop_canary": ("POST", "/releases/canaries/drop"),
    "drafts": ("GET", "/drafts"),
    "draft": ("GET", "/drafts/{id}"),
    "approve_draft": ("POST", "/drafts/{id}/approve"),
    "publish_draft": ("POST", "/drafts/{id}/publish"),
    "rows": ("GET", "/rows"),
    "row_diff": ("GET", "/rows/{id}/diff"),
    "undo_row": ("POST", "/rows/{id}/undo"),
    "drop_row": ("POST", "/rows/{kind}/{name}/drop"),
    "row_history": ("GET", "/rows/{kind}/{name}/history"),
    "row_blame": ("GET", "/rows/{kind}/{name}/blame"),
    "captures": ("GET", "/captures"),
    "capture": ("GET", "/captures/{id}"),
    "drop_capture": ("DELETE", "/captures/{id}"),
    "watched": ("GET", "/captures/keys"),
    "watch_key": ("PUT", "/captures/keys/{token_id}"),
    "unwatch_key": ("DELETE", "/captures/keys/{token_id}"),
    "secrets": ("GET", "/secrets"),
    "put_secret": ("PUT", "/secrets/{name}"),
    "drop_secret": ("DELETE", "/secrets/{name}"),
}
"""Where a server answers each question."""
_ERRORS: dict[int, type[GatewrightError]] = {404: NotFound, 409: Conflict, 403: Forbidden, 401: Forbidden}
_FAULTS = 422
_MOST_REPLY = 64 * 1024 * 1024


class Site(Protocol):
    """Asked by name, as ``ask("plan", files=..., owner=...)``."""

    def ask(self, what: str, **values: Any) -> Any: ...
    def wait(self, number: int, seconds: float) -> list[str]: ...


class Here:
    """The database of the settings, and the documents beside it."""

    def __init__(self) -> None:
        self.settings = settings.load(os.environ)
        self.settings.put_in_force()
        self.directories = [path for _, path in self.settings.spec_layers]
        self._db: Database | None = None
        self._services = Services(lambda: self.db, self.directories)

    @property
    def db(self) -> Database:
        """The database, opened when first asked for."""
        if self._db is None:
            self._db = open_database(self.settings)
        return self._db

    def ask(self, what: str, **values: Any) -> Any:
        """See ``Site``."""
        if what in _rows_here.HERE:
            if what == "undo_row":
                self.db.pinned = checking.pinned_of(publishing.ground(self.db, self.directories))
            with acting(Author(0, author())):
                return _rows_here.HERE[what](self.db, **values)
        if what in _READ:
            return getattr(reading, what)(self.db, **values)
        more = {"replays": True} if what == "plan" else {}
        asked = {**values, **more, "author": {"id": 0, "name": author()}, "root": True}
        with _common.standing_work(self.settings) if what in _COMPILED else nullcontext():
            return getattr(self._services, what)(asked)

    def wait(self, number: int, seconds: float) -> list[str]:
        """The names of the machines, once all run release ``number``."""
        return [machine.name for machine in publishing.wait(self.db, number, seconds)]

    def close(self) -> None:
        """Give connections back."""
        if self._db is not None:
            self._db.close()


class There:
    """A server. The token is sent to it alone: it follows no redirect."""

    def __init__(self, base: str, token: str) -> None:
        if not base.startswith(("https://", "http://")):
            raise Invalid("--server", f"{base!r} is no address", "write https://HOST")
        self._base = base.rstrip("/")
        self._token = token
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, what: str, **values: Any) -> Any:
        """See ``Site``."""
        method, path = _ROUTES[what]
        filled = path.format_map({name: urllib.parse.quote(str(value), safe="") for name, value in values.items()})
        if method != "GET":
            rest = {name: value for name, value in values.items() if "{" + name + "}" not in path}
            return self._send(method, filled, None if method == "DELETE" else rest)
        query = {name: value for name, value in values.items() if "{" + name + "}" not in path and name != "text"}
        reply = self._send(method, filled + ("?" + urllib.parse.urlencode(query) if query else ""), None)
        if what == "listed":
            return {"release": reply["release"], "documents": reply["items"]}
        return reply.get("items", reply)

    def wait(self, number: int, seconds: float) -> list[str]:
        """As ``Here.wait``."""
        end = time.monotonic() + seconds
        while True:
            there = [machine for machine in self.ask("status")["machines"] if not machine["silent"]]
            behind = [machine for machine in there if machine["release"] < number]
            if not behind:
                return [machine["name"] for machine in there]
            if time.monotonic() > end:
                words = "; ".join(
                    f"{machine['name']} runs {machine['release']} {' '.join(machine['faults'][:1])}"
                    for machine in behind
                )
                raise Unavailable(f"release {number} is published, but does not run everywhere: {words}")
            time.sleep(0.2)

    def _send(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the schemes were looked at
            self._base + PREFIX + path,
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self._token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=180) as answer:
                return json.loads(answer.read(_MOST_REPLY) or b"null")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _FAULTS:
                    return json.loads(error.read(_MOST_REPLY))
                self._refused(error)
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self._base} does not answer as a gateway does: {error}") from None

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        words = f"{self._base} answers {error.code}"
        with suppress(ValueError, AttributeError):
            answer = json.loads(error.read(1 << 20))
            words = answer.get("detail") or answer.get("message") or words
        raise _ERRORS.get(error.code, Unavailable)(words) from None

    def close(self) -> None:
        """Nothing is held open."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to nobody whom its owner did not name."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def author() -> str:
    """Who sits at this terminal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "gatewright"


def site_options(command: Command) -> Command:
    """The options that say where a command works."""
    where = click.option(
        "--server", metavar="URL", help="A server to work on (GATEWRIGHT_SERVER); without it, this machine's database."
    )
    return where(_common.as_json(command))


def site(server: str | None) -> Here | There:
    """The site of a command's options; it is closed when the command ends."""
    chosen = settings.load(os.environ)
    base = server or chosen.server
    if not base:
        place: Here | There = Here()
    else:
        if not chosen.token:
            raise Invalid(
                "GATEWRIGHT_TOKEN", "no access token is given", "set it to one that a user made in the console"
            )
        place = There(base, chosen.token)
    click.get_current_context().call_on_close(place.close)
    return place


def title(text: str) -> tuple[str, str]:
    """KIND/NAME in two."""
    kind, slash, name = text.partition("/")
    if not (slash and kind and name):
        raise click.UsageError(f"{text!r} names no document: write KIND/NAME, as Price/house")
    return kind, name


def show_faults(faults: list[dict[str, Any]]) -> None:
    """Faults as people read them, on the error stream."""
    for fault in faults:
        place = f"{fault['file']}:{fault['line']}:{fault['column']}"
        click.echo(f"{place}: {fault['severity']}: {fault['message']} [{fault['code']}]", err=True)
        for name in ("expected", "found"):
            if name in fault:
                click.echo(f"  {name}: {fault[name]}", err=True)
        if "nearest" in fault:
            click.echo(f"  did you mean: {fault['nearest']}", err=True)
        if str(fault.get("text", "")).strip():
            click.echo(f"{fault['line']:>5} | {fault['text']}", err=True)


def show_dropped(answer: dict[str, Any]) -> None:
    """The canary that ended with a release."""
    if answer.get("canary"):
        click.echo(
            f"canary {answer['canary']} was dropped: the release that it was compared with is not in force any more"
        )


def when(seconds: int) -> str:
    """A moment in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"
