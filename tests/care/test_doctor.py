"""Broken set-ups, each made by a function: the doctor names the cause first, and what mends it; it changes nothing."""

from __future__ import annotations

import http.server
import os
import re
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from engine import paths, program
from engine.care.doctor import Asked, documents, examine
from engine.compiler.cache import load_or_compile
from engine.ledger.journal import Journal, line
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.rows.posting import Entry
from tests.databases import SERVERS, server_database
from tests.support import UNPRICED, deaf_port, free_port

PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
extends: openai-compatible
spec: {baseUrl: BASE, models: [acme-1], CREDENTIAL}
"""


@dataclass
class Setup:
    """A set-up that is whole; functions below break it."""

    data: Path
    base: str
    stack: ExitStack
    environ: dict[str, str] = field(default_factory=dict)
    asked: dict[str, object] = field(default_factory=dict)
    specs: dict[str, str] = field(default_factory=dict)

    def provider(self, base: str = "", credential: str = "auth: {scheme: none}") -> None:
        self.specs["acme.yaml"] = PROVIDER.replace("BASE", base or self.base).replace("CREDENTIAL", credential)

    def sql(self, statement: str) -> None:
        db = open_database(Settings(data=self.data, crypto_secret=self.environ.get("CRYPTO_SECRET", "")))
        db.write(lambda connection: connection.execute(text(statement)).rowcount)
        db.close()


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers with a clock that may be wrong."""

    ahead = 0.0

    def do_HEAD(self) -> None:
        self.send_response_only(404)
        self.send_header("Date", self.date_time_string(int(time.time() + self.ahead)))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def upstream(ahead: float = 0) -> Iterator[str]:
    handler = type("Handler", (Upstream,), {"ahead": ahead})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def a_setting_that_cant_be_read(setup: Setup) -> None:
    setup.environ["PORT"] = "many"


def the_data_directory_is_a_file(setup: Setup) -> None:
    (setup.data / "a-file").write_text("")
    setup.environ["GATEWRIGHT_DATA"] = "a-file"


def no_write_right(setup: Setup) -> None:
    setup.environ["GATEWRIGHT_DATA"] = "/proc/sys"


def a_full_disk(setup: Setup) -> None:
    small = setup.data.with_name("small")
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    setup.stack.callback(subprocess.run, ["umount", str(small)], check=True)
    try:
        (small / "filled").write_bytes(bytes(65_536))
    except OSError:
        pass
    setup.environ["GATEWRIGHT_DATA"] = str(small)


def no_directory_of_documents(setup: Setup) -> None:
    setup.environ["GATEWRIGHT_SPECS"] = "none"


def a_port_in_use(setup: Setup) -> None:
    held = setup.stack.enter_context(socket.socket())
    held.bind(("127.0.0.1", 0))
    held.listen()
    setup.environ["PORT"] = str(held.getsockname()[1])


def an_unreadable_dsn(setup: Setup) -> None:
    setup.environ["SQL_DSN"] = "mongodb://u:hidden-word@h/x"


def nobody_at_the_database(setup: Setup) -> None:
    port = setup.stack.enter_context(deaf_port())
    setup.environ["SQL_DSN"] = f"postgres://u:hidden-word@127.0.0.1:{port}/x"


def a_wrong_password(setup: Setup) -> None:
    setup.environ["SQL_DSN"] = SERVERS["mysql"].replace("root:@", "nobody:hidden-word@") + "mysql"


def no_such_database(setup: Setup) -> None:
    setup.environ["SQL_DSN"] = SERVERS["postgresql"] + "no_such_database"


def no_such_database_on_the_other(setup: Setup) -> None:
    setup.environ["SQL_DSN"] = SERVERS["mysql"] + "no_such_database"


def a_database_host_without_address(setup: Setup) -> None:
    setup.environ["SQL_DSN"] = "postgres://u@nowhere.invalid/x"


def a_spoilt_file(setup: Setup) -> None:
    (setup.data / "gatewright.db").write_bytes(b"no database at all" * 500)


def a_database_of_another_program(setup: Setup) -> None:
    with closing(sqlite3.connect(setup.data / "gatewright.db")) as theirs:
        theirs.execute("CREATE TABLE users (id INTEGER)")
        theirs.commit()


def a_newer_schema(setup: Setup) -> None:
    setup.sql("UPDATE gatewright_alembic SET version_num = '9999'")
    setup.sql("INSERT INTO gatewright_facts (name, value) VALUES ('needs', '9998')")


def no_log_database(setup: Setup) -> None:
    setup.sql("SELECT 1")
    setup.environ["LOG_SQL_DSN"] = f"postgres://u@127.0.0.1:{setup.stack.enter_context(deaf_port())}/x"


def nobody_at_redis(setup: Setup) -> None:
    setup.environ["REDIS_CONN_STRING"] = f"redis://u:hidden-word@127.0.0.1:{setup.stack.enter_context(deaf_port())}"


