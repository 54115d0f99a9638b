"""One request to one model: whether it may be made, what is heard of the answer, and what is written down of it.

Nothing is repeated here and nothing chosen; that is the router's.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog

from core.ids import new_id
from core.messages import storable
from core.turn import ModelCall, StepFinished, StepStarted
from llm import prices
from llm.breaker import Breakers, Pass
from llm.budget import Admission, Budgets
from llm.catalog import Model
from llm.errors import KEY_REFUSED, ModelFailure
from llm.hedging import FirstSigns
from llm.messages import ModelAnswer, ModelRequest, OnText, Usage
from llm.policy import prompt_tokens
from llm.providers import Finished, Provider, connect_within
from llm.questions import Link, Question

_NEARLY_WHOLE = 0.8  # of the deadline: who had so much of it and was not ready is too slow, whoever came before
_SLACK = 1.05  # of the limit of silence within an answer: setting it anew for every piece would take 6 µs each
_CHARS_PER_TOKEN = 3  # as in llm/policy.py
_TOO_MANY_CHARS = 20  # for each token that was asked for: no answer in words or JSON comes near it

log = structlog.get_logger(__name__)

Waiting = set[asyncio.Timeout]
"""The limits of the requests to one model that have shown no sign yet."""


class Attempts:
    """What all requests to models share."""

    def __init__(self, providers: Mapping[str, Provider], breakers: Breakers, budgets: Budgets | None) -> None:
        self.providers = providers
        self.breakers = breakers
        self.budgets = budgets
        self.signs = FirstSigns()
        self.waiting: defaultdict[str, Waiting] = defaultdict(set)
        self._why_closed: dict[str, str] = {}
        """Of models whose key was refused when this process asked them last: what is told of their open breaker."""
        self._reports: set[asyncio.Task[None]] = set()

    def note(self, ref: str, outcome: ModelAnswer | ModelFailure) -> None:
        """Remember whether the last that was heard of a model was that its key is refused."""
        if isinstance(outcome, ModelFailure) and outcome.kind == "auth":
            self._why_closed[ref] = f", {KEY_REFUSED}" + (f" ({outcome.status})" if outcome.status else "")
        elif isinstance(outcome, ModelAnswer) or outcome.speaks_against:
            self._why_closed.pop(ref, None)

    async def admit(self, question: Question, link: Link, *, hedge: bool = False) -> "Attempt | None":
        """The attempt at a link. None when its breaker is open or the budget is spent; the question then knows it."""
        model = link.model
        permitted = await self.breakers.enter(model.ref, lease=max(question.left, 0.0))
        if permitted.state == "open":
            question.closed_for(link, permitted.wait, self._why_closed.get(model.ref, ""))
            return None
        admission = None
        try:
            if self.budgets is not None:
                request = question.request
                admission = await self.budgets.admit(
                    question.turn, request.role, model, prompt_tokens(request), request.max_tokens, needed=not hedge
                )
        finally:
            if self.budgets is not None and (admission is None or not admission.granted):
                await self.breakers.left(permitted)
        if admission is not None and not admission.granted:
            question.pass_over(link, "budget")
            if not hedge:
                question.stop_asking()
            return None
        return Attempt(self, question, link, permitted, admission, hedge)

    def give_up_on(self, ref: str) -> None:
        """End the requests to a model that have shown no sign yet: it has been silent for too long to others."""
        now = asyncio.get_running_loop().time()
        for limit in self.waiting[ref]:
            if not limit.expired():
                limit.reschedule(now)

    async def report(self, work: Any) -> None:
        """Finish a report even when who waits for it is cancelled."""
        task = asyncio.ensure_future(work)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        await asyncio.gather(*self._reports, return_exceptions=True)
        await self.breakers.close()


class Attempt:
    """Made by `Attempts.admit`; `run` it exactly once."""

    def __init__(
        self,
        shared: Attempts,
        question: Question,
        link: Link,
        permitted: Pass,
        admission: Admission | None,
        hedge: bool,
    ) -> None:
        self.link = link
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done at the first sign of the answer."""
        self.beaten = False
        """Another model was asked beside this one and showed the first sign."""
        self._shared = shared
        self._question = question
        self._permitted = permitted
        self._admission = admission
        self._hedge = hedge
        self._heard = Heard()
        self._started_at = time.time()
        self._started = time.monotonic()
        link.attempts += 1
        self._number = link.attempts

    async def run(self) -> ModelAnswer | ModelFailure:
        """Ask. The attempt is shown as a step, recorded in the turn and reported to breaker and budgets however it
        ends; a failure is returned, and only says to try the next link."""
        question, model = self._question, self.link.model
        step_id = new_id("step")
        outcome: ModelAnswer | ModelFailure = self._failure("given_up", "stopped")
        try:
            question.turn.progress(StepStarted(step_id, "model", model.ref, model.title))
            outcome = await self._ask()
        except ModelFailure as failure:
            outcome = failure
        except asyncio.CancelledError:
            if self.beaten:
                outcome = self._failure("given_up", "another model was faster")
            raise
        finally:
            call = self._record(outcome)
            kind = outcome.kind if isinstance(outcome, ModelFailure) else ""
            question.turn.progress(StepFinished(step_id, call.seconds, not kind, kind))
            await self._shared.report(self._report(outcome, call))
        return outcome

    async def _ask(self) -> ModelAnswer:
        question, model, heard = self._question, self.link.model, self._heard
        if question.speaker is not None:
            raise self._failure("given_up", "another model was faster")
        connect_within.set(question.connect)
        try:
            finished = await listen(
                self._shared.providers[model.provider],
                model,
                question.request,
                heard,
                silence=question.limits.silence,
                deadline=question.deadline,
                whole_deadline=question.longest,
                waiting=self._shared.waiting[model.ref],
                on_begin=self._begin,
                on_text=question.on_text,
            )
        except ModelFailure:
            self._take_back()
            raise
        if finished.tool_calls:
            self._take_back()
        return ModelAnswer(
            text="".join(heard.text),
            tool_calls=finished.tool_calls,
            provider=model.provider,
            model=model.name,
            usage=finished.usage,
            cost_usd=prices.price_usd(model, finished.usage),
            seconds=time.monotonic() - self._started,
        )

    def _begin(self) -> None:
        """The first sign of the answer. Of two models asked side by side the first to show one goes on."""
        if self._question.speaker is not None:
            raise self._failure("given_up", "another model was faster")
        self._question.speaker = self
        if not self.began.done():
            self.began.set_result(None)

    def _take_back(self) -> None:
        """What was said turned out not to be the answer."""
        if self._question.speaker is self:
            self._question.speaker = None
            if self._heard.text:
                self._question.on_text(None)

    def _failure(self, kind: Any, detail: str) -> ModelFailure:
        return ModelFailure(kind, self.link.model.provider, self.link.model.name, detail=detail)

    # --- what is written down ------------------------------------------------------------------

    def _record(self, outcome: ModelAnswer | ModelFailure) -> ModelCall:
        """Add the attempt to its turn. What one that failed has consumed is reckoned when the provider did not tell:
        all of the prompt, and what was heard of the answer, once it had begun, or was given up for a faster one."""
        question, model, heard = self._question, self.link.model, self._heard
        usage, estimated = outcome.usage, heard.uncounted
        if usage is None and (heard.first_seconds is not None or self.beaten):
            usage, estimated = Usage(prompt_tokens(question.request), heard.tokens), True
        if isinstance(outcome, ModelAnswer):
            cost = outcome.cost_usd
        else:
            cost = None if usage is None else prices.price_usd(model, usage)
        known = usage or Usage()
        call = ModelCall(
            provider=model.provider,
            model=model.name,
            role=question.request.role,
            prompt_tokens=known.prompt_tokens,
            completion_tokens=known.completion_tokens,
            cached_tokens=known.cached_tokens,
            cost_usd=cost,
            seconds=time.monotonic() - self._started,
            failure=outcome.text if isinstance(outcome, ModelFailure) else None,
            prompt_hash=question.completion.prompt_hash,
            cache_written_tokens=known.cache_written_tokens,
            started_at=self._started_at,
            first_seconds=heard.first_seconds,
            completion=question.number,
            link=self.link.place,
            attempt=self._number,
            hedge=self._hedge,
            estimated=estimated,
        )
        question.turn.model_calls.append(call)
        return call

    async def _report(self, outcome: ModelAnswer | ModelFailure, call: ModelCall) -> None:
        shared, ref = self._shared, self.link.model.ref
        shared.note(ref, outcome)
        if call.first_seconds is not None or self.beaten:  # a slow one that was beaten took at least so long
            shared.signs.note(ref, call.first_seconds or call.seconds)
        if isinstance(outcome, ModelAnswer):
            await shared.breakers.went_well(self._permitted)
        elif not outcome.speaks_against:
            await shared.breakers.left(self._permitted)
        elif await shared.breakers.failed(self._permitted) and outcome.kind == "timeout":
            shared.give_up_on(ref)
        if isinstance(outcome, ModelFailure):
            if outcome.kind == "given_up":
                self._question.not_needed(self.link)
            else:
                self._question.failed(self.link, outcome)
        if shared.budgets is not None and self._admission is not None:
            await shared.budgets.settle(self._question.turn, self._admission, call)


