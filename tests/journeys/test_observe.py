"""A turn through the whole house is seen by Prometheus and by an OpenTelemetry collector, as it was."""

import asyncio

import httpx
import pytest

from core.errors import SetupError
from evals.stand_in import Answer, StandIn
from llm.breaker import Breakers
from llm.router import Router
from tests.conftest import free_port, until
from tests.core.collector import collector
from tests.core.test_metrics import samples
from tests.journeys.conftest import OpenHouse
from tests.journeys.test_models import CALL, QUESTION, WORDS, settings_for


async def test_a_turn_with_a_model_is_told_to_both_as_the_reply_tells_it(open_house: OpenHouse) -> None:
    port = free_port()
    with collector() as receiver, StandIn([Answer(calls=[CALL]), Answer(WORDS)]) as server:
        house = await open_house(**settings_for("anthropic", server), metrics_port=port, otlp_endpoint=receiver.url)
        with house.services.metrics():
            reply = await house.ask(QUESTION)
            async with httpx.AsyncClient() as http:
                told: dict[str, float] = {}
                async with asyncio.timeout(20):  # it is counted a moment after the reply
                    while not told.get('mutirao_turns_total{door="chat",ended="done"}'):
                        told = samples((await http.get(f"http://127.0.0.1:{port}/metrics")).text)
        await until(lambda: len(receiver.spans) == 4)
    [model] = {ref.partition("/")[2] for ref in reply.usage.models}
    labels = f'model="{model}",provider="anthropic"'
    assert told['mutirao_turns_total{door="chat",ended="done"}'] == 1
    assert (
        told[f'mutirao_model_requests_total{{model="{model}",outcome="ok",provider="anthropic",role="ads_analyst"}}']
        == reply.usage.model_calls
        == 2
    )
    assert told[f'mutirao_model_tokens_total{{kind="prompt",{labels}}}'] == reply.usage.prompt_tokens
    assert told[f'mutirao_model_tokens_total{{kind="completion",{labels}}}'] == reply.usage.completion_tokens
    assert told[f'mutirao_model_cost_usd_total{{{labels},role="ads_analyst"}}'] == pytest.approx(
        float(reply.usage.cost_usd or 0)
    )
    assert told['mutirao_tool_calls_total{ended="ok",tool="ads_report"}'] == 1
    assert told["mutirao_database_up"] == 1
    assert 0 < told['mutirao_first_text_seconds_sum{door="chat"}'] <= told['mutirao_turn_seconds_sum{door="chat"}']
    assert reply.timing["first_text"] <= reply.timing["total"]

    [turn] = receiver.named("invoke_agent mutirao")
    chats, [tool] = receiver.named(f"chat {model}"), receiver.named("execute_tool ads_report")
    # CrewAI, Chainlit and the SDKs bring instrumentation of their own: nothing of it goes through ours.
    assert {span.scope for span in receiver.spans} == {"mutirao"}
    assert turn.attributes["mutirao.turn.id"] == reply.turn_id
    assert [chat.attributes["gen_ai.usage.input_tokens"] for chat in chats] == [100, 100]
    assert turn.start <= chats[0].start <= tool.start <= tool.end <= turn.end
    sent = b"".join(receiver.bodies)
    said = [QUESTION, WORDS, "Loja Aurora", "act_", reply.text[:40], (await house.person()).name]
    assert [text for text in said if text.encode() in sent] == []


async def test_a_breaker_that_another_process_opened_is_told_by_a_process_that_asks_nothing(
    open_house: OpenHouse, redis_url: str
) -> None:
    port, another = free_port(), Breakers(redis_url=redis_url)
    with StandIn([]) as server:
        house = await open_house(**settings_for("openai", server), metrics_port=port, redis_url=redis_url)
        [ref] = {model.ref for model in Router.from_settings(house.services.settings).chain("ads_analyst")}
        for _ in range(5):
            await another.failed(await another.enter(ref, lease=1.0))
        await another.close()
        gauge = f'mutirao_breaker_state{{model="{ref.partition("/")[2]}",provider="openai"}}'
        with house.services.metrics():
            async with httpx.AsyncClient() as http, asyncio.timeout(20):
                while samples((await http.get(f"http://127.0.0.1:{port}/metrics")).text).get(gauge) != 2:
                    await asyncio.sleep(0.02)
        assert server.seen == []


async def test_a_second_process_on_the_same_metrics_port_is_told_so(open_house: OpenHouse) -> None:
    house = await open_house(metrics_port=free_port())
    with house.services.metrics(), pytest.raises(SetupError) as refused, house.services.metrics():
        pass
    sentence = house.services.texts.error("en", refused.value)
    assert "is in use already" in sentence and "MUTIRAO_METRICS_PORT" in sentence
