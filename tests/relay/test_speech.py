"""Speech and refusals through a running gateway, with the official SDKs: nothing of an answer is lost on its way."""

import base64

import openai
import pytest
from google import genai
from google.genai import types

from tests.relay.test_streaming import DONE, USAGE, chunk, sse

PIECES = [b"a", b"bcd", b"efgh"]
SAID = [base64.b64encode(piece).decode() for piece in PIECES]
CHAT_SPEECH = [
    chunk(role="assistant", content=None, audio={"id": "audio_1", "transcript": "Hi"}),
    *(chunk(audio={"data": data}) for data in SAID),
    chunk(audio={"expires_at": 9}),
    chunk(finish="stop"),
    USAGE,
    DONE,
]
GEMINI_SPEECH = [
    sse(
        {
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}}],
                    },
                    **({"finishReason": "STOP"} if data == SAID[-1] else {}),
                }
            ],
            "modelVersion": "gemini-model",
            "responseId": "r1",
        }
    )
    for data in SAID
]
SPEAK = types.GenerateContentConfig(response_modalities=["AUDIO"])


@pytest.fixture
def google(gateway):
    return genai.Client(api_key=gateway.key, http_options=types.HttpOptions(base_url=gateway.base))


@pytest.fixture
def chat(gateway):
    with openai.OpenAI(base_url=f"{gateway.base}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


def heard(response):
    """The sound of an answer or of one piece of it."""
    parts = response.candidates[0].content.parts or []
    return b"".join(part.inline_data.data for part in parts if part.inline_data)


def test_gemini_client_hears_a_chat_model_as_it_speaks(google, one):
    one.script = lambda say: say.events(*CHAT_SPEECH)
    pieces = list(google.models.generate_content_stream(model="chat-model", contents="speak", config=SPEAK))
    assert [sound for sound in map(heard, pieces) if sound] == PIECES
    sent = one.got[-1].json
    assert sent["modalities"] == ["text", "audio"]
    assert sent["audio"] == {"voice": "alloy", "format": "pcm16"}


def test_gemini_client_hears_a_whole_answer_that_came_in_pieces(google, one):
    one.script = lambda say: say.events(*CHAT_SPEECH)
    answer = google.models.generate_content(model="chat-model", contents="speak", config=SPEAK)
    assert heard(answer) == b"".join(PIECES)


def test_chat_client_adds_up_what_a_gemini_model_speaks(chat, one):
    one.script = lambda say: say.events(*GEMINI_SPEECH)
    asked = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
    said = [{"role": "user", "content": "speak"}]
    stream = chat.chat.completions.create(model="gemini-model", messages=said, stream=True, **asked)
    deltas = [choice["delta"] for piece in stream for choice in piece.to_dict()["choices"]]
    told = [delta["audio"] for delta in deltas if "audio" in delta]
    assert [audio["id"] for audio in told if "id" in audio] == [told[0]["id"]]
    assert b"".join(base64.b64decode(audio["data"]) for audio in told if "data" in audio) == b"".join(PIECES)
    assert one.got[-1].json["generationConfig"]["responseModalities"] == ["AUDIO"]


@pytest.mark.parametrize(("mime", "member"), [("image/png", "image_url"), ("audio/wav", "input_audio")])
def test_bytes_that_the_gemini_sdk_sends_in_url_safe_base64_reach_a_chat_model(google, one, mime, member):
    one.script = lambda say: say.events(chunk(role="assistant", content="seen"), chunk(finish="stop"), USAGE, DONE)
    content = bytes([251, 255, 254, 3])
    google.models.generate_content(model="chat-model", contents=[types.Part.from_bytes(data=content, mime_type=mime)])
    said = one.got[-1].json["messages"][0]["content"][0][member]
    data = said.get("data") or said["url"].partition(",")[2]
    assert data == base64.b64encode(content).decode() == "+//+Aw=="


def test_refusal_names_the_place_in_the_callers_own_spelling(gateway, chat, one):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,!!!"}}
    turns = [
        {"role": "system", "content": "be"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, picture]},
    ]
    with pytest.raises(openai.BadRequestError) as told:
        chat.chat.completions.create(model="claude-model", messages=turns)
    assert told.value.param == "messages[1].content[1].image_url.url"
    body = {"contents": [{"parts": [{"text": "look"}, {"inline_data": {"mime_type": "image/png", "data": "!!!"}}]}]}
    answer = gateway.post("/v1beta/models/claude-model:generateContent", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("contents[0].parts[1].inline_data.data: ")
    assert not one.got


def test_refusal_of_what_was_kept_names_what_goes_on_from_it(gateway, one):
    one.script = lambda say: say.whole(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "chat-model",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "seen"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }
    )
    heard_before = {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}
    first = gateway.post(
        "/v1/responses", {"model": "chat-model", "input": [{"role": "user", "content": [heard_before]}]}
    )
    assert first.status_code == 200, first.text
    more = {"model": "claude-model", "input": "and now?", "previous_response_id": first.json()["id"]}
    refused = gateway.post("/v1/responses", more)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"
