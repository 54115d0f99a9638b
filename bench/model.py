"""A model of fixed latency in a process of its own: `python -m bench.model`, prints its port and serves until killed.

It does what a good model does at the least: one tool call for what was asked, then a plain answer in words. Tokens are
reckoned as a quarter of the characters (prompt: messages and tools as they arrived).
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from evals.stand_in import Answer, Seen, StandIn

FIRST_TOKEN = 0.040
EACH_TOKEN = 0.002
"""Seconds, as the peers were measured with."""

_WORDS = (
    "As contas seguem o ritmo do período anterior; a tabela mostra cada campanha, da que mais gastou à que menos "
    "gastou. Vale olhar primeiro as que gastam muito e trazem pouco, e deixar correr as que ainda aprendem."
)


def script(seen: Seen) -> Answer:
    """The next answer: a route, a tool call, or words when there are results."""
    messages: list[dict[str, Any]] = seen.body["messages"]
    tools = seen.body.get("tools", [])
    asked = " ".join(str(m["content"]) for m in messages if m["role"] == "user")[-2_000:].lower()
    if not tools:
        answer = Answer(json.dumps({"parts": [{"intent": "smalltalk", "text": asked[:200]}]}))
    elif any(message["role"] == "tool" for message in messages):
        answer = Answer(_WORDS)
    elif "paus" in asked:
        answer = Answer(calls=[("ads_diagnose", {})])
    else:
        answer = Answer(calls=[("ads_report", {"period": "últimos 7 dias", "compare_with": "previous"})])
    return replace(
        answer,
        latency=FIRST_TOKEN,
        pause=EACH_TOKEN,
        prompt_tokens=_tokens(messages) + _tokens(tools),
        completion_tokens=_tokens(answer.calls or answer.text),
    )


def _tokens(data: Any) -> int:
    return len(json.dumps(data, ensure_ascii=False)) // 4


@contextmanager
def model_of_fixed_latency() -> Iterator[str]:
    """The base URL of such a model, in OpenAI's words, while the block runs."""
    with subprocess.Popen([sys.executable, "-m", "bench.model"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    with StandIn(script) as server:
        print(server.openai_url, flush=True)
        threading.Event().wait()
