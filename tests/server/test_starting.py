"""What ``gatewright serve`` says and does before it serves."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import paths
from engine.jobs.runner import Runner
from engine.releases.stored import Stored
from engine.server import demo, starting
from engine.server.application import Gateway
from engine.server.faults import StartError
from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.releases import machines

ROOT = Path(__file__).resolve().parents[2]


def serve(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", "serve", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_setting_that_cant_be_read_ends_the_start_with_one_sentence(tmp_path):
    done = serve("--data", str(tmp_path), PORT="x")
    assert done.returncode == 1
    assert done.stderr.startswith("gatewright: PORT: expected a port")
    assert "Traceback" not in done.stderr


def test_port_in_use_is_told_before_anything_is_compiled(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve("--data", str(tmp_path / "data"), "--bind", "127.0.0.1", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr
    assert not (tmp_path / "data").exists()


def test_spec_directory_that_is_none_is_told(tmp_path):
    with pytest.raises(StartError, match="is no directory"):
        starting.make_directories(Settings(data=tmp_path, specs=tmp_path / "missing"))


def test_data_directory_that_cant_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="GATEWRIGHT_DATA: can't use"):
        starting.make_directories(Settings(data=tmp_path / "file" / "data"))


def test_data_directory_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="file is a file; a directory is needed"):
        starting.make_directories(Settings(data=tmp_path / "file"))


def test_directory_of_own_documents_is_made(tmp_path):
    starting.make_directories(Settings(data=tmp_path / "a" / "data"))
    assert (tmp_path / "a" / "data" / "specs").is_dir()


def test_where_nobody_looks_the_first_login_is_in_a_file(tmp_path, capsys):
    (tmp_path / starting.KEY_FILE).write_text("sk-key\n")
    starting.announce(Settings(data=tmp_path, port=3333), starting.First("root", "pass-word", "sk-key"), True)
    out = capsys.readouterr().out
    assert "pass-word" not in out
    assert "sk-key" not in out
    assert str(tmp_path / starting.LOGIN_FILE) in out
    assert str(tmp_path / starting.KEY_FILE) in out
    assert sum(line.startswith("curl ") for line in out.splitlines()) == 4


def test_first_start_shows_login_and_key_once_and_three_calls_to_try(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    first = starting.First("root", "pass-word", "sk-key")
    starting.announce(Settings(data=tmp_path, port=3333), first, True)
    out = capsys.readouterr().out
    assert "pass-word" in out
    calls = [line for line in out.splitlines() if line.startswith("curl ")]
    assert len(calls) == 4
    for call in calls:
        words = shlex.split(call)
        assert words[1].startswith("http://127.0.0.1:3333/v1")
        assert any("sk-key" in word for word in words)
        assert "{" in words[-1]


def test_later_starts_show_no_secret_but_calls_that_work_in_a_shell(tmp_path, capsys):
    data = tmp_path / "with a blank"
    data.mkdir()
    (data / starting.KEY_FILE).write_text("sk-key\n")
    starting.announce(Settings(data=data), starting.First(), True)
    out = capsys.readouterr().out
    assert "sk-key" not in out
    call = next(line for line in out.splitlines() if line.startswith("curl "))
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {call[5:]}"], capture_output=True, text=True, check=True
    ).stdout
    assert "Authorization: Bearer sk-key\n" in shown


def test_without_a_demo_nothing_is_offered_to_try(tmp_path, capsys):
    starting.announce(Settings(data=tmp_path), starting.First(), False)
    assert "curl" not in capsys.readouterr().out


def test_documents_of_the_demo_name_the_port_at_hand_and_rest_when_right(tmp_path, monkeypatch):
    source = tmp_path / "demo" / "specs"
    source.mkdir(parents=True)
    (source / "a.yaml").write_text("baseUrl: http://127.0.0.1:3999/v1\n")
    monkeypatch.setattr(paths, "DEMO", tmp_path / "demo")
    target = tmp_path / "out"
    demo.write_specs(target, 4444)
    made = (target / "a.yaml").stat()
    assert (target / "a.yaml").read_text() == "baseUrl: http://127.0.0.1:4444/v1\n"
    (target / "old.yaml").touch()
    demo.write_specs(target, 4444)
    assert (target / "a.yaml").stat().st_mtime_ns == made.st_mtime_ns
    assert [path.name for path in target.iterdir()] == ["a.yaml"]


def test_demo_takes_another_port_when_its_own_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo.choose_port(port) != port


def test_a_slave_leaves_schema_accounts_and_work_to_the_master(tmp_path):
    slave = Settings(data=tmp_path, node_type="slave")
    with pytest.raises(StartError, match=r"has no schema of ours.*start the master of this version first"):
        starting.bring_up(slave, starting.First())
    with closing(sqlite3.connect(tmp_path / "gatewright.db")) as connection:
        assert not connection.execute("SELECT name FROM sqlite_master").fetchall()
    starting.bring_up(Settings(data=tmp_path, first_start="page"), starting.First())
    first = starting.First()
    starting.bring_up(slave, first)
    assert not first.key
    app: Any = SimpleNamespace(heavy=True, settings=slave, children=[])
    Gateway.start_jobs(app, [], None)
    assert app.children == []


def test_a_server_is_called_as_it_is_set_where_machines_and_work_are_listed(tmp_path):
    db = open_database(Settings(data=tmp_path, node_name=" east-1 "))
    try:
        assert Runner(db, list).holder.startswith("east-1:")
        stored = Stored(lambda: db, tmp_path, logging.getLogger())
        stored.changed()
        stored.report({"release": 1, "running": "a", "ok": True})
        assert [machine.name for machine in machines.listed(db)] == ["east-1"]
    finally:
        db.close()
    other = open_database(Settings(data=tmp_path))
    assert other.node == socket.gethostname()
    other.close()
