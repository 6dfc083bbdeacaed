"""Large uploads: a form of tens of megabytes passes through a file without a name, and costs a worker little memory."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.kinds.plain.form import read_form
from engine.transport.spool import STEP, Pieces, Spool, Stretch, steps
from tests.relay.scripted import Upstream
from tests.support import Gateway, serving

MB = 1024 * 1024
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Route
metadata: {{name: r}}
spec:
  channels:
    - {{name: bad, provider: hears, baseUrl: {base}/bad, models: [twice], priority: 1}}
    - {{name: good, provider: hears, baseUrl: {base}, models: [asked, twice], modelMapping: {{asked: sent}}}}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: hears}}
extends: openai-host
spec: {{baseUrl: {base}, auth: {{scheme: none}}}}
"""


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_a_spool_is_searched_like_bytes_whatever_the_windows(spool: Spool, tmp_path: Path) -> None:
    chance = random.Random(7)
    data = bytes(chance.choices(b"ab", k=3 * STEP + 17)) + b"--mark--" + b"b" * STEP
    for start in range(0, len(data), 100_000):
        spool.write(data[start : start + 100_000])
    assert len(spool) == len(data)
    assert list(tmp_path.iterdir()) == []
    assert hashlib.sha256(b"".join(spool)).digest() == hashlib.sha256(data).digest()
    for at in (0, STEP - 3, STEP, 2 * STEP - 1, len(data) - 20):
        wanted = data[at : at + 40]
        assert spool.find(wanted) == data.find(wanted)
        assert spool.find(wanted, at, at + len(wanted)) == data.find(wanted, at, at + len(wanted))
        assert spool.startswith(wanted, at)
    assert spool.find(b"--mark--") == data.find(b"--mark--")
    assert spool.find(b"--mark--", 0, STEP) == spool.find(b"nowhere") == -1
    whole = Pieces((b"x", Stretch(spool, STEP - 5, 2 * STEP + 5), b"y"))
    told = b"x" + data[STEP - 5 : 2 * STEP + 5] + b"y"
    assert len(whole) == len(told)
    assert [b"".join(whole), b"".join(whole)] == [told, told]
    assert max(map(len, steps(whole))) <= STEP


def test_files_are_closed_with_what_refers_to_them(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    made = Spool(tmp_path)
    made.write(b"x")
    stretch = Stretch(made, 0, 1)
    del made
    assert b"".join(stretch) == b"x"
    del stretch
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("change", [{}, {"model": "other"}, {"model": None}])
def test_a_form_reads_and_changes_alike_from_memory_and_from_a_file(spool: Spool, change: Any) -> None:
    parts = [b'name="model"\r\n\r\nm', b'name="file"; filename="a"\r\n\r\n' + os.urandom(STEP * 2) + b"\r\n--cut"]
    raw = b"".join(b"--cut-1\r\nContent-Disposition: form-data; %b\r\n" % part for part in parts) + b"--cut-1--\r\n"
    spool.write(raw)
    kind = "multipart/form-data; boundary=cut-1"
    held, stored = read_form(raw, kind), read_form(spool, kind)
    assert held.parts == stored.parts
    assert held.inline() == stored.inline()
    before = held.fields()
    after = {name: value for name, value in (before | change).items() if value is not None}
    changed = stored.changed(before, after if change else before)
    expected = held.changed(before, after if change else before)
    assert b"".join(steps(changed)) == expected
    assert len(changed) == len(expected)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()

    def script(say: Any) -> None:
        say.whole({"text": "Hi."}, 503 if say.arrived.path.startswith("/bad") else 200)

    made.script = script
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "MAX_REQUEST_BODY_MB": "64"}
    specs = {"own.yaml": DOCUMENTS.format(base=upstream.base)}
    made = Gateway(tmp_path_factory.mktemp("uploads"), specs=specs, env=env)
    with serving(made):
        yield made


def send(gateway: Gateway, model: str, sound: bytes, chunked: bool = False) -> requests.Response:
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    tail = b'\r\n--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + model.encode() + b"\r\n--cut--\r\n"
    pieces = [head, *(sound[at : at + MB] for at in range(0, len(sound), MB)), tail]
    data: Any = iter(pieces) if chunked else head + sound + tail
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "multipart/form-data; boundary=cut"}
    return requests.post(f"{gateway.base}/v1/audio/transcriptions", data=data, headers=headers, timeout=120)


def processes(gateway: Gateway) -> list[int]:
    """The master and all below it."""
    family = [gateway.process.pid]
    for pid in family:
        for task in Path(f"/proc/{pid}/task").iterdir():
            family += map(int, (task / "children").read_text().split())
    return family


def peak(pid: int) -> int:
    """The most memory since it was asked to be noted anew, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_fifty_megabytes_cost_a_worker_eight_at_most(gateway: Gateway, upstream: Upstream) -> None:
    sound = os.urandom(50 * MB)
    assert send(gateway, "asked", sound[: 2 * MB]).status_code == 200
    family = processes(gateway)
    for pid in family:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = [peak(pid) for pid in family]
    upstream.got.clear()
    assert send(gateway, "asked", sound).status_code == 200
    grown = [peak(pid) - least for pid, least in zip(family, before, strict=True)]
    assert max(grown) <= 8 * MB, grown
    body = upstream.got[-1].body
    assert sound in body
    assert b'name="model"\r\n\r\nsent\r\n' in body
    assert list((gateway.data).glob("tmp*")) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_second_attempt_sends_the_file_again(gateway: Gateway, upstream: Upstream, chunked: bool) -> None:
    sound = os.urandom(3 * MB)
    upstream.got.clear()
    answer = send(gateway, "twice", sound, chunked)
    assert answer.status_code == 200, answer.text
    assert [one.path for one in upstream.got] == ["/bad/v1/audio/transcriptions", "/v1/audio/transcriptions"]
    assert upstream.got[0].body == upstream.got[1].body
    assert sound in upstream.got[1].body


def test_a_form_over_the_limit_is_refused_while_it_comes(gateway: Gateway, upstream: Upstream) -> None:
    upstream.got.clear()
    answer: list[int] = []

    def ask() -> None:
        try:
            answer.append(send(gateway, "asked", bytes(70 * MB), chunked=True).status_code)
        except requests.ConnectionError:  # refused before all of it was sent
            answer.append(413)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(100)
    assert answer == [413]
    assert not upstream.got
