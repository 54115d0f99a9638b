"""One question to the models: until when an answer is wanted, which links may still be asked, and its record."""

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.settings import Settings
from core.turn import Completion, Turn
from llm.catalog import Model
from llm.errors import ModelFailure
from llm.messages import ModelAnswer, ModelRequest, OnText
from llm.providers import CONNECT

FAILED_BEFORE = "failed before in this turn"
NO_TIME_LEFT = "no time left"
BREAKER_OPEN = "breaker open"

_CONNECT_AGAIN = 0.4

_OF_MODELS = 2 / 3
"""Of a turn's time: what models may take while a playbook could answer. 60 of 90 s are enough for two chains of three
silent models, the router's and the crew's; the rest is for the playbook's own tools and words."""


@dataclass(frozen=True)
class RouterLimits:
    """All in seconds."""

    silence: float = 8.0
    """How long a model may show nothing: until the first sign of its answer, and between two pieces of it."""
    deadline: float = 30.0
    """For one question over all its links, while a person waits."""
    background: float = 300.0
    """The same for work in the background."""
    waits: tuple[float, ...] = (2.0, 4.0, 8.0)
    """Before a model is asked a second, third and fourth time."""
    longest_wait: float = 30.0
    """In the background the waits go on doubling up to this."""
    hedging: bool = False
    scale: float = 1.0
    """Of time in tests: all of the above is multiplied by it already, and so is what a provider asks to wait."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "RouterLimits":
        scale = settings.model_time_scale
        return cls(
            silence=settings.model_first_byte_seconds * scale,
            deadline=settings.model_deadline_seconds * scale,
            background=settings.model_background_seconds * scale,
            waits=tuple(wait * scale for wait in cls.waits),
            longest_wait=cls.longest_wait * scale,
            hedging=settings.model_hedging,
            scale=scale,
        )


def wait_before_retry(
    failures: int, told: float | None, left: float, limits: RouterLimits, *, background: bool, way_out: bool
) -> float | None:
    """Seconds to wait before a model that failed `failures` times in this question is asked again; None: never again.

    `told` is the provider's Retry-After in seconds: it lengthens a wait, never shortens it. `left` is what is left
    until the deadline. A person who waits is not made to wait for a retry when there is a `way_out`: a playbook, or a
    caller that can do without an answer.
    """
    if background:
        step = min(limits.waits[0] * 2 ** min(failures - 1, 16), limits.longest_wait)
    elif way_out or failures > len(limits.waits):
        return None
    else:
        step = limits.waits[failures - 1]
    wait = max(step, (told or 0.0) * limits.scale)
    return wait if wait < left else None


@dataclass
class Link:
    """A model of the question's chain. `place` 0 is the first choice."""

    model: Model
    place: int
    attempts: int = 0
    failures: int = 0
    ready_at: float | None = 0.0
    """When it may be asked, of the loop's clock; None: not again."""


