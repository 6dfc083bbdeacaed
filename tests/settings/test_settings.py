"""Settings: where values come from, how they are read, what is said about faults, and the page that lists them."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import settings
from engine.cli import main
from engine.cli.settings import command
from engine.settings import page, retired
from engine.settings.values import Settings


@pytest.fixture
def load(tmp_path):
    def of(environ=None, dotenv=None, **given):
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv)
        return settings.load(environ or {}, directory=tmp_path, **given)

    return of


def test_defaults_hold_without_any_variable(load):
    assert load() == Settings()
    assert load().port == 3000
    assert load().max_request_body == 32 * 1024 * 1024


def test_environment_goes_over_the_file_and_the_command_line_over_both(load):
    dotenv = "PORT=4001\nSYNC_FREQUENCY=7\n"
    chosen = load({"PORT": "4002"}, dotenv)
    assert (chosen.port, chosen.sync_frequency) == (4002, 7)
    assert dict(chosen.sources) == {"PORT": "environment", "SYNC_FREQUENCY": ".env"}
    chosen = load({"PORT": "4002"}, dotenv, port=4003)
    assert chosen.port == 4003
    assert dict(chosen.sources)["PORT"] == "command line"


def test_empty_means_not_set(load):
    assert load({"PORT": "", "DEBUG": "  "}, "PORT=4001\n").port == 4001


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True", "yes", "on", " true "])
def test_one_parser_reads_every_way_to_say_true(load, text):
    assert load({"DEBUG": text}).debug is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False", "no", "off"])
def test_one_parser_reads_every_way_to_say_false(load, text):
    assert load({"FORCE_STREAM_OPTION": text}).force_stream_option is False


BAD = [
    ("DEBUG", "maybe", "expected true or false"),
    ("PORT", "http", "a port from 1 to 65535"),
    ("PORT", "70000", "a port from 1 to 65535"),
    ("PORT", "3e3", "a port"),
    ("MAX_REQUEST_BODY_MB", "0", "1 or more"),
    ("SHUTDOWN_TIMEOUT_SECONDS", "-1", "0 or more"),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "addresses or CIDRs"),
    ("GATEWRIGHT_EGRESS_ALLOW", "localhost:80", "such as 10.0.0.0/8"),
    ("GATEWRIGHT_EGRESS_ALLOW", "10.0.0.1/8", "such as 10.0.0.0/8"),
    ("GATEWRIGHT_EGRESS_ALLOW", "10.0.0.0/8:99999", "such as 10.0.0.0/8"),
    ("GATEWRIGHT_SECRET_ENV", "A B-C", "names of environment variables"),
]


@pytest.mark.parametrize(("name", "text", "expected"), BAD)
def test_value_that_cant_be_read_stops_the_start_and_says_what_was_expected(load, name, text, expected):
    with pytest.raises(settings.SettingsError) as caught:
        load({name: text})
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{name}: ")


def test_all_faults_are_told_at_once(load):
    with pytest.raises(settings.SettingsError) as caught:
        load({"PORT": "x", "DEBUG": "x"})
    assert len(caught.value.faults) == 2


def test_secret_of_the_sample_file_is_refused_without_being_shown(load):
    with pytest.raises(settings.SettingsError, match="a secret of your own"):
        load({"CRYPTO_SECRET": "random_string"})


def test_secret_may_come_from_a_file(load, tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    chosen = load({"CRYPTO_SECRET_FILE": str(tmp_path / "secret")})
    assert chosen.crypto_secret == "from a file"
    with pytest.raises(settings.SettingsError, match="CRYPTO_SECRET_FILE"):
        load({"CRYPTO_SECRET_FILE": str(tmp_path / "missing")})


def test_lists_and_networks_are_read(load):
    chosen = load(
        {
            "TRUSTED_PROXIES": "10.0.0.1, 192.168.0.0/16 fd00::/8",
            "GATEWRIGHT_EGRESS_ALLOW": "10.0.0.0/8 127.0.0.1:9000,[::1]:80,[fd00::]/8:443 fd00::/8",
            "GATEWRIGHT_SECRET_ENV": "ONE,TWO",
        }
    )
    assert chosen.trusted_proxies == tuple(map(ip_network, ("10.0.0.1", "192.168.0.0/16", "fd00::/8")))
    assert chosen.egress_allow == ("10.0.0.0/8", "127.0.0.1:9000", "[::1]:80", "[fd00::]/8:443", "fd00::/8")
    assert chosen.secret_env == ("ONE", "TWO")
    assert load({"TRUSTED_PROXIES": "none"}).trusted_proxies == ()


DOTENV = [
    ("A=1", "1"),
    ("export A=1", "1"),
    ("  A = 1  ", "1"),
    ("A='a # b'", "a # b"),
    ('A="a # b" # c', "a # b"),
    ("A=a # b", "a"),
    ("A=a#b", "a#b"),
    ("A=", ""),
    ("# A=1\n\nA=2", "2"),
]


@pytest.mark.parametrize(("text", "value"), DOTENV)
def test_lines_of_the_env_file(tmp_path, text, value):
    (tmp_path / ".env").write_text(text)
    assert settings.read_dotenv(tmp_path / ".env") == {"A": value}


def test_line_of_the_env_file_that_is_none_is_told_by_its_number(load):
    with pytest.raises(settings.SettingsError, match=r"\.env:2: expected NAME=value"):
        load({}, "PORT=1\nnonsense\n")


def test_names_that_are_read_no_more_give_a_warning(load):
    said = load({"MEMORY_CACHE_ENABLED": "true", "SEARCH_RATE_LIMIT": "x", "HOME": "/"}).warnings
    assert len(said) == 2
    assert "MEMORY_CACHE_ENABLED" in said[0]


def test_a_slip_in_a_name_of_ours_is_told_with_the_right_one(load):
    said = load({"GATEWRIGHT_WORKER": "2", "GATEWRIGHT_PORT_3000_TCP_ADDR": "10.0.0.1", "GATEWRIGHT_KEY_ACME": "x"})
    assert said.warnings == ("GATEWRIGHT_WORKER is set but nobody reads it; did you mean GATEWRIGHT_WORKERS?",)


def test_no_name_is_both_read_and_retired():
    names = [row.name for row in settings.rows()]
    assert len(set(names)) == len(names)
    assert not set(names) & (set(retired.GONE) | retired.LATER)


def test_list_of_settings_masks_secrets(load):
    chosen = load({"SQL_DSN": "postgres://u:hunter2@h/d", "CRYPTO_SECRET": "hunter2", "PORT": "1"})
    rows = {row["name"]: row for row in settings.describe(chosen)}
    assert "hunter2" not in json.dumps(rows)
    assert rows["SQL_DSN"]["value"] == "********"
    assert rows["LOG_SQL_DSN"]["value"] == ""
    assert (rows["PORT"]["value"], rows["PORT"]["source"]) == ("1", "environment")
    assert rows["DEBUG"]["source"] == "default"


def test_settings_cant_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1


def test_directories_follow_from_data(tmp_path):
    chosen = Settings(data=tmp_path)
    assert chosen.database_path == str(tmp_path / "gatewright.db")
    assert chosen.spec_directory == tmp_path / "specs"
    assert dataclasses.replace(chosen, specs=Path("/x")).spec_directory == Path("/x")
    assert dataclasses.replace(chosen, sqlite_path="/y?z=1").database_path == "/y?z=1"


def test_page_is_current():
    assert page.is_current(), "run python -m engine.settings --write"


def test_command_lists_value_and_source(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, ["--json"], env={"PORT": "4004", "CRYPTO_SECRET": "hunter2"})
    rows = {row["name"]: row for row in json.loads(done.output)["settings"]}
    assert rows["PORT"]["value"] == "4004"
    assert "hunter2" not in done.output
    assert "4004  " in CliRunner().invoke(command, env={"PORT": "4004"}).output


def test_command_tells_faults_and_fails(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["settings"], env={"PORT": "no"})
    assert done.exit_code == 1
    assert "PORT: expected a port" in done.output