def a_clock_set_back(setup: Setup) -> None:
    setup.sql(
        f"INSERT INTO gatewright_ledger (request_id, created_at, quota) VALUES ('r', {int(time.time()) + 3600}, 0)"
    )


def an_upstreams_clock_an_hour_off(setup: Setup) -> None:
    setup.provider(setup.stack.enter_context(upstream(ahead=-3600)))


def another_crypto_secret(setup: Setup) -> None:
    setup.environ["CRYPTO_SECRET"] = "the first secret of all"
    db = open_database(Settings(data=setup.data, crypto_secret="the first secret of all"))
    key = db.vault.seal("sk-vendor", "channels.key")
    db.close()
    setup.sql(f"INSERT INTO channels (id, type, \"key\", status, name, models) VALUES (1, 1, '{key}', 1, 'c', 'm')")
    setup.environ["CRYPTO_SECRET"] = "quite another secret"


def no_crypto_secret(setup: Setup) -> None:
    another_crypto_secret(setup)
    del setup.environ["CRYPTO_SECRET"]


def a_document_with_a_slip(setup: Setup) -> None:
    setup.specs["slip.yaml"] = UNPRICED.replace("unpriced: allow", "unprized: allow")


def a_missing_secret_file(setup: Setup) -> None:
    setup.provider(credential="credential: {secretRef: {file: acme.key}}")


def a_missing_variable(setup: Setup) -> None:
    setup.provider(credential="credential: {secretRef: {env: GATEWRIGHT_KEY_ACME}}")


def a_channel_type_nobody_knows(setup: Setup) -> None:
    setup.sql("INSERT INTO channels (id, type, \"key\", status, name, models) VALUES (1, 9999, 'k', 1, 'odd', 'm')")


def no_channel_at_all(setup: Setup) -> None:
    setup.specs.pop("acme.yaml")


def a_model_without_price(setup: Setup) -> None:
    setup.specs.pop("unpriced.yaml")


def a_name_that_does_not_resolve(setup: Setup) -> None:
    setup.provider("https://llm.acme.invalid/v1")


def a_private_address(setup: Setup) -> None:
    setup.environ["GATEWRIGHT_EGRESS_ALLOW"] = ""


def nobody_at_the_upstream(setup: Setup) -> None:
    setup.provider(f"http://127.0.0.1:{setup.stack.enter_context(deaf_port())}/v1")


def calls_that_nobody_books(setup: Setup) -> None:
    journal = Journal(setup.data / "journal")
    segment = journal.append(line(Entry("r", int(time.time()), 1, 1, 0, 5, True, "upstream", {})))
    os.close(segment.fd)


def a_proxy_that_buffers(setup: Setup) -> None:
    site(setup, "proxy_read_timeout 600s; client_max_body_size 64m; proxy_http_version 1.1;")


def a_proxy_that_cuts(setup: Setup) -> None:
    site(setup, "proxy_buffering off; client_max_body_size 64m; proxy_http_version 1.1;")


def site(setup: Setup, words: str) -> None:
    path = setup.data / "site.conf"
    path.write_text("location / {\n proxy_pass http://127.0.0.1:3000;\n" + words.replace("; ", ";\n ") + "\n}\n")
    setup.asked["proxies"] = (path,)


def something_else_at_the_public_address(setup: Setup) -> None:
    setup.asked["url"] = setup.base.removesuffix("/v1")


