"""Which links of a chain are asked for one request, and in which order. Pure: no clock, no network, no state."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from llm import prices
from llm.catalog import Ability, Model
from llm.messages import ModelRequest

_CHARS_PER_TOKEN = 3
"""Portuguese prose takes about 3 to 4 characters a token with the tokenizers of today, JSON with figures 2 to 3. It is
an estimate, not a bound: what does not fit after all is refused by its provider, and the next link is asked."""
_TOKENS_OF_AN_IMAGE = 1_600
"""Of a picture of about 1.2 megapixels, the largest that Anthropic does not scale down. Source: Anthropic, "Vision"."""
_BYTES_PER_AUDIO_TOKEN = 60
"""Gemini counts 32 tokens a second ("Understand audio"), a voice note of WhatsApp has about 2,000 bytes a second."""
_SAID: dict[Ability, str] = {
    "tools": "no tools",
    "structured": "no structured output",
    "vision": "no vision",
    "audio": "no hearing",
}


def plan_links(
    chain: Sequence[Model], request: ModelRequest, *, language: str, economy: bool
) -> tuple[list[Model], list[str]]:
    """The links to ask, in order, and those passed over, each "provider/model: why".

    Passed over: models without an ability that the request needs (tools when it has any, structured output when it has
    a schema, vision when a message has a picture, audio when it has a recording), and models whose window does not hold
    the prompt (as estimated by `prompt_tokens`) and the longest answer. Of the others those that are weak in `language`
    (the turn's: pt-BR, en or es) come last. With `economy` cheap models come before dear ones, those of unknown price
    after all known ones;
    without it the chain's order stays. A server of one's own whose price is unknown keeps its place even then: most
    cost nothing by the token, and whoever put it before models that do meant it so.
    """
    needs = _needs(request)
    tokens = prompt_tokens(request) + request.max_tokens
    links: list[Model] = []
    passed_over: list[str] = []
    for model in chain:
        if lacks := [_SAID[ability] for ability in needs if ability not in model.abilities]:
            passed_over.append(f"{model.ref}: {', '.join(lacks)}")
        elif tokens > model.context_window:
            passed_over.append(f"{model.ref}: {tokens:,} tokens do not fit into {model.context_window:,}")
        else:
            links.append(model)
    if economy:
        links = _cheap_first(links)
    links.sort(key=lambda model: language in model.weak_in)
    return links, passed_over


def prompt_tokens(request: ModelRequest) -> int:
    """About how many tokens a request's messages, tools and schema are: a token for every three characters, 1,600
    for every picture, and one for every 60 bytes of a recording."""
    characters = images = sound = 0
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            if _is_image(part):
                images += 1
            elif isinstance(part, dict) and _is_audio(part):
                sound += len(part["input_audio"]["data"]) * 3 // 4
            elif isinstance(part, dict):
                characters += len(str(part.get("text", "")))
            else:
                characters += len(part or "")
        for call in message.get("tool_calls") or []:
            characters += len(call["function"]["name"]) + len(call["function"]["arguments"] or "")
    for form in (request.tools, request.response_schema):
        characters += len(json.dumps(form, ensure_ascii=False)) if form else 0
    return -(-characters // _CHARS_PER_TOKEN) + images * _TOKENS_OF_AN_IMAGE + sound // _BYTES_PER_AUDIO_TOKEN


def _needs(request: ModelRequest) -> list[Ability]:
    needs: list[Ability] = []
    if request.tools:
        needs.append("tools")
    if request.response_schema is not None:
        needs.append("structured")
    if any(_is_image(part) for message in request.messages for part in _parts(message)):
        needs.append("vision")
    if any(_is_audio(part) for message in request.messages for part in _parts(message)):
        needs.append("audio")
    return needs


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_image(part: Any) -> bool:
    """A picture in OpenAI's chat form."""
    return isinstance(part, dict) and part.get("type") == "image_url"


def _is_audio(part: Any) -> bool:
    """A recording in OpenAI's chat form."""
    return isinstance(part, dict) and part.get("type") == "input_audio"


def _cheap_first(links: list[Model]) -> list[Model]:
    own = [model.provider == "compatible" and prices.typical_usd(model) is None for model in links]
    others = iter(sorted((model for model, stays in zip(links, own, strict=True) if not stays), key=_cheapness))
    return [model if stays else next(others) for model, stays in zip(links, own, strict=True)]


def _cheapness(model: Model) -> tuple[bool, Decimal]:
    price = prices.typical_usd(model)
    return price is None, price or Decimal(0)
