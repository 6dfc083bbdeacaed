"""The support bundle: secrets are planted everywhere, and none of them is in it, in any spelling."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from engine.cli import main
from engine.settings import Settings
from engine.storage.database import open_database

NAMES = """channel second option oauth token access session crypto envkey other file header proxy patch dsn login"""
PLANTED = {name: f"{name}-Z9x/8+Yq7-{number:04d}-secret" for number, name in enumerate(NAMES.split())}
DOCUMENT = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
extends: openai-compatible
spec:
  # HEADER
  baseUrl: https://llm.acme.example/v1
  models: [acme-1]
  proxy: http://user:PROXY@proxy.example:3128
  auth: {scheme: none}
  headers: {set: {x-team: HEADER}}
  requestPatches: [{set: {api_key: PATCH}}]
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = tmp_path / "data"
    secrets, specs = data / "secrets", data / "specs"
    for directory in (secrets, specs):
        directory.mkdir(parents=True)
    (secrets / "vendor.key").write_text(PLANTED["file"])
    (data / "session.secret").write_text(PLANTED["session"])
    (data / "first.login").write_text(f"root {PLANTED['login']}")
    words = DOCUMENT
    for name in ("header", "proxy", "patch"):
        words = words.replace(name.upper(), PLANTED[name])
    (specs / "acme.yaml").write_text(words)
    (specs / "broken.yaml").write_text(f"a: [{PLANTED['header']}\n")
    for name, value in {
        "GATEWRIGHT_DATA": str(data), "CRYPTO_SECRET": PLANTED["crypto"], "GATEWRIGHT_KEY_X": PLANTED["envkey"],
        "OTHER_KEY": PLANTED["other"], "GATEWRIGHT_SECRET_ENV": "OTHER_KEY",
        "LOG_SQL_DSN": f"postgres://u:{PLANTED['dsn']}@127.0.0.1:9/logs",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    db = open_database(Settings(data=data, crypto_secret=PLANTED["crypto"]))
    sealed = db.vault.seal(PLANTED["channel"], "channels.key")
    rows = [
        ("INSERT INTO channels (id, type, \"key\", status, name, models, base_url, header_override) VALUES"
         " (1, 1, :one, 1, 'c', 'm', :two, :three)",
         {"one": sealed, "two": f"https://u:{PLANTED['second']}@h.example/v1",
          "three": json.dumps({"x": PLANTED["header"]})}),
        ("INSERT INTO options (\"key\", value) VALUES ('SMTPToken', :one)", {"one": PLANTED["option"]}),
        ("INSERT INTO options (\"key\", value) VALUES ('Footer', :one)", {"one": f"see {PLANTED['oauth']}"}),
        ("INSERT INTO tokens (user_id, \"key\", name) VALUES (1, :one, 'laptop')", {"one": PLANTED["token"]}),
        ("INSERT INTO users (id, username, password, access_token, email)"
         " VALUES (7, 'ann-of-acme', 'h', :one, 'a@b.example')",
         {"one": PLANTED["access"]}),
    ]  # fmt: skip
    db.write(lambda connection: [connection.execute(text(sql), values).rowcount for sql, values in rows])
    db.close()
    return data


def test_no_planted_secret_is_in_it(data: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["support-bundle", str(tmp_path / "out.tar.gz")])
    assert told.exit_code == 0, told.output
    assert (tmp_path / "out.tar.gz").stat().st_mode & 0o077 == 0
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        files = {one.name: archive.extractfile(one).read().decode() for one in archive}  # type: ignore[union-attr]
    assert {name.rpartition("/")[2] for name in files} == {
        "about.json", "settings.json", "doctor.json", "database.json", "acme.yaml", "broken.yaml"
    }  # fmt: skip
    whole = "\n".join(files.values()) + told.output
    for secret in PLANTED.values():
        spellings = {
            secret,
            quote(secret, safe=""),
            base64.b64encode(secret.encode()).decode(),
            secret.replace("/", "\\/"),
        }
        assert not any(one in whole for one in spellings), secret
    for person in ("ann-of-acme", "a@b.example", "8+Yq7"):
        assert person not in whole
    database = files["gatewright-support/database.json"]
    assert '"Footer"' in database
    assert '"h.example"' in database
    assert "acme-1" in files["gatewright-support/documents/acme.yaml"]


def test_a_place_that_cant_be_written_is_told(data: Path) -> None:
    told = CliRunner().invoke(main, ["support-bundle", "/proc/out.tar.gz"])
    assert (told.exit_code, "can't be written" in told.output) == (1, True)
