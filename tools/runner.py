"""The only place where a tool call executes, whoever asks for it: a crew, an MCP client, a playbook, a test.

    turn limits → known tool → arguments → permission → policy → run (READ, DRAFT) or propose (WRITE, SEND, SPEND)
    → record

A call never raises for what a tool or a model did wrong: it returns a `ToolOutcome` whose text says what to do next.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import structlog
from pydantic import ValidationError

from business.approvals.model import EDITED_UNDO, UNDO, Proposal
from business.approvals.service import Approvals
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from core.ids import new_id
from core.permissions import Permissions, Scope
from core.turn import StepFinished, StepLine, StepStarted, ToolRecord, Turn
from prompts.texts import Texts
from tools.policy import Decision, Policies
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, ToolResult, ToolSpec
from tools.taint import argument_warnings, named_by_others

log = structlog.get_logger(__name__)

LARGEST_ARGUMENTS = 16_000  # characters of JSON; no tool of ours needs a tenth of it


@dataclass(frozen=True)
class ToolOutcome:
    """What came of one call. `data` is the typed result as plain JSON data, empty when the call failed."""

    ok: bool
    text_for_model: str
    """Compact JSON, None fields left out: the result, or the error's kind, code and what to do. Never a traceback."""
    data: dict[str, Any] = field(default_factory=dict)
    error: MutiraoError | None = None
    """What a door words for a person with `Texts.error`; None when ok."""
    proposal: Proposal | None = None

    @property
    def error_code(self) -> str | None:
        return self.error.code if self.error else None


