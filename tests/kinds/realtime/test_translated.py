"""Live connections between dialects: the official SDK of each vendor, talking to a strict upstream of the other's."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pytest
from google import genai
from google.genai import errors, live, types
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from engine.accounts.keys import create_key
from engine.ledger import proof
from engine.settings import Settings
from engine.storage.database import Database, open_database
from tests.support import PATIENCE, Gateway, awaited, missing, serving, until
from tests.upstreams.live import TONE, WORDS, GeminiLive, GlmLive, Live, OpenAILive, QwenLive, XaiLive

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: gemini-here}
extends: gemini
spec:
  baseUrl: GEMINI
  credential: {secretRef: {file: live}}
  models: [voice-g]
  price: [{names: [voice-g], tokens: {input: 4, output: 16, input_audio: 32, output_audio: 64}}]
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: openai-here}
extends: openai
spec:
  baseUrl: OPENAI
  credential: {secretRef: {file: other}}
  models: [voice-o]
  price: [{names: [voice-o], tokens: {input: 4, output: 16, input_audio: 32, output_audio: 64}}]
"""
OTHER = """---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: NAME-here}
extends: NAME
spec:
  baseUrl: BASE
  auth: {scheme: bearer}
  credential: {secretRef: {file: NAME}}
  models: [voice-NAME]
  price: [{names: [voice-NAME], PRICE}]
"""
TOKENS = "tokens: {input: 4, output: 16, input_audio: 32, output_audio: 64}"
OTHERS = {"alibaba": (QwenLive, TOKENS), "zhipu": (GlmLive, TOKENS), "xai": (XaiLive, "second: 0.5")}
COST = (120 * 4 + 80 * 32 + 40 * 16 + 60 * 64) * 0.5
"""Quota units of a turn, of either upstream."""
REST = 32 * 0.5 * 20
"""The most that quiet after a question costs: a vendor may answer before it has heard it all; the rest is counted."""
QUIET = base64.b64encode(bytes(2 * 24_000 // 2)).decode()
"""Half a second without a sound, of 24,000 samples."""
CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: dict[str, Any] = {"name": "weather", "description": "Tells it.", "parameters": CITY}


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiLive]:
    made = GeminiLive()
    yield made
    made.close()
    assert made.faults == []


@pytest.fixture(scope="module")
def talker() -> Iterator[OpenAILive]:
    made = OpenAILive()
    yield made
    made.close()
    assert made.faults == []


@pytest.fixture(scope="module")
def others() -> Iterator[dict[str, Live]]:
    made = {name: kind() for name, (kind, _) in OTHERS.items()}
    yield made
    for one in made.values():
        one.close()
    assert [one.faults for one in made.values()] == [[]] * len(made)


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, gemini: GeminiLive, talker: OpenAILive, others: dict[str, Live]
) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("translated")
    (data / "secrets").mkdir()
    for name in ("live", "other", *others):  # a secret goes to one host alone
        (data / "secrets" / name).write_text("up-key")
    services = (gemini, talker, *others.values())
    env = {"GATEWRIGHT_EGRESS_ALLOW": ",".join(f"127.0.0.1:{one.port}" for one in services)}
    text = DOCUMENTS.replace("GEMINI", gemini.base).replace("OPENAI", talker.base)
    for name, one in others.items():
        text += OTHER.replace("NAME", name).replace("BASE", one.base).replace("PRICE", OTHERS[name][1])
    specs = {"own.yaml": text}
    made = Gateway(data, specs=specs, env=env, priced=True)
    with serving(made):
        yield made
    assert "Traceback" not in made.output, made.output


@pytest.fixture(scope="module")
def db(gateway: Gateway) -> Iterator[Database]:
    opened = open_database(Settings(data=gateway.data), migrate=False)
    yield opened
    opened.close()


class Booked:
    """A key of a test's own, and the log row of the session that it makes with it."""

    def __init__(self, db: Database, name: str) -> None:
        self._db, self._name = db, name
        self.key = f"sk-{create_key(db, 1, name).key.removeprefix('sk-')}"

    def _rows(self) -> list[Any]:
        with self._db.read() as connection:
            return connection.exec_driver_sql(
                "SELECT quota, prompt_tokens, completion_tokens, other FROM logs WHERE type = 2"
                f" AND token_name = '{self._name}'"
            ).fetchall()

    def row(self) -> Any:
        """The one row; waits for it."""
        (row,) = until(self._rows)
        return row

    def losses(self) -> set[str]:
        """The paths that its row says were lost."""
        return {path for path, _ in json.loads(self.row()[3]).get("losses", [])}


