"""Which effects run alone, which need a yes, which never, and how much one approved change may do.

The house's rules are in policy.yaml; a tenant's own, in `tenants.settings["policy"]`, may only tighten them.
"""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from business.approvals.model import UNDO, Change
from core.db import Database, fetch_one
from core.errors import Refused, SetupError
from core.money import Money
from tools.spec import Effect

_FILE = Path(__file__).with_name("policy.yaml")


class Decision(StrEnum):
    RUN = "run"
    PROPOSE = "propose"
    NEVER = "never"


_STRICTNESS = [Decision.RUN, Decision.PROPOSE, Decision.NEVER]


class Caps(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    budget_raise_percent: Decimal = Field(gt=0)
    """A budget may rise by at most this many percent in one change."""
    daily_budget: dict[str, Decimal] = {}
    lifetime_budget: dict[str, Decimal] = {}
    """Currency → the highest budget one change may set, in the main unit."""


class Policy(BaseModel):
    """The rules for one tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effects: dict[Effect, Decision]
    tools: dict[str, Decision] = {}
    caps: Caps

    @field_validator("effects")
    @classmethod
    def _nothing_leaves_without_a_yes(cls, effects: dict[Effect, Decision]) -> dict[Effect, Decision]:
        if missing := set(Effect) - set(effects):
            raise ValueError(f"no decision for {sorted(missing)}")
        for effect in (Effect.WRITE, Effect.SEND, Effect.SPEND):
            if effects[effect] is Decision.RUN:
                raise ValueError(f"{effect} cannot run without approval")
        return effects

    def decision(self, tool: str, effect: str) -> Decision:
        """The stricter of what the effect and the tool's own exception say."""
        own = self.tools.get(tool, Decision.RUN)
        return max(self.effects[Effect(effect)], own, key=_STRICTNESS.index)

    def tightened(self, own: dict[str, Any]) -> "Policy":
        """This policy with a tenant's own rules on top. What would loosen it is not taken: the stricter one stays."""
        effects = {
            effect: max(decision, Decision(own.get("effects", {}).get(effect.value, decision)), key=_STRICTNESS.index)
            for effect, decision in self.effects.items()
        }
        tools = dict(self.tools)
        for name, decision in own.get("tools", {}).items():
            tools[name] = max(tools.get(name, Decision.RUN), Decision(decision), key=_STRICTNESS.index)
        caps = own.get("caps", {})
        percent = min(self.caps.budget_raise_percent, Decimal(str(caps.get("budget_raise_percent", "Infinity"))))
        return Policy(
            effects=effects,
            tools=tools,
            caps=Caps(
                budget_raise_percent=percent,
                daily_budget=_lower(self.caps.daily_budget, caps.get("daily_budget", {})),
                lifetime_budget=_lower(self.caps.lifetime_budget, caps.get("lifetime_budget", {})),
            ),
        )

    def check(self, tool: str, effect: str, change: Change) -> None:
        """Refused("policy_forbids" | "cap_…") when the policy does not let this change be made, even with a yes.

        A change that sets a budget says so in its data: `budget` ("daily" or "lifetime"), `before` and `after`
        as {"amount", "currency"}.
        """
        if self.decision(tool, effect) is Decision.NEVER:
            raise Refused("policy_forbids", f"the policy forbids {tool}", tool=tool)
        kind = change.data.get("budget")
        if kind is None or tool == UNDO:  # an undo goes back to what was, however far that is
            return
        before, after = _money(change.data["before"]), _money(change.data["after"])
        caps = self.caps.daily_budget if kind == "daily" else self.caps.lifetime_budget
        if after <= before:
            return
        highest = caps.get(after.currency)
        if highest is None:
            raise Refused(
                "cap_not_set", f"no highest {kind} budget is set for {after.currency}", currency=after.currency
            )
        if after.amount > highest:
            raise Refused(
                "cap_budget",
                f"{after.amount} {after.currency} is above the highest {kind} budget of {highest}",
                asked=after,
                highest=Money(highest, after.currency),
                kind=kind,
            )
        rise = before.change_percent_to(after)
        if rise is None or rise > self.caps.budget_raise_percent:
            raise Refused(
                "cap_raise",
                f"one change may raise a budget by at most {self.caps.budget_raise_percent}%",
                highest=self.caps.budget_raise_percent,
            )


class Policies:
    """The policy of each tenant: the house's, tightened by the tenant's own settings, read when it is needed."""

    def __init__(self, db: Database, base: Policy) -> None:
        self.base = base
        self._db = db

    async def of(self, tenant_id: str) -> Policy:
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT settings FROM tenants WHERE id = %s", [tenant_id])
        own = (row or {}).get("settings", {}).get("policy")
        if not own:
            return self.base
        try:
            return self.base.tightened(own)
        except (ValueError, ArithmeticError, AttributeError, KeyError) as error:
            # Rules that cannot be read must not be taken for no rules.
            raise Refused("policy_unreadable", "the tenant's own policy cannot be read") from error

    async def check(self, tenant_id: str, tool: str, effect: str, change: Change) -> None:
        """Policy.check with the tenant's policy: for Approvals, at every proposal, edit and approval."""
        (await self.of(tenant_id)).check(tool, effect, change)


def load_policy(file: Path = _FILE) -> Policy:
    """Read policy.yaml. SetupError("policy_broken") says what is wrong with it."""
    try:
        return Policy.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SetupError("policy_broken", f"{file}: {error}", file=str(file)) from None


def _lower(house: dict[str, Decimal], own: dict[str, Any]) -> dict[str, Decimal]:
    """The lower cap of each currency. A tenant may set one where the house has none."""
    own_caps = {currency: Decimal(str(cap)) for currency, cap in own.items()}
    return {
        currency: min(house.get(currency, Decimal("Infinity")), own_caps.get(currency, Decimal("Infinity")))
        for currency in {**house, **own_caps}
    }


def _money(data: dict[str, str]) -> Money:
    return Money(Decimal(data["amount"]), data["currency"])