@dataclass
class Question:
    """One `Router.complete`. Made by `put`; times are of the loop's clock."""

    turn: Turn
    request: ModelRequest
    on_text: OnText
    limits: RouterLimits
    background: bool
    way_out: bool
    completion: Completion
    number: int
    """Its place in the turn's completions."""
    deadline: float
    links: list[Link] = field(default_factory=list)
    failures: list[ModelFailure] = field(default_factory=list)
    speaker: object | None = None
    """The attempt whose text is shown: the first that showed a sign."""

    @classmethod
    def put(
        cls,
        turn: Turn,
        request: ModelRequest,
        on_text: OnText,
        limits: RouterLimits,
        *,
        background: bool,
        way_out: bool,
    ) -> "Question":
        """Begin: the question stands in the turn's record from now on, whatever comes of it."""
        completion = _asked(turn, request)
        turn.completions.append(completion)
        number = len(turn.completions) - 1
        now = asyncio.get_running_loop().time()
        question = cls(turn, request, on_text, limits, background, way_out, completion, number, deadline=now)
        share = turn.limits.seconds * (_OF_MODELS if way_out else 1)
        question.deadline += min(question.longest, share - (time.monotonic() - turn.started))
        return question

    @property
    def longest(self) -> float:
        """Seconds that a question of this kind may take in all."""
        return self.limits.background if self.background else self.limits.deadline

    @property
    def connect(self) -> float:
        """Seconds for connecting to the next model. Where one could not be connected to in time, it is most often our
        own line: the others then have 0.4 s, twice the way from Brazil to any of them and back."""
        return _CONNECT_AGAIN if any(failure.unreachable for failure in self.failures) else CONNECT

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - asyncio.get_running_loop().time()

    def plan(self, models: Sequence[Model], passed_over: Sequence[str]) -> None:
        """The models in the order to ask them. Those that failed in this turn before are not asked again while a person
        waits who has a way out; where there is none they come after the others."""
        self.links = [Link(model, place) for place, model in enumerate(models)]
        self.completion.passed_over += passed_over
        for link in self.links:
            if link.model.ref in self._failed_before and not self.background:
                self._ready_in(link, None if self.way_out else 0.0)
                if self.way_out:
                    self.pass_over(link, FAILED_BEFORE)

    def next_link(self) -> Link | None:
        """The next in the chain's order; when all were asked, the one whose wait is over first.

        None when no one is left, or no time.
        """
        left = [link for link in self.links if link.ready_at is not None]
        if self.left <= 0:
            for link in left:
                if not link.attempts:
                    self.pass_over(link, NO_TIME_LEFT)
            return None
        return min(left, key=lambda link: (link.ready_at, link.place), default=None)

    def next_of_another_provider(self, than: Link) -> Link | None:
        """The next that was not asked yet and is not of the same provider."""
        fresh = [link for link in self.links if link.ready_at is not None and not link.attempts]
        return next((link for link in fresh if link.model.provider != than.model.provider), None)

    async def wait_for(self, link: Link) -> None:
        """Wait until the link may be asked."""
        assert link.ready_at is not None
        wait = link.ready_at - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)

    def pass_over(self, link: Link, why: str) -> None:
        told = f"{link.model.ref}: {why}"
        if told not in self.completion.passed_over:
            self.completion.passed_over.append(told)

    def closed_for(self, link: Link, seconds: float, why: str = "") -> None:
        """Its breaker is open for so long. Worth a wait in the background alone, looking again now and then."""
        self.pass_over(link, f"{BREAKER_OPEN}{why}")
        wait = min(max(seconds, self.limits.waits[0]), self.limits.longest_wait)
        self._ready_in(link, wait if self.background and wait < self.left else None)

    def failed(self, link: Link, failure: ModelFailure) -> None:
        link.failures += 1
        self.failures.append(failure)
        if failure.speaks_against or failure.kind == "timeout":  # who was hurried has kept the person waiting as well
            self._failed_before.add(link.model.ref)
        wait = None
        if failure.retryable:
            wait = wait_before_retry(
                link.failures,
                failure.retry_after,
                self.left,
                self.limits,
                background=self.background,
                way_out=self.way_out,
            )
        self._ready_in(link, wait)

    def not_needed(self, link: Link) -> None:
        """Another model was faster; should that one break off, this one may be asked again."""
        self._ready_in(link, 0.0)

    def stop_asking(self) -> None:
        for link in self.links:
            link.ready_at = None

    def answered(self, answer: ModelAnswer) -> ModelAnswer:
        self._failed_before.discard(f"{answer.provider}/{answer.model}")
        self.completion.provider, self.completion.model = answer.provider, answer.model
        self.completion.text = answer.text
        self.completion.tool_calls = [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.tool_calls
        ]
        return answer

    @property
    def _failed_before(self) -> "_FailedBefore":
        return self.turn.kept.setdefault(_FailedBefore, _FailedBefore())

    @staticmethod
    def _ready_in(link: Link, seconds: float | None) -> None:
        link.ready_at = None if seconds is None else asyncio.get_running_loop().time() + seconds


# --- its record -----------------------------------------------------------------------------------


class _FailedBefore(set[str]):
    """The models ("provider/model") that failed in a turn in a way that asking again would only cost time."""


class _AskedBefore(dict[str, list[dict[str, Any]]]):
    """The messages of each role's question before, for the length of a turn."""


def _asked(turn: Turn, request: ModelRequest) -> Completion:
    """The record of a question. Of the messages only what is new: a crew's next question repeats the ones before."""
    before = turn.kept.setdefault(_AskedBefore, _AskedBefore())
    known = before.get(request.role, [])
    shared = 0
    for asked, was_asked in zip(request.messages, known, strict=False):
        if asked != was_asked:
            break
        shared += 1
    before[request.role] = request.messages
    system = [message for message in request.messages if message["role"] == "system"]
    everything = {"messages": request.messages, "tools": request.tools, "schema": request.response_schema}
    return Completion(
        role=request.role,
        prompt_hash=_hash(everything),
        system_hash=_hash(system),
        messages=[message for message in request.messages[shared:] if message["role"] != "system"],
        shared=shared,
        tools=[tool["function"]["name"] for tool in request.tools],
    )


def _hash(told: Any) -> str:
    """12 hex digits that are equal for equal content, whatever the order of keys."""
    canonical = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:12]
