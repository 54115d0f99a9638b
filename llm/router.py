"""Gets an answer for a turn: down the role's chain of models, the crew's playbook last.

How failures are met is told in docs/decisions/0011-when-models-fail.md.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import structlog

from core.errors import SetupError, Unavailable
from core.settings import Settings
from core.turn import ModelCall, Turn
from llm import offline, prices
from llm.attempts import Attempt, Attempts, Heard, listen
from llm.breaker import Breakers, State
from llm.budget import Budgets
from llm.catalog import OVERLAY, Catalog, Model, RolePlan, load_catalog
from llm.errors import ModelFailure
from llm.hedging import first_to_begin
from llm.messages import ModelAnswer, ModelRequest, OnText, Playbook
from llm.policy import plan_links
from llm.providers import Provider, build_providers
from llm.questions import Link, Question, RouterLimits

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class Router:
    """Shared by all turns of a process; lives on one event loop, the one its providers' connections belong to."""

    @classmethod
    def from_settings(cls, settings: Settings, *, budgets: Budgets | None = None) -> "Router":
        """The router as the settings want it. Without `budgets` nothing limits what is spent but each turn's limits.

        SetupError when the catalog or the setting `model` is broken, or when the provider that `model` names has no
        key ("model_without_key"), unless keys are to be ignored: then only playbooks answer.
        """
        overlay = settings.data_dir / OVERLAY
        catalog = load_catalog(forced=settings.model, compatible_model=settings.compatible_model, overlay=overlay)
        providers = build_providers(settings)
        forced = catalog.forced_provider
        if forced is not None and forced not in providers and not settings.ignore_provider_keys:
            setting = catalog.setting_of(forced)
            raise SetupError(
                "model_without_key", f"{settings.model} needs {setting}", model=settings.model, setting=setting
            )
        breakers = Breakers(
            failures=settings.model_breaker_failures,
            seconds=settings.model_breaker_seconds * settings.model_time_scale,
            redis_url=settings.redis_url,
        )
        return cls(catalog, providers, RouterLimits.from_settings(settings), breakers=breakers, budgets=budgets)

    def __init__(
        self,
        catalog: Catalog,
        providers: Mapping[str, Provider],
        limits: RouterLimits,
        *,
        breakers: Breakers,
        budgets: Budgets | None = None,
    ) -> None:
        self.catalog = catalog
        self.providers = providers
        """Those that have a key, by name."""
        self._limits = limits
        self._breakers = breakers
        self._budgets = budgets
        self._attempts = Attempts(providers, breakers, budgets)

    # --- what there is ------------------------------------------------------------------------

    def chain(self, role: str) -> list[Model]:
        """The models that serve a role, first choice first; empty when only the playbook can answer."""
        return self.catalog.chain(role, self.providers)

    def describe(self) -> list[RolePlan]:
        """Which roles run on what, and what is left out for want of which setting."""
        return self.catalog.describe(self.providers)

    def states(self) -> dict[str, State]:
        """The breaker of each model that serves a role, by "provider/model", as this process knows it. Any thread."""
        known = self._breakers.states()
        return {model.ref: known.get(model.ref, "closed") for plan in self.describe() for model in plan.models}

    async def look(self) -> None:
        """Learn what other processes know of the breakers, for `states`."""
        await self._breakers.look(self.states())

    async def warm(self) -> None:
        """Import what will be needed and build the clients, in threads, so that no turn waits for it: 1 to 6 s."""
        for provider in self.providers.values():
            await provider.ready()
        await prices.ready()

    async def check(self) -> dict[str, str | None]:
        """Ask each provider that has a key for one word, for `doctor --live`: by name what went wrong, None if well.

        Costs a few tokens at each, whatever breakers and budgets say.
        """
        told: dict[str, str | None] = {}
        request = ModelRequest("check", [{"role": "user", "content": "Answer with the one word: ok"}], max_tokens=200)
        for name, provider in self.providers.items():
            if (model := self._first_of(name)) is None:
                told[name] = "no role has a model of it"
                continue
            try:
                await listen(
                    provider,
                    model,
                    request,
                    Heard(),
                    silence=self._limits.silence,
                    deadline=asyncio.get_running_loop().time() + self._limits.deadline,
                    whole_deadline=self._limits.deadline,
                    waiting=set(),
                    on_begin=lambda: None,
                    on_text=_nowhere,
                )
                told[name] = None
            except ModelFailure as failure:
                told[name] = failure.text
        return told

    def _first_of(self, provider: str) -> Model | None:
        """Any model of a provider that serves a role."""
        chains = (self.catalog.chain(role, [provider]) for role in self.catalog.roles)
        return next((chain[0] for chain in chains if chain), None)

    async def close(self) -> None:
        await self._attempts.close()
        for provider in self.providers.values():
            await provider.close()

    # --- an answer ----------------------------------------------------------------------------

    async def complete(
        self,
        turn: Turn,
        request: ModelRequest,
        *,
        playbook: Playbook | None,
        on_text: OnText | None = None,
        background: bool = False,
        can_do_without: bool = False,
    ) -> ModelAnswer:
        """The answer to `request`, from the first link of the role's chain that gives a whole one.

        When a link fails, the next is asked at once, and the later questions of a turn pass it over while there is
        another way. Only when all have failed is one of them waited for and asked
        again, and never while a person waits who could have the playbook's answer instead, or whose caller
        `can_do_without` one. `background`: nobody waits, so that waits are longer and the playbook comes after them.

        Every question is recorded in `turn.completions`, every attempt in `turn.model_calls`. Before each attempt the
        turn's limits are looked at, and a turn that is stopped ends a running attempt at once:
        Refused("turn_limit" | "turn_stopped"). Models get two thirds of the turn's time where there is another way,
        so that what is left is the playbook's. When no model answered, it does (`provider` is "offline");
        without one: Unavailable("models_unavailable", failures=[…]), which keeps what went wrong at every attempt.
        Cancelling the awaiting task ends the HTTP request.
        """
        show = on_text or _nowhere
        way_out = playbook is not None or can_do_without
        question = Question.put(turn, request, show, self._limits, background=background, way_out=way_out)
        await self._plan(question)
        while (link := question.next_link()) is not None:
            turn.check_limits(time_too=not way_out)
            outcome = await _unless_stopped(turn, self._ask(question, link))
            if isinstance(outcome, ModelAnswer):
                return question.answered(outcome)
        if question.failures:
            log.warning("no_model_answered", role=request.role, failures=[f.text for f in question.failures])
        turn.check_limits(time_too=not way_out)
        if playbook is not None:
            return question.answered(_from_playbook(question, playbook))
        failures = [failure.text for failure in question.failures]
        told = "; ".join([*failures, *question.completion.passed_over]) or "no model is configured"
        raise Unavailable("models_unavailable", told, failures=failures)

    async def _plan(self, question: Question) -> None:
        """Find the links: those that can do what is asked, and cheap ones first when the day's budget is used up."""
        turn, role = question.turn, question.request.role
        if chain := self.chain(role):
            await prices.ready()
            share = self._budgets.share(turn.identity.tenant_id, role) if self._budgets is not None else None
            economy = share is not None and share > 1
            question.plan(*plan_links(chain, question.request, language=turn.language, economy=economy))

    async def _ask(self, question: Question, link: Link) -> ModelAnswer | ModelFailure | None:
        """What came of asking a link, None when it may not be asked; beside a slow one the next, where that is set."""
        await question.wait_for(link)
        attempt = await self._attempts.admit(question, link)
        if attempt is None:
            return None
        usual = self._attempts.signs.p95(link.model.ref) if self._limits.hedging else None
        if usual is None:
            return await attempt.run()

        async def ask_another() -> Attempt | None:
            other = question.next_of_another_provider(link)
            return None if other is None else await self._attempts.admit(question, other, hedge=True)

        return await first_to_begin(attempt, usual, ask_another)


