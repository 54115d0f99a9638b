"""Gets an answer for a turn: down the role's chain of models, the crew's playbook last.

A first, simple router: the next link at once when one fails. No memory of failures, no hedging.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from core.errors import SetupError, Unavailable
from core.ids import new_id
from core.settings import Settings
from core.turn import ModelCall, StepFinished, StepStarted, Turn
from llm import offline
from llm.catalog import OVERLAY, Catalog, Model, RolePlan, load_catalog
from llm.errors import ModelFailure
from llm.messages import ModelAnswer, ModelRequest, OnText, Playbook, Usage
from llm.prices import price_usd
from llm.providers import Finished, Provider, build_providers

_T = TypeVar("_T")


@dataclass(frozen=True)
class RouterLimits:
    """Seconds: until a model's first sign of an answer, and for the whole of one `complete` over all its links."""

    first_byte: float = 8.0
    deadline: float = 30.0


class Router:
    """Shared by all turns of a process; lives on one event loop, the one its providers' connections belong to."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "Router":
        """The router as the settings want it.

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
        limits = RouterLimits(settings.model_first_byte_seconds, settings.model_deadline_seconds)
        return cls(catalog, providers, limits)

    def __init__(self, catalog: Catalog, providers: Mapping[str, Provider], limits: RouterLimits) -> None:
        self._catalog = catalog
        self._providers = providers
        self._limits = limits

    def chain(self, role: str) -> list[Model]:
        """The models that serve a role, first choice first; empty when only the playbook can answer."""
        return self._catalog.chain(role, self._providers)

    def context_window(self, role: str) -> int:
        """Tokens that every model of the role takes, prompt and answer together."""
        return self._catalog.context_window(role, self._providers)

    def describe(self) -> list[RolePlan]:
        """Which roles run on what, and what is left out for want of which setting."""
        return self._catalog.describe(self._providers)

    async def warm(self) -> None:
        """Import what will be needed and build the clients, in threads, so that no turn waits for it: 1 to 6 s."""
        for name, provider in self._providers.items():
            await provider.ready()
            if (model := self._first_of(name)) is not None:
                await asyncio.to_thread(price_usd, model, Usage())

    async def check(self) -> dict[str, str | None]:
        """Ask each provider that has a key for one word, for `doctor --live`: by name what went wrong, None if well.

        Costs a few tokens at each.
        """
        told: dict[str, str | None] = {}
        request = ModelRequest("check", [{"role": "user", "content": "Answer with the one word: ok"}], max_tokens=200)
        for name in self._providers:
            if (model := self._first_of(name)) is None:
                told[name] = "no role has a model of it"
                continue
            deadline = asyncio.get_running_loop().time() + self._limits.deadline
            outcome = await self._ask(model, request, _nowhere, deadline)
            told[name] = outcome.text if isinstance(outcome, ModelFailure) else None
        return told

    def _first_of(self, provider: str) -> Model | None:
        """Any model of a provider that serves a role."""
        chains = (self._catalog.chain(role, [provider]) for role in self._catalog.roles)
        return next((chain[0] for chain in chains if chain), None)

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()

    async def complete(
        self, turn: Turn, request: ModelRequest, *, playbook: Playbook | None, on_text: OnText | None = None
    ) -> ModelAnswer:
        """The answer to `request`, from the first link of the role's chain that gives a whole one.

        Every attempt is recorded in `turn.model_calls`. Before each the turn's limits are looked at, and a turn that
        is stopped ends a running attempt at once: Refused("turn_limit" | "turn_stopped"). When no model answered, the
        playbook does (`provider` is "offline"); without one: Unavailable("models_unavailable", failures=[…]), which
        keeps what went wrong at every link. Cancelling the awaiting task ends the HTTP request.
        """
        show = on_text or _nowhere
        now = asyncio.get_running_loop().time
        deadline = now() + self._seconds_left(turn)
        failures: list[ModelFailure] = []
        chain = self.chain(request.role)
        prompt_hash = _prompt_hash(request) if chain else ""
        for model in chain:
            turn.check_limits()
            if failures and now() >= deadline:
                break
            outcome = await self._attempt(turn, model, request, show, deadline, prompt_hash)
            if isinstance(outcome, ModelAnswer):
                return outcome
            failures.append(outcome)
        if playbook is not None:
            return self._from_playbook(turn, request, playbook, show)
        turn.check_limits()
        texts = [failure.text for failure in failures]
        raise Unavailable("models_unavailable", "; ".join(texts) or "no model is configured", failures=texts)

    def _seconds_left(self, turn: Turn) -> float:
        return min(self._limits.deadline, turn.limits.seconds - (time.monotonic() - turn.started))

    async def _attempt(
        self, turn: Turn, model: Model, request: ModelRequest, on_text: OnText, deadline: float, prompt_hash: str
    ) -> ModelAnswer | ModelFailure:
        """One request to one model, shown and recorded. A failure is returned: it only says to try the next link."""
        step_id = new_id("step")
        turn.progress(StepStarted(step_id, "model", model.ref, model.title))
        started = time.monotonic()
        outcome: ModelAnswer | ModelFailure = ModelFailure("unavailable", model.provider, model.name, detail="stopped")
        try:
            outcome = await _unless_stopped(turn, self._ask(model, request, on_text, deadline))
        finally:
            seconds = time.monotonic() - started
            _record(turn, model, request.role, outcome, seconds, prompt_hash)
            kind = outcome.kind if isinstance(outcome, ModelFailure) else ""
            turn.progress(StepFinished(step_id, seconds, not kind, kind))
        return outcome

    async def _ask(
        self, model: Model, request: ModelRequest, on_text: OnText, deadline: float
    ) -> ModelAnswer | ModelFailure:
        """One request within its two limits. Text that turns out not to be the answer is taken back."""
        provider = self._providers[model.provider]
        await provider.ready()
        now = asyncio.get_running_loop().time
        started = now()
        said: list[str] = []
        finished: Finished | None = None
        failure: ModelFailure | None = None
        try:
            async with (
                asyncio.timeout_at(min(started + self._limits.first_byte, deadline)) as limit,
                aclosing(provider.stream(model, request)) as pieces,
            ):
                async for piece in pieces:
                    if limit.when() != deadline:  # the first sign of an answer
                        limit.reschedule(deadline)
                    if isinstance(piece, Finished):
                        finished = piece
                    elif piece:
                        said.append(piece)
                        on_text(piece)
        except TimeoutError:
            failure = ModelFailure("timeout", model.provider, model.name, detail=f"after {now() - started:.1f} s")
        except ModelFailure as error:
            failure = error
        text = "".join(said)
        if failure is None:
            failure = _not_what_was_asked(model, request, text, finished)
        if said and (failure or (finished and finished.tool_calls)):
            on_text(None)
        if failure is not None or finished is None:
            return failure or ModelFailure("broken_answer", model.provider, model.name, detail="no end")
        return ModelAnswer(
            text=text,
            tool_calls=finished.tool_calls,
            provider=model.provider,
            model=model.name,
            usage=finished.usage,
            cost_usd=await asyncio.to_thread(price_usd, model, finished.usage),  # its list takes 0.8 s to load
            seconds=now() - started,
        )

    @staticmethod
    def _from_playbook(turn: Turn, request: ModelRequest, playbook: Playbook, on_text: OnText) -> ModelAnswer:
        turn.check_limits()
        started = time.monotonic()
        answer = offline.answer_from(playbook, request)
        seconds = time.monotonic() - started
        turn.model_calls.append(ModelCall(offline.PROVIDER, offline.MODEL, request.role, 0, 0, 0, Decimal(0), seconds))
        if answer.text:
            on_text(answer.text)
        return answer


