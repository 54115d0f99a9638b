"""The last link of every chain: the crew's own playbook answers, and no model takes part."""

from decimal import Decimal

from llm.messages import ModelAnswer, ModelRequest, Playbook, ToolCall

PROVIDER = "offline"
MODEL = "playbook"
_FREE = Decimal(0)


def answer_from(playbook: Playbook, request: ModelRequest) -> ModelAnswer:
    """What the playbook does next, in the form of a model's answer.

    Its calls are named call_1, call_2, … going on from those already in the request, so that ids stay unique
    within a conversation that a model began or will go on with.
    """
    step = playbook.next_step()
    if isinstance(step, str):
        return ModelAnswer(step, [], PROVIDER, MODEL, cost_usd=_FREE)
    made = sum(len(message.get("tool_calls") or []) for message in request.messages)
    calls = [ToolCall(f"call_{number}", call.name, call.arguments) for number, call in enumerate(step, made + 1)]
    return ModelAnswer("", calls, PROVIDER, MODEL, cost_usd=_FREE)