def _from_playbook(question: Question, playbook: Playbook) -> ModelAnswer:
    """The playbook's next step, recorded as the last link of the chain."""
    started_at, started = time.time(), time.monotonic()
    answer = offline.answer_from(playbook, question.request)
    question.turn.model_calls.append(
        ModelCall(
            provider=offline.PROVIDER,
            model=offline.MODEL,
            role=question.request.role,
            prompt_tokens=0,
            completion_tokens=0,
            cached_tokens=0,
            cost_usd=Decimal(0),
            seconds=time.monotonic() - started,
            prompt_hash=question.completion.prompt_hash,
            started_at=started_at,
            completion=question.number,
            link=len(question.links),
        )
    )
    if answer.text:
        question.on_text(answer.text)
    return answer


def _nowhere(_: str | None) -> None:
    """For callers that want the answer only when it is whole."""


async def _unless_stopped(turn: Turn, work: Coroutine[Any, Any, _T]) -> _T:
    """What comes of the work, or Refused("turn_stopped") as soon as the user stops the turn.

    Stopped or cancelled, the work is over, and its HTTP requests with it, before this returns.
    """
    running = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(turn.stopped.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            turn.check_limits()
        return await running
    finally:
        running.cancel()
        stopped.cancel()
        await asyncio.gather(running, stopped, return_exceptions=True)