@pytest.fixture
def booked(db: Database, request: pytest.FixtureRequest) -> Booked:
    return Booked(db, hashlib.sha256(request.node.name.encode()).hexdigest()[:20])


def spoken(directory: Path, rate: int) -> bytes:
    """A question as somebody says it, in samples of 16 bits."""
    if shutil.which("espeak-ng") is None:
        missing("there is no espeak-ng: apt-get install espeak-ng")
    import audioop

    subprocess.run(["espeak-ng", "-w", str(directory / "q.wav"), "What is the weather in Oslo?"], check=True)
    with wave.open(str(directory / "q.wav")) as sound:
        raw, came = sound.readframes(sound.getnframes()), sound.getframerate()
    return audioop.ratecv(raw, 2, 1, came, rate, None)[0] + bytes(rate)


def kinds_until(talk: Any, last: str) -> list[Any]:
    events = []
    while not events or events[-1].type != last:
        events.append(talk.recv())
        assert events[-1].type != "error", events[-1]
    return events


def until_closed(talk: Any) -> list[Any]:
    events = []
    with suppress(ConnectionClosed):
        while True:
            events.append(talk.recv())
    return events


def hears(ear: Any, samples: int) -> None:
    """It answers before it has heard the quiet at the end."""
    until(lambda: abs(ear.samples - samples) < 100, words=lambda: f"{ear.samples} of {samples} samples")


def types_of(events: list[Any]) -> list[str]:
    return [event.type for event in events]


@pytest.fixture
def talk(gateway: Gateway, booked: Booked) -> Iterator[Any]:
    """A session of OpenAI's SDK with the other vendor's model, set up with a tool."""
    sdk = openai.OpenAI(api_key=booked.key, base_url=f"{gateway.base}/v1", max_retries=0)
    with sdk as client, client.realtime.connect(model="voice-g") as connection:
        assert connection.recv().type == "session.created"
        session: Any = {
            "type": "realtime", "instructions": "be short", "output_modalities": ["audio"],
            "audio": {"input": {"transcription": {"model": "whisper-1"}}, "output": {"voice": "marin"}},
            "tools": [{"type": "function", **WEATHER}], "tracing": "auto",
        }  # fmt: skip
        connection.session.update(session=session)
        updated: Any = connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.model == "voice-g"
        yield connection


def test_a_spoken_turn_goes_to_the_other_vendor(talk: Any, gemini: GeminiLive, booked: Booked, tmp_path: Path) -> None:
    sound = spoken(tmp_path, 24_000)
    for start in range(0, len(sound), 4_800):
        talk.input_audio_buffer.append(audio=base64.b64encode(sound[start : start + 4_800]).decode())
    events = kinds_until(talk, "response.done")
    types_seen = types_of(events)
    assert types_seen.index("conversation.item.input_audio_transcription.delta") < types_seen.index("response.created")
    heard = b"".join(base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta")
    assert heard == base64.b64decode(TONE) * 2
    words = "".join(event.delta for event in events if event.type == "response.output_audio_transcript.delta")
    assert words == WORDS
    done = events[-1].response
    assert (done.status, done.usage.input_token_details.audio_tokens, done.usage.total_tokens) == ("completed", 80, 300)
    assert done.output[0].content[0].transcript == WORDS
    ear = gemini.ears[-1]
    hears(ear, len(sound) // 2 * 16_000 // 24_000)
    assert ear.loudest > 3_000
    setup = next(message["setup"] for message in reversed(gemini.got) if "setup" in message)
    assert setup["model"] == "models/voice-g"
    assert setup["systemInstruction"] == {"parts": [{"text": "be short"}]}
    assert setup["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == WEATHER["parameters"]
    talk.close()
    quota, prompt, completion = booked.row()[:3]
    assert 0 <= quota - COST <= REST
    assert 0 <= prompt - 200 <= REST / 16
    assert completion == 100
    assert booked.losses() == {"session.tracing", "setup.voice"}


def test_a_tool_is_called_and_its_result_goes_on(talk: Any, gemini: GeminiLive, booked: Booked) -> None:
    item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "use the tool"}]}
    talk.conversation.item.create(item=item)
    talk.response.create()
    events = kinds_until(talk, "response.done")
    (call,) = events[-1].response.output
    assert (call.type, call.name, call.call_id, json.loads(call.arguments)) == (
        "function_call",
        "weather",
        "c1",
        {"city": "Oslo"},
    )
    assert "response.function_call_arguments.done" in types_of(events)
    output: Any = {"type": "function_call_output", "call_id": "c1", "output": '{"sky": "clear"}'}
    talk.conversation.item.create(item=output)
    talk.response.create()
    events = kinds_until(talk, "response.done")
    assert events[-1].response.output[0].content[0].transcript == WORDS
    told = [message["toolResponse"] for message in gemini.got if "toolResponse" in message]
    assert told[-1] == {"functionResponses": [{"id": "c1", "name": "weather", "response": {"sky": "clear"}}]}
    talk.close()
    assert booked.row()[0] == 2 * COST