# --- hearing an answer ------------------------------------------------------------------------------


@dataclass
class Heard:
    """What has been heard of an answer so far."""

    text: list[str] = field(default_factory=list)
    events: int = 0
    first_seconds: float | None = None
    uncounted: bool = False
    """The provider did not count its tokens."""

    @property
    def tokens(self) -> int:
        """About how many tokens: one for three characters, and at least one for each event of the stream."""
        return max(self.events, -(-sum(map(len, self.text)) // _CHARS_PER_TOKEN))


async def listen(
    provider: Provider,
    model: Model,
    request: ModelRequest,
    heard: Heard,
    *,
    silence: float,
    deadline: float,
    whole_deadline: float,
    waiting: Waiting,
    on_begin: Callable[[], None],
    on_text: OnText,
) -> Finished:
    """Send one request and hear its answer to the end, which is whole and what was asked for; else ModelFailure.

    `silence`: seconds without a sign, at the beginning and within. `deadline` is of the loop's clock; a model that had
    (nearly) all of `whole_deadline` seconds until then is to blame for not being ready. Cancelling ends the request.
    """
    now = asyncio.get_running_loop().time
    begun = now()
    limit = asyncio.timeout_at(None)
    finished: Finished | None = None
    length = 0
    try:
        await provider.ready()
        begun = now()
        async with limit, aclosing(provider.stream(model, request)) as pieces:
            limit.reschedule(min(begun + silence, deadline))
            waiting.add(limit)
            async for piece in pieces:
                at = now()
                if heard.first_seconds is None:
                    heard.first_seconds = at - begun
                    waiting.discard(limit)
                    on_begin()
                if (limit.when() or 0.0) < min(at + silence, deadline):
                    limit.reschedule(min(at + silence * _SLACK, deadline))
                if isinstance(piece, Finished):
                    finished = piece
                elif piece:
                    if not piece.isprintable():  # newlines and tabs, and what no one can store or send on: NUL, halves
                        piece = storable(piece)
                    heard.text.append(piece)
                    length += len(piece)
                    on_text(piece)
                else:
                    heard.events += 1
                if length + heard.events > _TOO_MANY_CHARS * request.max_tokens:
                    detail = f"the answer goes on beyond {request.max_tokens} tokens"
                    raise ModelFailure("broken_answer", model.provider, model.name, detail=detail)
    except ModelFailure:
        raise
    except TimeoutError:
        hurried = limit.when() == deadline and deadline - begun < _NEARLY_WHOLE * whole_deadline
        detail = f"after {now() - begun:.1f} s"
        raise ModelFailure("timeout", model.provider, model.name, detail=detail, ours=hurried) from None
    except Exception as error:  # of our own code: a provider's failures come as ModelFailure
        log.exception("model_code_failed", model=model.ref)
        detail = f"{type(error).__name__}: {error}"
        raise ModelFailure("broken_answer", model.provider, model.name, detail=detail, ours=True) from None
    finally:
        waiting.discard(limit)
    if finished is None or (why := _not_what_was_asked(request, "".join(heard.text), finished)):
        detail = "the answer has no end" if finished is None else why
        raise ModelFailure(
            "broken_answer", model.provider, model.name, detail=detail, usage=finished.usage if finished else None
        )
    heard.uncounted = finished.estimated
    return finished


def _not_what_was_asked(request: ModelRequest, text: str, finished: Finished) -> str:
    """Why a whole answer is none: it says nothing, or is no JSON where JSON was asked for. "" when it is one."""
    if finished.tool_calls:
        return ""
    if not text.strip():
        return "an empty answer"
    if request.response_schema is not None and not _is_json(text):
        return "not the JSON that was asked for"
    return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
