"""A model of fixed latency in a process of its own: `python -m bench.model KIND`, prints its URL, serves until killed.

It does what a good model does at the least: one tool call for what was asked, then a plain answer in words. Tokens are
reckoned as a quarter of the characters (prompt: messages and tools as they arrived).
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bench.side_by_side.job import ANSWERS, TURNS
from evals.stand_in import Answer, Seen, StandIn

FIRST_TOKEN = 0.040
EACH_TOKEN = 0.002
"""Seconds, as the peers were measured with."""

_WORDS = (
    "As contas seguem o ritmo do período anterior; a tabela mostra cada campanha, da que mais gastou à que menos "
    "gastou. Vale olhar primeiro as que gastam muito e trazem pouco, e deixar correr as que ainda aprendem."
)


def ads(seen: Seen) -> Answer:
    """What a good model does for the ads crew: a tool call, then words when there are results."""
    messages, tools = _told(seen)
    asked = " ".join(str(m["content"]) for m in messages if m["role"] == "user")[-2_000:].lower()
    if not tools:
        return Answer(json.dumps({"parts": [{"intent": "smalltalk", "text": asked[:200]}]}))
    if any(message["role"] == "tool" for message in messages):
        return Answer(_WORDS)
    if "paus" in asked:
        return Answer(calls=[("ads_diagnose", {})])
    return Answer(calls=[("ads_report", {"period": "últimos 7 dias", "compare_with": "previous"})])


def job(seen: Seen) -> Answer:
    """The same for the job of four turns: the tools of the turn one after the other, then its answer."""
    messages, tools = _told(seen)
    asked = next(str(message["content"]) for message in reversed(messages) if message["role"] == "user")
    name, turn = next((name, turn) for name, turn in TURNS.items() if turn.text in asked)
    offered = {tool["function"]["name"] for tool in tools}
    done = {call["function"]["name"] for message in messages for call in message.get("tool_calls", [])}
    for tool, arguments in turn.calls:
        if tool in offered and tool not in done:
            return Answer(calls=[(tool, arguments)])
    return Answer(
        (f"{ANSWERS[name]}: " + "palavra por palavra se chega ao fim de mais uma resposta " * 20)[
            : turn.answer_tokens * 4
        ]
    )


POLICIES = {"ads": ads, "job": job}


def timed(policy: Callable[[Seen], Answer]) -> Callable[[Seen], Answer]:
    """The policy's answers at the bench's speed, with their tokens counted."""

    def answer(seen: Seen) -> Answer:
        given = policy(seen)
        return replace(
            given,
            latency=FIRST_TOKEN,
            pause=EACH_TOKEN,
            prompt_tokens=sum(map(_tokens, _told(seen))),
            completion_tokens=_tokens(given.calls or given.text),
        )

    return answer


def _told(seen: Seen) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return seen.body["messages"], seen.body.get("tools", [])


def _tokens(data: Any) -> int:
    return len(json.dumps(data, ensure_ascii=False)) // 4


@contextmanager
def model_of_fixed_latency(policy: str = "ads") -> Iterator[str]:
    """The base URL of such a model, in OpenAI's words, while the block runs."""
    with subprocess.Popen([sys.executable, "-m", "bench.model", policy], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    with StandIn(timed(POLICIES[sys.argv[1]])) as server:
        print(server.openai_url, flush=True)
        threading.Event().wait()
