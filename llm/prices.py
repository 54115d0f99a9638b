"""What answers cost: in US dollars by the price list of genai-prices, or by the catalog where that has none; in reais
by a dated setting.

The list lies in the package: nothing is asked over the network. `ready` loads it in a thread, because that takes 0.2 to
0.8 s; after that a price takes about 0.1 ms of CPU.
"""

import asyncio
import functools
from decimal import Decimal
from typing import Any

from core.money import Money
from llm.catalog import Model
from llm.messages import Usage

_MILLION = 1_000_000
_TYPICAL = Usage(prompt_tokens=1_000, completion_tokens=300)


async def ready() -> None:
    """Load the price list if that has not happened yet, without holding up the loop."""
    if not _library.cache_info().currsize:
        await asyncio.to_thread(_library)


def price_usd(model: Model, usage: Usage) -> Decimal | None:
    """What an answer cost in US dollars, None when it is not known: never 0 for want of a price.

    The list has no price for models it does not know, those that are not paid by tokens alone, models that draw (it
    prices the tokens of pictures apart, and `usage` does not tell them apart), and everything of a server of one's own:
    then the model's own in the catalog counts, if it has one.
    `usage.prompt_tokens` includes those read from and written to the provider's cache, as genai-prices counts them;
    Anthropic's own count leaves them out (llm/providers.py adds them).
    """
    read = min(usage.cached_tokens, usage.prompt_tokens)  # more cannot be; the list would refuse it
    listed = _listed_usd(model, usage, read)
    if listed is not None or model.price is None:
        return listed
    price = model.price
    spent = (usage.prompt_tokens - read) * price.input + read * price.cached + usage.completion_tokens * price.output
    return spent / _MILLION


def _listed_usd(model: Model, usage: Usage, read: int) -> Decimal | None:
    """By genai-prices; `read` are the tokens of the prompt that came from the provider's cache."""
    if model.provider == "compatible" or "images" in model.abilities:
        return None
    library = _library()
    written = min(usage.cache_written_tokens, usage.prompt_tokens - read)
    priced = library.Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=read or None,
        cache_write_tokens=written or None,
        **({} if usage.audio_seconds is None else {"audio_seconds": usage.audio_seconds}),
    )
    try:
        price = library.calc_price(priced, model_ref=model.name, provider_id=model.provider)
    except LookupError:
        return None
    listed = price.model_price
    if usage.audio_seconds is not None:
        return Decimal(price.total_price) if price.total_price else None
    if listed.input_mtok is None or (listed.output_mtok is None and usage.completion_tokens):
        return None
    return Decimal(price.total_price)


def typical_usd(model: Model) -> Decimal | None:
    """What 1,000 tokens of prompt and 300 of answer cost: a measure of which model is cheaper. None when unknown."""
    return price_usd(model, _TYPICAL)


def in_brl(usd: Decimal, rate: Decimal) -> Money:
    """The same in reais, not rounded. `rate` is reais for one US dollar: `settings.rate_brl[0]`."""
    return Money(usd * rate, "BRL")


@functools.cache
def _library() -> Any:
    """The module genai_prices with its list loaded, which its first price does."""
    import genai_prices

    genai_prices.calc_price(genai_prices.Usage(input_tokens=1), model_ref="gpt-6-luna", provider_id="openai")
    return genai_prices
