"""What the columns of channel rows ask for, through a real gateway: proxy, organization, system prompt, keys."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from engine.settings import Settings
from engine.storage.database import open_database
from engine.storage.tables import core
from tests.relay.scripted import Say, Upstream
from tests.support import Gateway, deaf_port

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "River"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}
MESSAGE = {
    "id": "c",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "River"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 1},
}


def answer(say: Say) -> None:
    say.whole(MESSAGE if say.arrived.path.partition("?")[0].endswith("/v1/messages") else ANSWER)


class Proxy:
    """A plain forward proxy; ``seen`` are the request lines that came."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(65536)
            self.seen.append(data.split(b"\r\n", 1)[0].decode())
            host, _, rest = data.split(b" ", 2)[1].removeprefix(b"http://").partition(b"/")
            name, _, port = host.decode().partition(":")
            line, _, head = data.partition(b"\r\n")
            method, _, version = line.split(b" ", 2)
            with socket.create_connection((name, int(port or 80))) as up:
                up.sendall(b" ".join((method, b"/" + rest, version)) + b"\r\n" + head)
                threading.Thread(target=self._pump, args=(sock, up), daemon=True).start()
                self._pump(up, sock)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    made.script = answer
    yield made
    made.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


Serve = Callable[..., Gateway]


@pytest.fixture
def serve(tmp_path: Path, upstream: Upstream) -> Iterator[Serve]:
    """A gateway on a database that holds these rows of channels."""
    made: list[Gateway] = []

    def begin(*rows: dict[str, Any], env: dict[str, str] | None = None, specs: dict[str, str] | None = None) -> Gateway:
        db = open_database(Settings(data=tmp_path))
        for row in rows:
            plain = {"type": 1, "status": 1, "key": "up-key", "models": "m", "group": "default"}
            values = {**plain, "base_url": upstream.base, "name": "alder", **row}
            db.write(lambda c, values=values: c.execute(insert(core.channels).values(**values)).rowcount)
        db.close()
        allow = f"127.0.0.1:{upstream.port}"
        made.append(Gateway(tmp_path, env={"GATEWRIGHT_EGRESS_ALLOW": allow, **(env or {})}, specs=specs))
        return made[-1].ready()

    yield begin
    for gateway in made:
        gateway.stop()
        assert "Traceback" not in gateway.output, gateway.output


def chat(gateway: Gateway, model: str = "m", **more: Any) -> Any:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more}
    return gateway.post("/v1/chat/completions", body)


def test_a_rows_proxy_carries_its_calls_and_one_that_can_not_be_used_never_means_a_direct_call(
    serve: Serve, upstream: Upstream, proxy: Proxy
) -> None:
    with deaf_port() as port:
        gateway = serve(
            {"setting": json.dumps({"proxy": f"http://127.0.0.1:{proxy.port}"})},
            {"setting": json.dumps({"proxy": f"http://127.0.0.1:{port}"}), "models": "deaf"},
            {"setting": json.dumps({"proxy": "127.0.0.1:9"}), "models": "odd", "name": "birch"},
        )
        assert chat(gateway).status_code == 200
        assert len(proxy.seen) == len(upstream.got) == 1
        assert chat(gateway, "deaf").status_code in (502, 503)
        assert chat(gateway, "odd").status_code == 500
    assert len(upstream.got) == 1
    assert "channel birch (#3) is left out: the proxy's address" in gateway.output


def test_organization_version_and_text_for_the_model_go_up(serve: Serve, upstream: Upstream) -> None:
    prompt = json.dumps({"system_prompt": "Be brief.", "system_prompt_override": True})
    gateway = serve(
        {"open_ai_organization": "org-fx", "setting": prompt},
        {"type": 3, "other": "2024-10-21", "models": "az"},
        {"type": 14, "setting": prompt, "models": "cl", "settings": '{"claude_beta_query": true}'},
        {"type": 14, "setting": prompt, "models": "cl"},
    )
    assert chat(gateway, service_tier="flex").status_code == 200
    assert upstream.got[-1].headers["openai-organization"] == "org-fx"
    assert upstream.got[-1].json["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "service_tier" not in upstream.got[-1].json
    assert chat(gateway, "az").status_code == 200
    assert upstream.got[-1].path == "/openai/deployments/az/chat/completions?api-version=2024-10-21"
    assert "openai-organization" not in upstream.got[-1].headers
    # across formats the text meets what the caller's format calls its own
    system = {"role": "system", "content": "Speak French."}
    body = {"messages": [system, {"role": "user", "content": "hi"}]}
    assert chat(gateway, "cl", **body).status_code == 200
    said = json.dumps(upstream.got[-1].json["system"])
    assert said.index("Be brief.") < said.index("Speak French.")
    assert upstream.got[-1].path in ("/v1/messages?beta=true", "/v1/messages")


def test_a_body_that_is_to_pass_through_goes_up_as_it_came(serve: Serve, upstream: Upstream) -> None:
    raw = json.dumps({"pass_through_body_enabled": True})
    gateway = serve({"setting": raw, "param_override": '{"seed": 7}', "model_mapping": '{"m": "other"}'})
    assert chat(gateway, service_tier="default", store=True).status_code == 200
    sent = upstream.got[-1].json
    assert (sent["model"], sent["service_tier"], sent["store"]) == ("m", "default", True)
    assert "seed" not in sent


def test_channels_without_a_usable_key_are_no_candidates(serve: Serve, upstream: Upstream) -> None:
    info = {"is_multi_key": True, "multi_key_size": 2, "multi_key_status_list": {"0": 3, "1": 3}}
    route = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: acme}
extends: openai-compatible
spec: {baseUrl: UPSTREAM}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: open}
extends: openai-compatible
spec: {baseUrl: UPSTREAM, auth: {scheme: none}}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: r}
spec:
  channels:
    - {name: unset, provider: acme, models: [m], priority: 8, credential: {secretRef: {env: GATEWRIGHT_KEY_NONE}}}
    - {name: bare, provider: acme, models: [m], priority: 7}
    - {name: free, provider: open, models: [free]}
"""
    gateway = serve(
        {"key": "k1\nk2", "channel_info": info, "priority": 9, "name": "dead"},
        {"key": "", "priority": 6, "name": "empty"},
        {"name": "birch"},
        env={"SYNC_FREQUENCY": "1"},
        specs={"route.yaml": route.replace("UPSTREAM", upstream.base)},
    )
    for _ in range(3):
        assert chat(gateway).status_code == 200
        assert upstream.got[-1].headers["authorization"] == "Bearer up-key"
    assert chat(gateway, "free").status_code == 200
    gateway.write_spec("other.yaml", "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: x}\nspec: {}\n")
    gateway.wait_for(r"release \w+ runs")
    for name in ("dead \\(#1\\)", "unset", "bare", "empty \\(#2\\)"):
        assert len(gateway.wait_for(f"channel {name} is left out: .*").string.splitlines()) > 0
        assert gateway.output.count(f"channel {name} is left out".replace("\\", "")) == 1