class ToolRunner:
    """Runs the declared tools. Must be used on the event loop that owns the services (see tools/adapters.py)."""

    def __init__(
        self,
        *,
        permissions: Permissions,
        approvals: Approvals,
        policies: Policies,
        texts: Texts,
        tools: Sequence[ToolSpec],
        services: Mapping[type, Any],
    ) -> None:
        self.tools = {spec.name: spec for spec in tools}
        if len(self.tools) != len(tools):
            raise ValueError("two tools have the same name")
        if self.tools.keys() & {UNDO, EDITED_UNDO}:
            raise ValueError(f"no tool may be called {UNDO}: proposals of that name are free of caps")
        self._permissions = permissions
        self._approvals = approvals
        self._policies = policies
        self._texts = texts
        self._services = services

    async def call(self, turn: Turn, name: str, raw_arguments: Mapping[str, Any] | str) -> ToolOutcome:
        """Do one call of the turn and record it in `turn.results`.

        The same call with the same arguments is done once per turn; asking again gives the same outcome. Only
        cancellation is raised. A bug in a tool becomes error code "tool_bug" with an id that stands in the log.
        """
        shown = _shown(raw_arguments)
        try:
            turn.check_limits()
            if len(turn.calls) >= turn.limits.steps:  # calls still running count too: models ask for many at once
                raise Refused("turn_limit", "the turn's limit of steps is reached", limit="steps")
            spec = self.tools.get(name)
            if spec is None:
                known = ", ".join(sorted(self.tools))
                raise ArgumentsWrong("tool_unknown", f"there is no tool {name[:80]!r}; there are: {known}", name=name)
            args = parse_arguments(spec, raw_arguments)
        except MutiraoError as error:
            record = ToolRecord(name, shown, self._effect(name), None, "user", error.code, dict(error.params))
            record.started_at = time.time()
            turn.results.append(record)
            outcome = _failure(error)
            record.told = outcome.text_for_model
            return outcome

        key = f"{name} {json.dumps(args.model_dump(mode='json'), sort_keys=True)}"
        running = turn.calls.get(key)
        if running is None:
            running = asyncio.ensure_future(self._do(turn, spec, args))
            turn.calls[key] = running
            try:
                return cast(ToolOutcome, await running)
            except asyncio.CancelledError:
                running.cancel()
                raise
        return cast(ToolOutcome, await asyncio.shield(running))

    def _effect(self, name: str) -> str:
        return self.tools[name].effect if name in self.tools else ""

    async def _do(self, turn: Turn, spec: ToolSpec, args: ToolArgs) -> ToolOutcome:
        arguments = args.model_dump(mode="json", exclude_unset=True)
        record = ToolRecord(spec.name, arguments, spec.effect, None, "user", error="unfinished")
        record.round = len(turn.model_calls)
        record.started_at = time.time()
        turn.results.append(record)  # at the start, so that calls stay in the order in which they were asked
        step = new_id("step")
        began = time.monotonic()
        turn.progress(StepStarted(step, "tool", spec.name, self._title(turn, spec)))
        outcome = None
        try:
            outcome = await self._guarded(turn, spec, args, lambda line: turn.progress(StepLine(step, line)))
        finally:
            record.seconds = time.monotonic() - began
            if outcome is None:
                record.error = "turn_stopped"  # cancelled from outside
            else:
                record.error = outcome.error_code
                record.error_params = dict(outcome.error.params) if outcome.error else {}
                record.result = outcome.data if outcome.ok else None
                record.origin = outcome.data.get("origin", "user") if outcome.ok else "user"
                record.told = outcome.text_for_model
                if spec.proposes and outcome.ok:
                    record.proposal_id = outcome.data["proposal"]
                    if record.proposal_id not in turn.proposals:
                        turn.proposals.append(record.proposal_id)
            turn.progress(StepFinished(step, record.seconds, record.error is None, self._summary(turn, outcome)))
        return outcome

    async def _guarded(
        self, turn: Turn, spec: ToolSpec, args: ToolArgs, tell: Callable[[str], None] = lambda _: None
    ) -> ToolOutcome:
        """What the call comes to, whatever goes wrong. A replay (agents/replay.py) answers here from the record."""
        try:
            if turn.contact is not None and not spec.for_contact:
                raise Refused("not_for_contacts", f"{spec.name} is not for people outside", tool=spec.name)
            if turn.contact is None and spec.for_contact:
                raise Refused("only_for_contacts", f"{spec.name} is for conversations with contacts", tool=spec.name)
            scope = self._permissions.acting_scope(turn.identity.role, spec.area)
            if scope is Scope.NONE:
                raise Refused("role_may_not", f"the role {turn.identity.role} may not see {spec.area}", area=spec.area)
            if spec.effect is Effect.DRAFT:
                self._check_draft(turn, spec, args)
            alone = spec.effect is Effect.READ  # reading asks no database what its tenant forbids
            policy = self._policies.base if alone else await self._policies.of(turn.identity.tenant_id)
            if policy.decision(spec.name, spec.effect) is Decision.NEVER:
                raise Refused("policy_forbids", f"the policy forbids {spec.name}", tool=spec.name)
            context = ToolContext(turn, self._services, scope, tell)
            result = await _unless_stopped(turn, spec.run(context, args))
            if not spec.proposes:
                return ToolOutcome(True, compact(result.for_model()), result.model_dump(mode="json"))
            assert isinstance(result, ProposedChange)
            await self._after_earlier_proposals(turn)
            return await self._propose(turn, spec, args, result)
        except MutiraoError as error:
            return _failure(error)
        except Exception:
            bug = new_id("bug")
            log.exception("tool_bug", bug=bug, tool=spec.name, turn=turn.id)
            return _failure(MutiraoError("tool_bug", f"the tool failed; do not call it again (id {bug})", id=bug))

    def _check_draft(self, turn: Turn, spec: ToolSpec, args: ToolArgs) -> None:
        """A draft is written at once, with the rights of the person who asked for it and for nobody else's words: what
        it is done to must not be named by a file, a page of the web or a contact alone (docs/decisions/0015)."""
        if self._permissions.write_scope(turn.identity.role, spec.area) is Scope.NONE:
            raise Refused("role_may_not", f"the role {turn.identity.role} may not change {spec.area}", area=spec.area)
        if foreign := named_by_others(turn, args):
            raise Refused("not_named_by_user", f"the user did not name {foreign!r}; ask first", value=foreign)

    async def _after_earlier_proposals(self, turn: Turn) -> None:
        """Proposals are made in the order in which they were asked for, so that "the first" is the one that an answer
        tells first; finding out what to propose goes on side by side."""
        this = asyncio.current_task()
        earlier = list(itertools.takewhile(lambda call: call[1] is not this, turn.calls.items()))
        waited_for = [running for key, running in earlier if self.tools[key.partition(" ")[0]].proposes]
        if waited_for:
            await asyncio.wait(waited_for)

    async def _propose(self, turn: Turn, spec: ToolSpec, args: ToolArgs, result: ProposedChange) -> ToolOutcome:
        proposal = await self._approvals.create(
            turn.identity,
            result.change,
            tool=spec.name,
            effect=spec.effect,
            door=turn.door,
            conversation_id=turn.conversation_id,
            turn_id=turn.id,
            evidence=result.evidence,
            warnings=argument_warnings(turn, args),
        )
        data = {
            "origin": result.origin,
            "proposal": proposal.id,
            "state": proposal.state.value,
            "kind": result.change.kind,
            "target": result.change.target,
            "change": dict(result.for_model()),
            "evidence": [item for item in proposal.evidence if isinstance(item, str)],
            "note": "Nothing has changed yet: a person must approve it. The user sees a card with buttons.",
        }
        return ToolOutcome(True, compact(data), data, proposal=proposal)

    def _title(self, turn: Turn, spec: ToolSpec) -> str:
        key = f"tool.{spec.name}"
        return self._texts.say(turn.language, key) if self._texts.has(key) else spec.name

    def _summary(self, turn: Turn, outcome: ToolOutcome | None) -> str:
        if outcome is None or outcome.error is None:
            return ""
        return self._texts.error(turn.language, outcome.error)