def test_speech_interrupts_an_answer(talk: Any, booked: Booked) -> None:
    item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a long story"}]}
    talk.conversation.item.create(item=item)
    talk.response.create()
    kinds_until(talk, "response.output_audio.delta")
    talk.input_audio_buffer.append(audio=TONE)
    events = kinds_until(talk, "response.done")
    assert events[-1].response.status == "cancelled"
    assert "input_audio_buffer.speech_started" in types_of(events)
    talk.close()
    assert booked.row()[0] == COST


def test_a_provider_that_breaks_off_fails_the_answer_and_what_it_said_is_counted(talk: Any, booked: Booked) -> None:
    item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "break"}]}
    talk.conversation.item.create(item=item)
    talk.response.create()
    events = until_closed(talk)
    assert types_of(events)[-2:] == ["response.done", "error"]
    assert events[-2].response.status == "failed"
    row = booked.row()
    assert row[2] == len(TONE) // 2560
    assert json.loads(row[3])["usage_source"] == "counted"


def test_the_set_up_is_taken_once(talk: Any, booked: Booked) -> None:
    talk.session.update(session={"type": "realtime", "instructions": "be long"})
    told: Any = talk.recv()
    assert (told.type, told.error.code) == ("error", "session_is_set")
    talk.close()
    assert booked.row()[0] == 0  # nothing was said


def test_telephones_speak_their_own_sound(gateway: Gateway, gemini: GeminiLive) -> None:
    headers = {"authorization": f"Bearer {gateway.key}", "openai-beta": "realtime=v1"}
    with connect(f"ws{gateway.base[4:]}/v1/realtime?model=voice-g", additional_headers=headers) as ws:
        session = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw", "turn_detection": None}
        ws.send(json.dumps({"type": "session.update", "session": session}))
        loud = base64.b64encode(b"\x10" * 4_000).decode()
        ws.send(json.dumps({"type": "input_audio_buffer.append", "audio": loud}))
        ws.send(json.dumps({"type": "input_audio_buffer.commit"}))
        ws.send(json.dumps({"type": "response.create"}))
        sound = b""
        while (event := json.loads(ws.recv(timeout=PATIENCE)))["type"] != "response.done":
            if event["type"] == "response.audio.delta":
                sound += base64.b64decode(event["delta"])
    assert abs(len(sound) - 2 * 800) < 20
    assert gemini.ears[-1].loudest > 3_000
    assert abs(gemini.ears[-1].samples - 8_000) < 20
    inputs = [next(iter(message["realtimeInput"])) for message in gemini.got if "realtimeInput" in message]
    assert inputs[-3:] == ["activityStart", "audio", "activityEnd"]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's SDK knows no address without TLS; all else of it is as it is."""
    connects = live.ws_connect

    def plainly(uri: str, *, ssl: Any = None, **more: Any) -> Any:
        return connects(uri.replace("wss://", "ws://", 1), **more)

    monkeypatch.setattr(live, "ws_connect", plainly)


@pytest.mark.parametrize("name", OTHERS)
def test_a_dialect_of_its_own_hears_and_answers(
    gateway: Gateway, others: dict[str, Live], booked: Booked, name: str, tmp_path: Path
) -> None:
    sound = spoken(tmp_path, 24_000)
    sdk = openai.OpenAI(api_key=booked.key, base_url=f"{gateway.base}/v1", max_retries=0)
    with sdk as client, client.realtime.connect(model=f"voice-{name}") as talk:
        assert talk.recv().type == "session.created"
        talk.session.update(session={"type": "realtime", "instructions": "be short"})
        assert talk.recv().type == "session.updated"
        for start in range(0, len(sound), 4_800):
            talk.input_audio_buffer.append(audio=base64.b64encode(sound[start : start + 4_800]).decode())
        done = kinds_until(talk, "response.done")[-1].response
        assert done.output[0].content[0].transcript == WORDS
        vendor: Any = others[name]
        hears(vendor.ears[-1], len(sound) // 2 * vendor.RATE // 24_000)
    session = next(event["session"] for event in vendor.got if event["type"] == "session.update")
    assert session["instructions"] == "be short"
    assert session.get("model") == ("voice-zhipu" if name == "zhipu" else None)
    quota = booked.row()[0]
    if name == "xai":
        assert quota % (0.5 * 500_000) == 0
        assert quota > 0
    else:
        assert 0 <= quota - COST <= REST


def google(gateway: Gateway, key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway.base, api_version="v1beta"))


