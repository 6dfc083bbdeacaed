"""Runs a case of conversion, of recorded traffic or of a client: requests through one gateway, an upstream as told.

``Room`` is a gateway that serves all cases: each pair of a provider and the formats left of it has channels of a group
of its own, and a key of that group, so that one model's name may stand in many. ``run(room, case)`` gives what is
wrong. Fields and words: the page beside the cases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from engine.settings import Settings
from engine.storage.database import open_database
from tests.relay import plain
from tests.relay.scripted import Say
from tests.reports import talking
from tests.reports.places import ABSENT, Seen, events_of, faults, losses
from tests.reports.upstream import ReportUpstream
from tests.support import ROOT, Gateway

SECRET = "up-secret-91c3d7"
_CASE = {
    "name", "kind", "client_format", "provider_format", "provider", "formats", "model", "stream", "like", "request",
    "upstream_response", "upstream_events", "documents", "method", "path", "headers", "keeps", "then", "expect", "came",
    "seen", "got", "about", "want",
}  # fmt: skip


class Room:
    """The gateway, its upstream, and a key for each group of channels."""

    def __init__(self, directory: Path, cases: Iterable[Mapping[str, Any]]) -> None:
        self.upstream = TellingUpstream()
        self.directory = directory
        specs, groups = _documents(cases, self.upstream.base)
        env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{self.upstream.port}", "GATEWRIGHT_KEY_CASES": SECRET}
        data = directory / "data"
        self.gateway = Gateway(data, specs={"cases.yaml": specs}, demo=True, env=env)
        try:
            self.gateway.ready()
            database = open_database(Settings(data=data))
            self.keys = {"": self.gateway.key}
            for group in groups:
                create_user(database, group, "a long password", quota=10**12, group=group)
                self.keys[group] = create_key(database, group, "case").key
            database.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything."""
        self.gateway.stop()
        self.upstream.close()


class TellingUpstream(ReportUpstream):
    """Tells the case's answer to the first request, and plain ones after it."""

    def __init__(self) -> None:
        super().__init__()
        self.case: Mapping[str, Any] = {}

    def _answer(self, say: Say) -> None:
        if len(self.got) > 1 or not self.case.keys() & {"upstream_response", "upstream_events"}:
            super()._answer(say)
            return
        text = json.dumps(self.case.get("upstream_events", self.case.get("upstream_response")))
        for word, value in _first_tool(say.arrived.json).items():
            text = text.replace(word, value)
        told = json.loads(text)
        if "upstream_response" in self.case:
            say.whole(told)
            return
        events = [plain.wire((data.get("type", ""), data) if isinstance(data, dict) else data) for data in told]
        if self.case["provider_format"].endswith(".chat"):
            events.append(plain.wire("[DONE]"))
        say.events(*events)


def _first_tool(body: Mapping[str, Any]) -> dict[str, str]:
    """``TOOL_NAME`` and ``TOOL_MEMBER``: the first tool that came, and the first member of what it takes."""
    tools = body.get("tools") or ()
    for tool in tools:
        tool = (tool.get("functionDeclarations") or [tool])[0]
        tool = tool.get("function", tool)
        schema = next((tool[key] for key in ("parameters", "input_schema", "parametersJsonSchema") if key in tool), {})
        return {"TOOL_NAME": tool.get("name", ""), "TOOL_MEMBER": next(iter(schema.get("properties") or {}), "")}
    return {}


# --- documents ---------------------------------------------------------------------------------------


def _documents(cases: Iterable[Mapping[str, Any]], base: str) -> tuple[str, list[str]]:
    """The providers that the cases need, one for each group, and all further documents."""
    models: dict[str, list[str]] = {}
    made: dict[str, dict[str, Any]] = {}
    texts = []
    for case in cases:
        texts += [json.dumps(document) for document in case.get("documents", ())]
        group = group_of(case)
        if not group:
            continue
        models.setdefault(group, [])
        if case["model"] not in models[group]:
            models[group].append(case["model"])
        left = {name: None for name in _spoken(case["provider"]) if not _kept(name, case)}
        spec = {"baseUrl": base, "formats": left, "groups": [group], "models": models[group]}
        spec["credential"] = {"secretRef": {"env": "GATEWRIGHT_KEY_CASES"}}
        made[group] = {"apiVersion": "gatewright/v1", "kind": "Provider", "metadata": {"name": group},
                       "extends": case["provider"], "spec": spec}  # fmt: skip
    return "\n---\n".join([*map(json.dumps, made.values()), *texts]), list(made)


def group_of(case: Mapping[str, Any]) -> str:
    """The group that serves a case; empty where any key will do."""
    provider = case.get("provider")
    if not provider or provider.startswith("demo-"):
        return ""
    return (
        f"case-{provider}-{case.get('formats') or case['provider_format'].rpartition('.')[2]}"[:20].rstrip("-").lower()
    )


