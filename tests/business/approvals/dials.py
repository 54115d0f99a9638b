"""A kind of change for tests: turning a dial of the witness. A whole handler, over real HTTP."""

from dataclasses import replace
from typing import Any

import httpx

from business.approvals.model import Change, Preview, ReadBack
from core.errors import ArgumentsWrong, OutcomeUnknown, Refused, Unavailable


def turn_dial(dial: str, before: str, after: str, effect: str = "WRITE") -> Change:
    return Change("test.dial", dial, {"from": before, "to": after, "effect": effect})


class DialHandler:
    kind = "test.dial"
    area = "ads"

    def __init__(self, url: str) -> None:
        self._url = url

    def effect(self, change: Change) -> str:
        return str(change.data["effect"])

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        return Preview("proposal.state.pending", [("proposal.state.executed", change.data["to"])])

    async def recheck(self, tenant_id: str, change: Change) -> None:
        value = await self._look(change)
        if value != change.data["from"]:
            raise Refused("proposal_world_differs", f"the dial is at {value}")

    async def apply(self, tenant_id: str, change: Change) -> None:
        async with httpx.AsyncClient(timeout=5) as http:
            await http.get(f"{self._url}/announce/{change.target}")
            try:
                answer = await http.post(f"{self._url}/dial/{change.target}", json={"value": change.data["to"]})
            except httpx.ConnectError as error:
                raise Unavailable("proposal_not_applied", str(error)) from None
            except httpx.TransportError as error:
                raise OutcomeUnknown("outcome_unknown", str(error)) from None
        if answer.status_code == 418:
            raise RuntimeError("a bug of the handler")
        if answer.status_code != 200:
            raise Refused("proposal_not_applied", f"status {answer.status_code}")

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        value = await self._look(change)
        if value == change.data["to"]:
            return ReadBack.APPLIED
        return ReadBack.NOT_APPLIED if value == change.data["from"] else ReadBack.OTHER

    def inverse(self, change: Change) -> Change | None:
        if change.target == "one-way":
            return None
        return replace(change, data={**change.data, "from": change.data["to"], "to": change.data["from"]})

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        if not edits["to"].isdigit():
            raise ArgumentsWrong("arguments_wrong", "a dial takes digits", wrong="to")
        return replace(change, data={**change.data, "to": edits["to"]})

    async def _look(self, change: Change) -> Any:
        try:
            async with httpx.AsyncClient(timeout=5) as http:
                answer = await http.get(f"{self._url}/dial/{change.target}")
        except httpx.TransportError as error:
            raise Unavailable("proposal_not_applied", str(error)) from None
        if answer.status_code == 401:
            raise Refused("meta_token_expired", "the token is no good any more")
        if answer.status_code != 200:
            raise Unavailable("proposal_not_applied", f"status {answer.status_code}")
        return answer.json()["value"]