async def heard(session: Any) -> list[types.LiveServerMessage]:
    return [message async for message in session.receive()]


THEIR_CITY: dict[str, Any] = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}
CONFIG: dict[str, Any] = {
    "response_modalities": ["AUDIO"],
    "system_instruction": "be short",
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
    "tools": [{"function_declarations": [{"name": "weather", "parameters": THEIR_CITY}]}],
}


@pytest.mark.parametrize("model", ["voice-g", "voice-o"])
def test_googles_sdk_talks_to_its_own_and_to_the_other_vendor(
    gateway: Gateway, booked: Booked, model: str, talker: OpenAILive, gemini: GeminiLive, tmp_path: Path
) -> None:
    sound = spoken(tmp_path, 16_000)

    async def run() -> None:
        async with google(gateway, booked.key).aio.live.connect(model=model, config=CONFIG) as session:
            for start in range(0, len(sound), 3_200):
                piece = types.Blob(data=sound[start : start + 3_200], mime_type="audio/pcm;rate=16000")
                await session.send_realtime_input(audio=piece)
            messages = await heard(session)
            content = [message.server_content for message in messages if message.server_content]
            assert [one.input_transcription.text for one in content if one.input_transcription] == [
                "what is the weather"
            ]
            assert "".join(one.output_transcription.text for one in content if one.output_transcription) == WORDS
            assert b"".join(message.data for message in messages if message.data).startswith(base64.b64decode(TONE))
            usage = messages[-1].usage_metadata
            assert (usage.prompt_token_count, usage.response_token_count) == (200, 100)
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "use the tool"}]})
            (call,) = (await anext(session.receive())).tool_call.function_calls
            assert (call.name, call.args) == ("weather", {"city": "Oslo"})
            answer = types.FunctionResponse(id=call.id, name=call.name, response={"sky": "clear"})
            await session.send_tool_response(function_responses=[answer])
            assert (await heard(session))[-1].server_content.turn_complete

    awaited(run())
    assert booked.row()[0] == 3 * COST
    if model == "voice-g":
        return
    assert booked.losses() == {"setup.voice"}
    session = next(event["session"] for event in reversed(talker.got) if event["type"] == "session.update")
    assert session["instructions"] == "be short"
    assert session["tools"][0]["parameters"] == CITY
    ear = talker.ears[-1]
    hears(ear, len(sound) // 2 * 24_000 // 16_000)
    outputs = [event["item"] for event in talker.got if event.get("item", {}).get("type") == "function_call_output"]
    assert outputs[-1] == {"type": "function_call_output", "call_id": "c1", "output": '{"sky":"clear"}'}


@pytest.mark.parametrize("model", ["voice-g", "voice-o"])
def test_googles_sdk_raises_what_went_wrong(gateway: Gateway, model: str) -> None:
    async def run(name: str, key: str) -> Any:
        async with google(gateway, key).aio.live.connect(model=name, config=CONFIG) as session:
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "break"}]})
            while True:
                await heard(session)

    with pytest.raises(errors.APIError, match="broke off") as broken:
        awaited(run(model, gateway.key))
    assert broken.value.code == 1011
    with pytest.raises(errors.APIError, match="nobody") as unknown:
        awaited(run("nobody", gateway.key))
    assert unknown.value.code == 1008
    with pytest.raises(Exception, match="401"):
        awaited(run(model, "sk-no"))


def test_a_first_message_that_names_no_model_is_told_and_costs_nothing(gateway: Gateway, db: Database) -> None:
    url = f"ws{gateway.base[4:]}{GeminiLive.PATH}?key={gateway.key}"
    for first in ("no json", "[]", '{"setup": {}}', '{"realtimeInput": {}}'):
        with connect(url) as ws:
            ws.send(first)
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "set-up" in closed.value.rcvd.reason) == (1007, True), first


def test_the_books_agree(gateway: Gateway, db: Database) -> None:
    assert proof.verify(db, db, gateway.data / "journal").differences == []