def _kept(name: str, case: Mapping[str, Any]) -> bool:
    """Whether a provider's format is left: chat's dialects are one kind."""
    wanted = case["provider_format"]
    return case.get("formats") == "all" or name == wanted or (name.endswith(".chat") and wanted.endswith(".chat"))


def _spoken(provider: str) -> list[str]:
    """The formats of a shipped provider."""
    shipped = {}
    for path in (ROOT / "specs" / "providers").glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            shipped[document["metadata"]["name"]] = document
    formats: dict[str, Any] = {}
    while provider:
        document = shipped[provider]
        formats = {**(document["spec"].get("formats") or {}), **formats}
        provider = document.get("extends", "")
    return [name for name, told in formats.items() if told is not None]


# --- a run -------------------------------------------------------------------------------------------


def run(room: Room, case: Mapping[str, Any]) -> list[str]:
    """What is wrong with a case."""
    unknown = case.keys() - _CASE
    if unknown:
        raise ValueError(f"a case says {sorted(unknown)}, which nobody reads")
    expect = case["expect"]
    if expect["on"] == "lint":
        seen = _lint(room, case["request"])
        return faults(lambda _: seen, expect)
    return faults(_Talk(room, case).seen, expect)


class _Talk:
    """The requests of one case; the second is sent when an assertion looks at it."""

    def __init__(self, room: Room, case: Mapping[str, Any]) -> None:
        self.room, self.case = room, case
        room.upstream.begin()
        room.upstream.case = case
        self.answer = self._ask(case["request"])
        self.asked = list(room.upstream.got)
        self.second: tuple[requests.Response, list[Any]] | None = None

    def _ask(self, body: Mapping[str, Any]) -> requests.Response:
        case, room = self.case, self.room
        key = room.keys[group_of(case)]
        stream = bool(case.get("stream"))
        path = case.get("path") or talking.path(case["client_format"], case["model"], stream=stream)
        headers = {name: value.replace("KEY", key) for name, value in case.get("headers", {}).items()}
        headers = headers or _credential(case["client_format"], key)
        model = case.get("model")
        whole = (
            talking.first(case["client_format"], body, model, stream=stream) if model and "path" not in case else body
        )
        method = case.get("method", "POST")
        return requests.request(
            method, room.gateway.base + path, json=whole if method != "GET" else None, headers=headers, timeout=60
        )

    def seen(self, on: str) -> Seen:
        """What places look into."""
        if on == "second_request":
            answer, asked = self._second()
            return self._provider(answer, asked)
        if on == "provider_request":
            return self._provider(self.answer, self.asked)
        return self._caller(self.answer, events=on == "events")

    def _second(self) -> tuple[requests.Response, list[Any]]:
        if self.second is None:
            before = len(self.room.upstream.got)
            events = events_of(self.answer.text) if self.case.get("stream") else []
            body = None if events else self.answer.json()
            answer = self._ask(talking.again(self.case, body, [event for event in events if event[1] != "[DONE]"]))
            self.second = answer, self.room.upstream.got[before:]
        return self.second

    def _provider(self, answer: requests.Response, asked: list[Any]) -> Seen:
        body: Any = asked[-1].json if asked else ABSENT
        if answer.status_code != 200 or not asked:
            body = {"the call failed": f"{answer.status_code} {answer.text[:400]}"}
        return Seen(body, [], self._facts(answer, asked, body))

    def _caller(self, answer: requests.Response, *, events: bool) -> Seen:
        streamed = events_of(answer.text) if events or self.case.get("stream") else []
        streamed = [event for event in streamed if event[1] != "[DONE]"]
        try:
            body = answer.json()
        except ValueError:
            body = ABSENT
        return Seen(body, streamed, self._facts(answer, self.asked, body))

    def _facts(self, answer: requests.Response, asked: list[Any], body: Any) -> dict[str, Any]:
        loss = answer.headers.get("x-gatewright-loss", "")
        return {
            "status": answer.status_code,
            "raw": answer.text if body is ABSENT or not asked or body == _json(answer) else json.dumps(body),
            "path": asked[-1].path if asked else "",
            "asked": len(asked),
            "loss": loss or ABSENT,
            "loss_unread": losses(loss),
        }


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _credential(fmt: str, key: str) -> dict[str, str]:
    if fmt == "anthropic.messages":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"x-goog-api-key": key} if fmt == "gemini.generateContent" else {"authorization": f"Bearer {key}"}


def _lint(room: Room, document: Mapping[str, Any]) -> Seen:
    """What ``lint`` says of a document."""
    place = room.directory / "lint.yaml"
    place.write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "lint", "--json", str(place)], capture_output=True, text=True, timeout=120,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return Seen({}, [], {"raw": done.stdout + done.stderr})
    listed = found if isinstance(found, list) else found.get("faults", [])
    return Seen({"faults": len(listed)}, [], {"raw": done.stdout + done.stderr})