def _record(
    turn: Turn, model: Model, role: str, outcome: ModelAnswer | ModelFailure, seconds: float, prompt_hash: str
) -> None:
    """Add the attempt to the turn. What a failed one consumed is not known: no tokens, and no cost."""
    usage = outcome.usage if isinstance(outcome, ModelAnswer) else Usage()
    turn.model_calls.append(
        ModelCall(
            provider=model.provider,
            model=model.name,
            role=role,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            cost_usd=outcome.cost_usd if isinstance(outcome, ModelAnswer) else None,
            seconds=seconds,
            failure=None if isinstance(outcome, ModelAnswer) else outcome.text,
            prompt_hash=prompt_hash,
        )
    )


def _nowhere(_: str | None) -> None:
    """For callers that want the answer only when it is whole."""


def _not_what_was_asked(
    model: Model, request: ModelRequest, text: str, finished: Finished | None
) -> ModelFailure | None:
    """A failure when the answer is not whole, says nothing, or is no JSON where JSON was asked for."""
    if finished is None:
        reason = "the answer has no end"
    elif finished.tool_calls:
        return None
    elif not text.strip():
        reason = "an empty answer"
    elif request.response_schema is not None and not _is_json(text):
        reason = "not the JSON that was asked for"
    else:
        return None
    return ModelFailure("broken_answer", model.provider, model.name, detail=reason)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def _unless_stopped(turn: Turn, attempt: Coroutine[Any, Any, _T]) -> _T:
    """The attempt's outcome, or Refused("turn_stopped") as soon as the user stops the turn.

    Stopped or cancelled, the attempt is over, and its HTTP request with it, before this returns.
    """
    running = asyncio.ensure_future(attempt)
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


def _prompt_hash(request: ModelRequest) -> str:
    """12 hex digits that are equal for equal messages and tools, whatever the order of keys."""
    told = {"messages": request.messages, "tools": request.tools}
    canonical = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:12]
