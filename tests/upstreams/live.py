"""Live voice services on loopback, as strict as their vendors' pages: what they don't know is noted and ends it.

Both hear speech in the sound that they get (loud samples, then 300 ms of quiet), answer each turn with a tone and its
words, call a tool where a text asks for one, and are interrupted where speech begins while they answer.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from engine.hub.fold import fold_keys

TONE = base64.b64encode(struct.pack("<h", 8000) * 2400).decode()
"""A tenth of a second of 24,000 samples."""
WORDS = "It is sunny."


class Ear:
    """Hears where speech begins and ends. ``rate`` is samples a second of 16 bits."""

    def __init__(self, rate: int) -> None:
        self._quiet_after = rate * 3 // 10
        self._quiet = 0
        self.speaking = False
        self.samples = 0
        self.loudest = 0

    def hear(self, data: str) -> list[str]:
        """``started``, ``stopped``, by what a piece of sound in base64 holds."""
        raw = base64.b64decode(data.translate({ord("-"): "+", ord("_"): "/"}), validate=True)
        assert len(raw) % 2 == 0, "half a sample"
        said = []
        for (sample,) in struct.iter_unpack("<h", raw):
            self.samples += 1
            self.loudest = max(self.loudest, abs(sample))
            if abs(sample) > 500:
                self._quiet = 0
                if not self.speaking:
                    self.speaking = True
                    said.append("started")
            elif self.speaking:
                self._quiet += 1
                if self._quiet >= self._quiet_after:
                    self.speaking = False
                    said.append("stopped")
        return said


class Live:
    """A service. ``faults`` are what it had to refuse; ``got`` all that it was told."""

    PATH: ClassVar[str]

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.requests: list[Any] = []
        self.ears: list[Ear] = []
        self.server = serve(self._talk, "127.0.0.1", 0, process_request=self._look, max_size=None)
        self.port = self.server.socket.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def _look(self, connection: ServerConnection, request: Any) -> Any:
        self.requests.append(request)
        if request.path.split("?")[0] != self.PATH:
            self.faults.append(f"path {request.path}")
            return connection.respond(404, json.dumps({"error": {"message": "no such path"}}))
        return None

    def _talk(self, ws: ServerConnection) -> None:
        try:
            self.talk(ws, lambda event: ws.send(self.framed(event)))
        except AssertionError as error:
            self.faults.append(str(error))
            ws.close(1007, str(error)[:100])
        except (ConnectionClosed, OSError):
            return

    def framed(self, event: dict[str, Any]) -> str | bytes:
        """An event on the wire."""
        return json.dumps(event)

    def talk(self, ws: ServerConnection, send: Callable[[dict[str, Any]], None]) -> None:
        """One session."""
        raise NotImplementedError

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.thread.join()


class GeminiLive(Live):
    """ai.google.dev/api/live: one member a message, the set-up first and once, answers as bytes."""

    PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    SETUP = frozenset(
        ("model", "generationConfig", "systemInstruction", "tools", "realtimeInputConfig", "sessionResumption",
         "contextWindowCompression", "inputAudioTranscription", "outputAudioTranscription", "proactivity")
    )  # fmt: skip
    USAGE: ClassVar[dict[str, Any]] = {
        "promptTokenCount": 200, "responseTokenCount": 100, "totalTokenCount": 300,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 120}, {"modality": "AUDIO", "tokenCount": 80}],
        "responseTokensDetails": [{"modality": "TEXT", "tokenCount": 40}, {"modality": "AUDIO", "tokenCount": 60}],
    }  # fmt: skip

    def framed(self, event: dict[str, Any]) -> bytes:
        return json.dumps(event).encode()

    def talk(self, ws: ServerConnection, send: Callable[[dict[str, Any]], None]) -> None:
        assert self.requests[-1].headers.get("x-goog-api-key") == "up-key", "no key"
        setup: dict[str, Any] | None = None
        ear, answering, text = Ear(16_000), False, ""
        self.ears.append(ear)
        for data in ws:
            message = fold_keys(json.loads(data), {"fold": "camel", "except": ["args", "response"]})
            self.got.append(message)
            assert len(message) == 1, f"one member a message, not {sorted(message)}"
            ((name, value),) = message.items()
            if setup is None:
                assert name == "setup", f"the set-up must be first, not {name}"
                assert set(value) <= self.SETUP, sorted(set(value) - self.SETUP)
                assert value["model"].startswith("models/")
                setup = value
                send({"setupComplete": {}})
                continue
            assert name in ("clientContent", "realtimeInput", "toolResponse"), name
            if name == "realtimeInput":
                known = {"audio", "video", "text", "activityStart", "activityEnd", "audioStreamEnd"}
                assert set(value) <= known, sorted(value)
                heard: list[str] = []
                if "audio" in value:
                    assert value["audio"]["mimeType"] == "audio/pcm;rate=16000", value["audio"]["mimeType"]
                    heard = ear.hear(value["audio"]["data"])
                if "started" in heard and answering:
                    answering = False
                    send({"serverContent": {"interrupted": True}})
                    send({"serverContent": {"turnComplete": True}, "usageMetadata": self.USAGE})
                if "stopped" in heard or "activityEnd" in value:
                    send({"serverContent": {"inputTranscription": {"text": "what is the weather"}}})
                    self.answer(send, setup)
            elif name == "toolResponse":
                for one in value["functionResponses"]:
                    assert set(one) == {"id", "name", "response"}, one
                    assert isinstance(one["response"], dict)
                self.answer(send, setup)
            else:
                for turn in value.get("turns") or ():
                    assert set(turn) == {"role", "parts"}, turn
                    text += json.dumps(turn)
                if not value.get("turnComplete"):
                    continue
                asked, text = text, ""
                if "tool" in asked:
                    call = {"id": "c1", "name": "weather", "args": {"city": "Oslo"}}
                    send({"toolCall": {"functionCalls": [call]}, "usageMetadata": self.USAGE})
                elif "long" in asked:
                    answering = True
                    send(self.piece())
                elif "break" in asked:
                    send({"serverContent": {"outputTranscription": {"text": "x" * 8}}})
                    send(self.piece())
                    with suppress(OSError):
                        ws.socket.shutdown(socket.SHUT_RDWR)
                    return
                else:
                    self.answer(send, setup)

    @staticmethod
    def piece() -> dict[str, Any]:
        """A tenth of a second of an answer."""
        blob = {"mimeType": "audio/pcm;rate=24000", "data": TONE}
        return {"serverContent": {"modelTurn": {"role": "model", "parts": [{"inlineData": blob}]}}}

    def answer(self, send: Callable[[dict[str, Any]], None], setup: dict[str, Any]) -> None:
        """A turn."""
        if setup["generationConfig"]["responseModalities"] == ["TEXT"]:
            send({"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": WORDS}]}}})
        else:
            send(self.piece())
            if "outputAudioTranscription" in setup:
                send({"serverContent": {"outputTranscription": {"text": WORDS}}})
            send(self.piece())
        send({"serverContent": {"generationComplete": True}})
        send({"serverContent": {"turnComplete": True}, "usageMetadata": self.USAGE})


class OpenAILive(Live):
    """platform.openai.com/docs/api-reference/realtime-client-events: known types and members, 24,000 samples."""

    PATH = "/v1/realtime"
    KNOWN: ClassVar[dict[str, set[str]]] = {
        "session.update": {"session"}, "input_audio_buffer.append": {"audio"}, "input_audio_buffer.commit": set(),
        "input_audio_buffer.clear": set(), "conversation.item.create": {"item", "previous_item_id"},
        "response.create": {"response"}, "response.cancel": {"response_id"},
    }  # fmt: skip
    SESSION = frozenset(
        ("type", "model", "instructions", "output_modalities", "audio", "tools", "tool_choice", "max_output_tokens",
         "tracing", "truncation", "include", "prompt")
    )  # fmt: skip
    RATE = 24_000
    TYPED = True
    """Whether a session says what it is."""
    USAGE: ClassVar[dict[str, Any]] = {
        "total_tokens": 300, "input_tokens": 200, "output_tokens": 100,
        "input_token_details": {"text_tokens": 120, "audio_tokens": 80, "cached_tokens": 0},
        "output_token_details": {"text_tokens": 40, "audio_tokens": 60},
    }  # fmt: skip

    def talk(self, ws: ServerConnection, send: Callable[[dict[str, Any]], None]) -> None:
        assert self.requests[-1].headers.get("authorization") == "Bearer up-key", "no key"
        send({"type": "session.created", "event_id": "e", "session": {"id": "s", "type": "realtime"}})
        ear, answering, text = Ear(self.RATE), False, ""
        self.ears.append(ear)
        for data in ws:
            event = json.loads(data)
            self.got.append(event)
            known = self.KNOWN.get(event["type"])
            assert known is not None, event["type"]
            assert set(event) <= known | {"type", "event_id"}, event
            if event["type"] == "session.update":
                assert set(event["session"]) <= self.SESSION, sorted(set(event["session"]) - self.SESSION)
                assert not self.TYPED or event["session"]["type"] == "realtime"
                send({"type": "session.updated", "event_id": "e", "session": event["session"]})
            elif event["type"] == "input_audio_buffer.append":
                for heard in ear.hear(event["audio"]):
                    send({"type": f"input_audio_buffer.speech_{heard}", "event_id": "e", "item_id": "i"})
                    if heard == "started" and answering:
                        answering = False
                        self.done(send, "cancelled")
                    elif heard == "stopped":
                        transcript = "conversation.item.input_audio_transcription.completed"
                        send({"type": transcript, "event_id": "e", "item_id": "i", "transcript": "what is the weather"})
                        self.answer(send)
            elif event["type"] == "conversation.item.create":
                text = json.dumps(event["item"])
            elif event["type"] == "response.create":
                answering = "long" in text
                if "tool" in text and "function_call_output" not in text:
                    self.call(send)
                elif answering:
                    self.begin(send)
                elif "break" in text:
                    self.begin(send)
                    with suppress(OSError):
                        ws.socket.shutdown(socket.SHUT_RDWR)
                    return
                else:
                    self.answer(send)

    def begin(self, send: Callable[[dict[str, Any]], None]) -> None:
        """The beginning of an answer."""
        at = {"response_id": "r", "item_id": "m", "output_index": 0, "content_index": 0, "event_id": "e"}
        send({"type": "response.created", "event_id": "e", "response": {"id": "r", "object": "realtime.response"}})
        send({"type": "response.output_audio.delta", "delta": TONE, **at})

    def answer(self, send: Callable[[dict[str, Any]], None]) -> None:
        """A whole one."""
        at = {"response_id": "r", "item_id": "m", "output_index": 0, "content_index": 0, "event_id": "e"}
        self.begin(send)
        send({"type": "response.output_audio_transcript.delta", "delta": WORDS, **at})
        self.done(send, "completed")

    def call(self, send: Callable[[dict[str, Any]], None]) -> None:
        """One that calls a tool."""
        item = {"id": "f", "type": "function_call", "call_id": "c1", "name": "weather", "arguments": ""}
        send({"type": "response.created", "event_id": "e", "response": {"id": "r", "object": "realtime.response"}})
        send({"type": "response.output_item.added", "event_id": "e", "output_index": 0, "item": item})
        for piece in ('{"city"', ': "Oslo"}'):
            delta = {"type": "response.function_call_arguments.delta", "delta": piece, "output_index": 0}
            send({**delta, "event_id": "e", "item_id": "f", "call_id": "c1"})
        whole = {**item, "arguments": '{"city": "Oslo"}'}
        send({"type": "response.output_item.done", "event_id": "e", "output_index": 0, "item": whole})
        self.done(send, "completed")

    def done(self, send: Callable[[dict[str, Any]], None], status: str) -> None:
        """Its end."""
        response = {"id": "r", "object": "realtime.response", "status": status, "usage": self.USAGE}
        send({"type": "response.done", "event_id": "e", "response": response})


class QwenLive(OpenAILive):
    """alibabacloud.com/help/en/model-studio/client-events: the beta's session, 16,000 samples up."""

    PATH = "/api-ws/v1/realtime"
    RATE, TYPED = 16_000, False
    SESSION = frozenset(
        ("modalities", "voice", "input_audio_format", "output_audio_format", "input_audio_transcription",
         "instructions", "turn_detection", "tools", "temperature", "top_p", "top_k", "max_tokens", "enable_search",
         "search_options", "repetition_penalty", "presence_penalty", "seed")
    )  # fmt: skip


class GlmLive(OpenAILive):
    """docs.bigmodel.cn/cn/guide/models/sound-and-video/glm-realtime: the set-up names the model."""

    PATH = "/api/paas/v4/realtime"
    RATE, TYPED = 16_000, False
    SESSION = frozenset(
        ("model", "modalities", "instructions", "voice", "input_audio_format", "output_audio_format",
         "turn_detection", "tools", "temperature", "beta_fields", "input_audio_noise_reduction")
    )  # fmt: skip


class XaiLive(OpenAILive):
    """docs.x.ai/docs/guides/voice/agent: a session of its own shape; it tells no tokens, as it is paid by time."""

    TYPED = False
    SESSION = frozenset(("instructions", "voice", "turn_detection", "audio", "tools"))
    USAGE: ClassVar[dict[str, Any]] = {}
