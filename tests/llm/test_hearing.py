"""Recordings: a transcription at OpenAI, a model with ears at Google, and what each costs."""

import base64
from decimal import Decimal

from core.turn import Turn
from evals.stand_in import Answer
from llm.messages import ModelRequest
from tests.llm.conftest import MakeRouter, Serve

SOUND = b"OggS" + bytes(6_000)


def recording(seconds: float | None = 3.0) -> ModelRequest:
    sound = {"data": base64.b64encode(SOUND).decode(), "format": "ogg"}
    parts = [{"type": "text", "text": "Transcreva."}, {"type": "input_audio", "input_audio": sound, "seconds": seconds}]
    return ModelRequest("transcription", [{"role": "user", "content": parts}], max_tokens=500)


async def test_a_transcription_is_sent_as_a_file_and_paid_by_the_hour(
    turn: Turn, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(Answer("Bom dia.", audio_seconds=60), Answer("Boa tarde."))
    router = make_router(openai=server)
    told = await router.complete(turn, recording(), playbook=None)
    reckoned = await router.complete(turn, recording(120.0), playbook=None)
    assert (told.text, told.model, reckoned.text) == ("Bom dia.", "gpt-transcribe", "Boa tarde.")
    assert told.cost_usd == Decimal("0.0045") and reckoned.cost_usd == Decimal("0.009"), "0.27 dollars an hour"
    assert [call.estimated for call in turn.model_calls] == [False, True]
    sent = server.seen[0].body
    assert (
        sent["model"] == "gpt-transcribe" and sent["file"]["content"] == SOUND and sent["file"]["mime"] == "audio/ogg"
    )


async def test_when_the_transcription_fails_a_model_with_ears_is_asked(
    turn: Turn, serve: Serve, make_router: MakeRouter
) -> None:
    broken, google = serve(Answer(status=500)), serve(Answer("Bom dia."))
    answer = await make_router(openai=broken, google=google).complete(turn, recording(), playbook=None)
    assert (answer.provider, answer.text) == ("google", "Bom dia.") and answer.cost_usd is not None
    parts = google.seen[0].body["contents"][0]["parts"]
    assert parts[0] == {"text": "Transcreva."}
    assert parts[1]["inlineData"]["mime_type"] == "audio/ogg"
    assert base64.urlsafe_b64decode(parts[1]["inlineData"]["data"]) == SOUND


async def test_no_model_without_ears_is_asked_about_a_recording(
    turn: Turn, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(Answer("Não devia."))
    router = make_router(anthropic=server, model="anthropic/claude-sonnet-4-6")
    assert router.chain("transcription") == [] and server.seen == []
