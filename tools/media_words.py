"""Puts the files of people outside into words: recordings and pictures by a model, documents by a reader."""

import asyncio
import base64
from decimal import Decimal
from typing import Any

from business.messaging.media import MediaFile, Worded, unread
from core.clock import Clock
from core.errors import ArgumentsWrong, Unavailable
from core.ids import new_id
from core.messages import storable
from core.tenancy import Identity
from core.turn import Limits, Turn
from integrations.documents.reader import DocumentReader
from integrations.sounds import FORMS
from llm.messages import ModelAnswer, ModelRequest, Models
from prompts.prompt import Prompts

_TOKENS = {"audio": 3_000, "image": 600}
"""Of an answer: ten minutes of speech are about 2,000."""
_LIMITS = Limits(model_calls=6, tokens=60_000, cost_usd=Decimal("0.25"), seconds=90.0)
"""Of one file, like those of a turn."""
_PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
_NOTHING = "NADA"
"""What a model says when nothing is said in a recording (prompts/listen.*.md)."""


class MediaWords:
    """business.messaging.media.Wording over the model router. Costs are counted in the tenant's budget as all others;
    without a model the file is kept and not put into words."""

    def __init__(self, models: Models, prompts: Prompts, clock: Clock, documents: DocumentReader) -> None:
        self._models = models
        self._prompts = prompts
        self._clock = clock
        self._documents = documents

    async def __call__(self, who: Identity, file: MediaFile) -> Worded:
        if file.kind == "audio":
            return await self._heard(who, file)
        if file.kind == "image":
            return await self._seen(who, file)
        return await self._read(file)

    async def _heard(self, who: Identity, file: MediaFile) -> Worded:
        form = FORMS.get(file.mime)
        if form is None:
            raise unread("unsupported")
        prompt = self._prompts.fill("listen", file.language).text
        sound = {"data": await _base64(file.content), "format": form}
        parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        parts.append({"type": "input_audio", "input_audio": sound, "seconds": file.seconds})
        answer = await self._ask(
            who, file, ModelRequest(role="transcription", messages=_user(parts), max_tokens=_TOKENS["audio"])
        )
        if answer.text.strip().strip(".") == _NOTHING:
            raise unread("no_text")
        return _worded(answer)

    async def _seen(self, who: Identity, file: MediaFile) -> Worded:
        if file.mime not in _PICTURES:
            raise unread("unsupported")
        prompt = self._prompts.fill("look", file.language).text
        url = f"data:{file.mime};base64,{await _base64(file.content)}"
        parts: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        parts.append({"type": "image_url", "image_url": {"url": url}})
        return _worded(
            await self._ask(who, file, ModelRequest(role="vision", messages=_user(parts), max_tokens=_TOKENS["image"]))
        )

    async def _read(self, file: MediaFile) -> Worded:
        try:
            found = await self._documents.read(file.content, file.mime)
        except ArgumentsWrong as error:
            raise unread(str(error.params["reason"])) from None
        return Worded(found.text + (" […]" if found.cut else ""), "mutirao/documents", Decimal(0))

    async def _ask(self, who: Identity, file: MediaFile, request: ModelRequest) -> ModelAnswer:
        """Unavailable("models_unavailable") when all failed; ArgumentsWrong("media_unread") where there is no model."""
        if not self._models.chain(request.role):
            raise unread("no_model")
        turn = Turn(
            id=new_id("turn"),
            identity=who,
            conversation_id="",
            door="job",
            text="",
            language=file.language if file.language in ("pt-BR", "en", "es") else "pt-BR",
            now=self._clock.now(),
            limits=_LIMITS,
        )
        try:
            return await self._models.complete(turn, request, playbook=None, can_do_without=True)
        except Unavailable as error:
            if not error.params.get("failures") and ": budget" in str(error):  # nobody was asked (llm/attempts.py)
                raise unread("day_spent") from None
            raise


def _user(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": parts}]


async def _base64(content: bytes) -> str:
    return (await asyncio.to_thread(base64.b64encode, content)).decode()


def _worded(answer: ModelAnswer) -> Worded:
    return Worded(storable(answer.text.strip()), f"{answer.provider}/{answer.model}", answer.cost_usd)