BROKEN: list[tuple[Callable[[Setup], None], str, str]] = [
    (a_setting_that_cant_be_read, "PORT: .*'many'", "correct PORT"),
    (the_data_directory_is_a_file, "is a file", "GATEWRIGHT_DATA"),
    (no_write_right, "no write right", "install -d"),
    (a_full_disk, "is full", "free some room: du"),
    (no_directory_of_documents, "is no directory", "mkdir -p"),
    (a_port_in_use, "in use by another program", "ss -ltnp"),
    (an_unreadable_dsn, "unknown kind of database", "SQL_DSN"),
    (nobody_at_the_database, "nobody answers", "systemctl start"),
    (a_wrong_password, "name or password is refused", "correct user and password"),
    (no_such_database, "no such database", "CREATE DATABASE"),
    (no_such_database_on_the_other, "no such database", "CREATE DATABASE"),
    (a_database_host_without_address, "does not resolve", "correct the host"),
    (a_spoilt_file, "no sound SQLite database", "gatewright restore"),
    (a_database_of_another_program, "not known here: .*table users lacks password", "name an empty database"),
    (a_newer_schema, "newer version", "pip install --upgrade"),
    (no_log_database, "nobody answers", "LOG_SQL_DSN"),
    (nobody_at_redis, "Redis does not answer", "REDIS_CONN_STRING"),
    (a_clock_set_back, "3[56].. s in the future", "timedatectl"),
    (an_upstreams_clock_an_hour_off, "3[56].. s apart", "timedatectl"),
    (another_crypto_secret, "CRYPTO_SECRET is not the one of then", "rotate --older"),
    (no_crypto_secret, "CRYPTO_SECRET is not set", "set CRYPTO_SECRET"),
    (a_document_with_a_slip, r"slip.yaml:4:\d+: .*unprized.*did you mean unpriced", "gatewright lint"),
    (a_missing_secret_file, "secret file acme.key can't be read", "chmod 600"),
    (a_missing_variable, "GATEWRIGHT_KEY_ACME is not set", "export the variable"),
    (a_channel_type_nobody_knows, "channel odd .*type 9999", "correct the channel"),
    (no_channel_at_all, "no channel", "write a Route"),
    (a_model_without_price, "no price for acme-1", "unpriced: allow"),
    (a_name_that_does_not_resolve, "llm.acme.invalid .*does not resolve", "getent hosts"),
    (a_private_address, "private or special address", "GATEWRIGHT_EGRESS_ALLOW=127.0.0.1:"),
    (nobody_at_the_upstream, "can't be reached", "curl -v"),
    (calls_that_nobody_books, "1 finished calls lie in journals", "gatewright serve"),
    (a_proxy_that_buffers, "buffered", "proxy_buffering off"),
    (a_proxy_that_cuts, "cut after 60 s", "proxy_read_timeout 300s"),
    (something_else_at_the_public_address, "answered by something else", "deploy/proxies"),
]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """An upstream that is well."""
    with upstream() as url:
        yield url


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was compiled once: most set-ups have the same documents."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def setup(base: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "programs").symlink_to(programs)
    monkeypatch.chdir(data)
    with ExitStack() as stack:
        made = Setup(data, base, stack)
        made.environ = {
            "GATEWRIGHT_DATA": "../data", "GATEWRIGHT_SPECS": "specs",
            "PORT": str(free_port()), "GATEWRIGHT_BIND": "127.0.0.1",
            "GATEWRIGHT_EGRESS_ALLOW": "127.0.0.0/8",
        }  # fmt: skip
        made.provider()
        made.specs["unpriced.yaml"] = UNPRICED
        yield made


def findings(setup: Setup) -> list:
    if setup.data.is_dir():
        (setup.data / "specs").mkdir(exist_ok=True)
        for name, words in setup.specs.items():
            (setup.data / "specs" / name).write_text(words)
        load_or_compile([paths.SPECS, Path("specs")], setup.data / "programs" / "cache")
    return examine(Asked(setup.environ, **setup.asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(("spoil", "cause", "mend"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
def test_the_cause_comes_first_with_what_mends_it(setup: Setup, spoil: Callable, cause: str, mend: str) -> None:
    spoil(setup)
    found = [one for one in findings(setup) if one.about not in ("counting", "limits")]
    assert found, "nothing was found"
    assert re.search(cause, found[0].cause), found
    assert mend in found[0].mend, found
    assert "hidden-word" not in str(found)
    assert "Traceback" not in str(found)


def test_a_whole_set_up_has_nothing_wrong_and_nothing_is_changed(setup: Setup) -> None:
    setup.sql("SELECT 1")
    findings(setup)
    before = times(setup)
    found = [one for one in examine(Asked(setup.environ)) if one.about not in ("counting", "limits")]
    assert found == []
    assert times(setup) == before


def test_old_books_of_prices_and_models_are_told_with_what_brings_newer_ones() -> None:
    artefact, _, _ = load_or_compile([paths.SPECS])
    assert artefact is not None
    compiled = program.load(artefact)
    newest = max(date.fromisoformat(model.read) for model in compiled.models if model.read)
    assert list(documents.aged(compiled, newest)) == []
    told = list(documents.aged(compiled, newest + timedelta(days=200)))
    assert [(one.severity, one.about) for one in told] == [("warning", "prices"), ("warning", "models")]
    assert re.fullmatch(r"the newest model book was read 200 days ago", told[1].cause)
    assert "gatewright models diff" in told[1].mend


def times(setup: Setup) -> dict[Path, int]:
    ours = (path for path in setup.data.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {path: path.stat().st_mtime_ns for path in ours}


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_is_well_is_left_alone(kind: str, setup: Setup, tmp_path: Path) -> None:
    with server_database(kind, tmp_path) as settings:
        setup.environ["SQL_DSN"] = settings.sql_dsn
        open_database(settings).close()
        assert [one for one in findings(setup) if one.severity == "error"] == []


def test_a_locked_file_is_told(setup: Setup) -> None:
    setup.sql("SELECT 1")
    holder = sqlite3.connect(setup.data / "gatewright.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert any("another program holds the file" in one.cause for one in findings(setup))
    finally:
        holder.close()
