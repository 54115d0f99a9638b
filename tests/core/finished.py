"""A turn as it is when it is over, with everything in it that metrics and traces tell of."""

import dataclasses
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.door import Reply, UsageTotals
from core.observe import SeenTurn
from core.tenancy import Identity, Role
from core.turn import Completion, ModelCall, ToolRecord, Turn

ENDED_AT = 1_795_190_400.0  # 2026-11-20 16:00 UTC
SECRETS = ["Quanto gastei com a Clínica Sorriso?", "Ana Souza", "ana@sorriso.example", "tenant_1", "user_1", "act_42"]
"""What people said and who they are: none of it may be seen from outside."""


def model_call(**changes: Any) -> ModelCall:
    """An answered request of 2 s to anthropic/claude that began 4 s before the end."""
    call = ModelCall(
        provider="anthropic",
        model="claude",
        role="ads_analyst",
        prompt_tokens=1_000,
        completion_tokens=50,
        cached_tokens=600,
        cost_usd=Decimal("0.0125"),
        seconds=2.0,
        prompt_hash="0123456789ab",
        cache_written_tokens=100,
        started_at=ENDED_AT - 4,
        first_seconds=0.4,
    )
    return dataclasses.replace(call, **changes)


def tool_call(**changes: Any) -> ToolRecord:
    """A report of half a second that ran 1.5 s before the end."""
    record = ToolRecord(
        name="ads_report",
        arguments={"account": "act_42", "name": "Clínica Sorriso"},
        effect="READ",
        result={"spend": "12.34", "account": "act_42"},
        origin="account data",
        seconds=0.5,
        started_at=ENDED_AT - 1.5,
    )
    return dataclasses.replace(record, **changes)


def turn_with(*moments: ModelCall | ToolRecord | Completion, **changes: Any) -> Turn:
    turn = Turn(
        id="turn_1",
        identity=Identity("tenant_1", "user_1", Role.ADMIN, "Ana Souza", "ana@sorriso.example"),
        conversation_id="conv_1",
        door="chat",
        text=SECRETS[0],
        language="pt-BR",
        now=datetime(2026, 11, 20, 15, 0, tzinfo=UTC),
        model_calls=[m for m in moments if isinstance(m, ModelCall)],
        results=[m for m in moments if isinstance(m, ToolRecord)],
        completions=[m for m in moments if isinstance(m, Completion)],
        started=time.monotonic(),
    )
    return dataclasses.replace(turn, **changes)


def reply_to(turn: Turn, ended: str = "done") -> Reply:
    return Reply(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        text=f"{SECRETS[1]}, a act_42 gastou R$ 12,34.",
        language=turn.language,
        route=[{"to": "ads", "intent": "ads.report", "confidence": 0.9, "why": SECRETS[0]}],
        tools=[],
        proposals=[],
        tables=[],
        charts=[],
        usage=UsageTotals(1, 1_000, 50, Decimal("0.0125"), ["anthropic/claude"]),
        timing={"total": 5.0},
        message_id="msg_1",
        ended=ended,
    )


def seen(*moments: ModelCall | ToolRecord | Completion, ended: str = "done", **changes: Any) -> SeenTurn:
    """A turn of 5 s that ended at ENDED_AT, with these calls in it."""
    turn = turn_with(*moments, **changes)
    return SeenTurn(turn, reply_to(turn, ended), ENDED_AT, 5.0)


def asked(provider: str = "anthropic", role: str = "ads_analyst") -> Completion:
    messages = [{"role": "user", "content": SECRETS[0]}]
    return Completion(role, "0123456789ab", "ba9876543210", messages, provider=provider, text=SECRETS[1])