def parse_arguments(spec: ToolSpec, raw: Mapping[str, Any] | str) -> ToolArgs:
    """The typed arguments of a call. ArgumentsWrong with a sentence that a model can act on."""
    if isinstance(raw, str):
        if len(raw) > LARGEST_ARGUMENTS:
            raise ArgumentsWrong("arguments_unreadable", "the arguments are too long")
        try:
            raw = json.loads(raw or "{}", parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise ArgumentsWrong("arguments_unreadable", "the arguments are no valid JSON; send them again") from None
    if not isinstance(raw, Mapping):
        raise ArgumentsWrong("arguments_unreadable", "the arguments must be one JSON object")
    # Models fill optional arguments with null or "" where they mean to leave them out.
    given = {name: value for name, value in raw.items() if value is not None and value != ""}
    if _unstorable(given):
        raise ArgumentsWrong("arguments_unreadable", "the arguments hold characters that are no text")
    try:
        return spec.args.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc']) or 'arguments'}: {one['msg']}" for one in error.errors()[:5]
        )
        raise ArgumentsWrong("arguments_wrong", wrong, wrong=wrong) from None


def compact(value: Mapping[str, Any]) -> str:
    """`value` as JSON for a model: short, None and empty fields left out, decimals as plain numbers."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), default=str)


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            kept = ((name, _plain(inner)) for name, inner in value.items())
            return {str(name): inner for name, inner in kept if inner is not None and inner != [] and inner != {}}
        case list() | tuple() | set() | frozenset():
            return [_plain(inner) for inner in value]
        case Decimal():
            whole = value == value.to_integral_value()
            return int(value) if whole else float(value)  # for reading only; sums are never made from this text
        case _:
            return value


def _failure(error: MutiraoError) -> ToolOutcome:
    match error:
        case ArgumentsWrong():
            kind, then = "arguments_wrong", "mend the arguments and call again, or ask the user"
        case OutcomeUnknown():
            kind, then = "outcome_unknown", "it may have happened; do not call it again; say that it is being checked"
        case Unavailable():
            kind, then = "unavailable", "do not call again in this turn; say what is missing"
        case Refused(code="turn_limit" | "turn_stopped"):
            kind, then = "refused", "call no more tools; answer with what there is"
        case Refused():
            kind, then = "refused", "final; say why"
        case _:
            kind, then = "error", "do not call it again; say that it failed"
    text = compact({"error": kind, "code": error.code, "why": str(error), "then": then})
    return ToolOutcome(False, text, error=error)


async def _unless_stopped(turn: Turn, running: Any) -> ToolResult:
    """Await the tool, but no longer than the turn may last, and leave as soon as the user stops the turn."""
    task = asyncio.ensure_future(running)
    stop = asyncio.ensure_future(turn.stopped.wait())
    left = max(0.0, turn.limits.seconds - (time.monotonic() - turn.started))
    try:
        await asyncio.wait({task, stop}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return cast(ToolResult, task.result())
        if stop.done():
            raise Refused("turn_stopped", "the user stopped this turn")
        raise Refused("turn_limit", "the turn's limit of seconds is reached", limit="seconds")
    finally:
        task.cancel()
        stop.cancel()


def _shown(raw: Mapping[str, Any] | str) -> dict[str, Any]:
    """Arguments that were not accepted, as the record keeps them."""
    return dict(raw) if isinstance(raw, Mapping) else {"raw": raw[:500]}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _unstorable(value: Any) -> bool:
    """NUL and lone surrogates: PostgreSQL keeps neither, and no name or number has them."""
    match value:
        case str():
            return "\0" in value or any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
        case Mapping():
            return any(_unstorable(name) or _unstorable(inner) for name, inner in value.items())
        case list():
            return any(_unstorable(inner) for inner in value)
        case _:
            return False
