"""What `mutirao doctor` says of models: which roles run on what, what is left out and why, and, when asked, whether the
providers answer and know the catalog's models."""

import asyncio
import re
from typing import ClassVar

from core.doctor import Finding, Say, State
from llm.catalog import RolePlan
from llm.errors import ModelFailure
from llm.router import Router

_LIST_SECONDS = 15.0


class ModelsCheck:
    """`live` asks each provider that has a key for one word, which costs a few tokens, and for its list of models."""

    area: ClassVar[str] = "models"

    def __init__(self, router: Router, say: Say) -> None:
        self._router = router
        self._say = say

    async def run(self, live: bool) -> list[Finding]:
        plans = self._router.describe()
        findings = [self._role(plan) for plan in plans if not plan.planned]
        if planned := [plan.role for plan in plans if plan.planned]:
            findings.append(self._note("roles_planned", roles=", ".join(planned), count=len(planned)))
        catalog = self._router.catalog
        if catalog.overlay is not None:
            keys = ", ".join(catalog.changed)
            findings.append(self._note("overlay", path=str(catalog.overlay.absolute()), keys=keys))
        await self._router.look()
        for ref, state in sorted(self._router.states().items()):
            if state != "closed":
                findings.append(self._note(f"breaker_{state}", model=ref))
        if live:
            for provider, failure in (await self._router.check()).items():
                if not catalog.models_of(provider):
                    findings.append(self._note("provider_unused", provider=provider))
                    continue
                if failure is not None:
                    findings.append(self._found("broken", "provider_fails", provider=provider, reason=failure))
                    continue
                findings.append(self._found("ok", "provider_answers", provider=provider))
                findings += await self._names(provider, plans)
        return findings

    def _role(self, plan: RolePlan) -> Finding:
        models = " → ".join(model.ref for model in plan.models)
        reasons = [self._say("doctor.lacks_setting", model=ref, setting=name) for ref, name in plan.left_out.items()]
        reasons += [
            self._say("doctor.lacks_ability", model=ref, abilities=", ".join(lacks))
            for ref, lacks in plan.unfit.items()
        ]
        key = "role_runs" if models else "role_playbook"
        if plan.role in _NO_RULES:
            key = "role_reads" if models else "role_reads_nothing"
        return self._note(key, role=plan.role, models=models, left_out="; ".join(reasons))

    async def _names(self, provider: str, plans: list[RolePlan]) -> list[Finding]:
        """The catalog's model names against the provider's own list."""
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                listed = await self._router.providers[provider].listed()
        except (ModelFailure, TimeoutError) as error:
            reason = error.text if isinstance(error, ModelFailure) else f"> {_LIST_SECONDS:.0f} s"
            return [self._found("unverified", "list_fails", provider=provider, reason=reason)]
        if listed is None:
            return [self._note("list_none", provider=provider)]
        models = self._router.catalog.models_of(provider)
        in_use = {model.ref for plan in plans if not plan.planned for model in plan.models}
        findings = []
        for model in models:
            name = _listed_name(model.name, listed)
            if name is None:
                state: State = "broken" if model.ref in in_use else "note"
                findings.append(self._found(state, "model_unlisted", model=model.ref, provider=provider))
            elif (end := listed[name]) is not None:
                findings.append(self._note("model_ends", model=model.ref, provider=provider, end=end))
        return findings or [self._found("ok", "models_listed", provider=provider, count=len(models))]

    def _note(self, key: str, /, **params: object) -> Finding:
        return self._found("note", key, **params)

    def _found(self, state: State, key: str, /, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))


_NO_RULES = frozenset({"transcription", "vision"})
"""Roles that no playbook stands in for: without a model a file is kept and not put into words."""


def _listed_name(name: str, listed: dict[str, str | None]) -> str | None:
    """How a list has a model: by its name, by that of its dated snapshot (Anthropic), or with Ollama's usual tag."""
    if name in listed:
        return name
    dated = re.compile(re.escape(name) + r"(-\d{8}|:latest)")
    return next((other for other in listed if dated.fullmatch(other)), None)
