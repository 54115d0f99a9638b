"""A recorded turn again, offline: our own code runs, and whatever it asks of the world is answered from the record.

The graph, the routing, the crews and their playbooks, the checks and the wording are the ones that run today. Models,
tools, proposals and imported files answer as they answered then, if they are asked the same; the first thing that is
asked or said otherwise is the difference. Nothing is written, nothing leaves the process, and no time passes: where
the turn was cut off then, it is cut off again.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

import structlog

from agents.files import FileIntake
from agents.record import Before
from agents.state import Answer, TurnState
from agents.supervisor import Supervisor, begin, ended_state, said_to_contact, stopped_state
from agents.talk import Said, Talk
from core.door import Difference
from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from core.telemetry import mask_secrets
from core.tenancy import Identity, Role
from core.turn import Completion, Contact, Limits, ModelCall, ToolRecord, Turn
from llm.messages import ModelAnswer, ModelRequest, OnText, Playbook, ToolCall, Usage
from llm.offline import PROVIDER as OFFLINE
from llm.offline import answer_from
from llm.questions import Question, RouterLimits
from prompts.prompt import Prompts
from prompts.texts import Texts
from tools.runner import ToolOutcome, ToolRunner
from tools.spec import ToolArgs, ToolSpec

_SHOWN = 160  # characters of a place where two texts differ
_LED_BY = 40  # of them before the place


async def replay(supervisor: Supervisor, record: dict[str, Any]) -> Difference | None:
    """Run the turn of `record` (as business.conversations.records.replayable gives it) again: the first difference,
    None when there is none.

    `supervisor` gives the code, texts and prompts to run it with; its database, models and tools are not used.
    """
    tape = _Tape(record)
    turn = _turn(record)
    nothing: Any = None
    again = replace(
        supervisor,
        db=nothing,
        conversations=nothing,
        sessions=nothing,
        approvals=nothing,
        deps=replace(
            supervisor.deps,
            router=RecordedModels(tape, supervisor.deps.prompts),
            runner=RecordedTools(tape, supervisor.deps.runner, supervisor.texts),
        ),
        talk=RecordedTalk(supervisor.texts, nothing, tape),
        intake=RecordedFiles(nothing, supervisor.texts, tape=tape),
        _graph=None,
    )
    state = ended_state(turn, "done")
    with structlog.contextvars.bound_contextvars(replay=True):  # what is logged now has happened before
        await (again.run_contact if turn.contact else again.run)(turn, state, tape.limit)
    differs = _route_differs(record, state) or tape.difference or tape.left_over()
    if differs is None:
        if tape.cut == "stopped":
            state = stopped_state(turn, state)
        text = said_to_contact(state) if turn.contact else again.compose(turn, state)
        differs = _reply_differs(tape, state["ended"], text)
    return differs


def _turn(record: dict[str, Any]) -> Turn:
    """The turn as it began."""
    who, before = record["who"], record["before"]
    if before is None:
        raise Refused("turn_not_begun", f"{record['turn']} never had its conversation's turn", id=record["turn"])
    identity = Identity(
        tenant_id=who["tenant"],
        user_id=who["user"],
        role=Role(who["role"]),
        name=who["name"],
        email="",
        language=who["language"],
        time_zone=who["time_zone"],
        accounts=None if who["accounts"] is None else frozenset(who["accounts"]),
    )
    unlimited = {"cost_usd": Decimal(record["limits"]["cost_usd"]), "seconds": float("inf")}
    limits = Limits(**{**record["limits"], **unlimited})  # its time passed then, not now
    turn = Turn(
        id=record["turn"],
        identity=identity,
        conversation_id=record["conversation"],
        door=record["door"],
        text=record["message"]["text"],
        language="",
        now=datetime.fromisoformat(record["now"]),
        limits=limits,
        notices=[(key, params) for key, params in record["notices"]],
    )
    history = [(role, text) for role, text in before["history"]]
    begin(turn, Before(before["language"], before["session"], history, record["message"]["attachments"]))
    if record.get("contact"):
        turn.contact, turn.language = Contact(**record["contact"]), before["language"]
    return turn


class _Tape:
    """What is left of the record to be asked for, and the first difference."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.difference: Difference | None = None
        self.limit = asyncio.timeout(None)
        """Around the whole run: it is how the run is cut off."""
        self.cut = record["ended"] if record["ended"] in ("stopped", "limit:seconds") else ""
        """How the turn was cut off from outside, "" when it came to its own end."""
        self.completions: list[dict[str, Any]] = list(record["completions"])
        self.tools: list[dict[str, Any]] = list(record["tools"])
        self.lookups: list[dict[str, Any]] = list(record["lookups"])

    async def differ(self, what: str, was: Any, now: Any, **params: Any) -> NoReturn:
        """Note the difference, if it is the first, and end the run."""
        if self.difference is None:
            was, now = _around(_shown(was), _shown(now))
            self.difference = Difference(what, was, now, params)
        await self._end()

    async def end_if_cut(self) -> None:
        """Where the record has nothing more because the turn was cut off then."""
        if self.cut:
            await self._end()

    async def _end(self) -> NoReturn:
        self.limit.reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()
        raise AssertionError("the run was cut off while this waited")

    def same(self, was: str, now: str) -> bool:
        """Whether the text is the one of the record, in which secrets are masked. Our own code cuts sentences at the
        brackets of "[secret]", which did not stand there when it was recorded."""
        if was == now or not self.record.get("masked"):
            return was == now
        return _without_brackets(was) == _without_brackets(mask_secrets(now))

    def take_lookup(self, what: str) -> dict[str, Any] | None:
        """What a node found then, None when it looked for nothing; raises what it raised."""
        lookup = next((lookup for lookup in self.lookups if lookup["what"] == what), None)
        if lookup is None:
            return None
        self.lookups.remove(lookup)
        if lookup["error"] is not None:
            code, params = lookup["error"]
            raise MutiraoError(code, **params)
        found: dict[str, Any] = lookup["found"]
        return found

    def left_over(self) -> Difference | None:
        """What was asked then and is not asked now; a turn that was cut off might have asked it still."""
        if self.cut:
            return None
        if self.completions:
            number = len(self.record["completions"]) - len(self.completions) + 1
            return Difference("question_missing", self.completions[0]["role"], "", {"number": number})
        if self.tools:
            one = self.tools[0]
            return Difference("tool_missing", _call(one["name"], one["arguments"]), "", {"name": one["name"]})
        if self.lookups:
            return Difference("lookup_missing", self.lookups[0]["what"], "")
        return None


# --- the seams ------------------------------------------------------------------------------------


class RecordedModels:
    """Answers for models: what they answered then, to the same questions in the same order. Playbooks run again."""

    def __init__(self, tape: _Tape, prompts: Prompts) -> None:
        self._tape = tape
        self._prompts = prompts

    def chain(self, role: str) -> Sequence[object]:
        return [one["model"] for one in self._tape.record["completions"] if one["role"] == role]

    async def complete(
        self, turn: Turn, request: ModelRequest, *, playbook: Playbook | None, on_text: OnText | None = None, **_: Any
    ) -> ModelAnswer:
        show = on_text or (lambda _: None)
        question = Question.put(turn, request, show, RouterLimits(), background=False, way_out=True)
        if not self._tape.completions:
            await self._nothing_recorded(turn, request)
        then = self._tape.completions.pop(0)
        await self._compare(then, question.completion, question.number + 1, turn)
        question.completion.passed_over += then["passed_over"]
        recorded = self._tape.record["model_calls"]
        calls = [_model_call(call) for call in recorded if call["completion"] == question.number]
        turn.model_calls += calls
        if then["provider"] == OFFLINE and playbook is not None:
            answer = answer_from(playbook, request)
        elif then["provider"]:
            answer = _answer(then, calls)
        else:
            await self._nobody_answered(turn, playbook, calls)
        if answer.text and not answer.tool_calls:
            show(answer.text)
        return question.answered(answer)

    async def _nothing_recorded(self, turn: Turn, request: ModelRequest) -> NoReturn:
        turn.check_limits()
        await self._tape.end_if_cut()
        await self._tape.differ("question_new", "", _last_words(request.messages), role=request.role)

    async def _nobody_answered(self, turn: Turn, playbook: Playbook | None, calls: list[ModelCall]) -> NoReturn:
        """What the question came to then: a limit of the turn, its end from outside, or no model at all."""
        turn.check_limits()
        await self._tape.end_if_cut()
        if playbook is None:
            failures = [call.failure for call in calls if call.failure]
            raise Unavailable("models_unavailable", "; ".join(failures), failures=failures)
        _time_is_over(turn)
        turn.check_limits()
        raise AssertionError("a turn without time has reached its limit")

    async def _compare(self, then: dict[str, Any], now: Completion, number: int, turn: Turn) -> None:
        """The question is the recorded one, or the run ends with what differs in it."""
        tape = self._tape
        if then["role"] != now.role:
            await tape.differ("question_role", then["role"], now.role, number=number)
        if then["prompt_hash"] == now.prompt_hash:
            return
        about = {"role": now.role, "number": number}
        if then["system_hash"] != now.system_hash:
            for prompt, hash_then in tape.record["prompts"].items():
                name, _, language = prompt.rpartition(".")
                hash_now = self._prompts.fill(name, language).hash if language == turn.language else ""
                if hash_then != hash_now:
                    await tape.differ("prompt", hash_then, hash_now, **about, prompt=prompt)
            await tape.differ("prompt", then["system_hash"], now.system_hash, **about, prompt="")
        messages_then = [_resolved(message, tape.record["tools"]) for message in then["messages"]]
        for place in range(max(len(messages_then), len(now.messages))):
            was = messages_then[place] if place < len(messages_then) else None
            told = now.messages[place] if place < len(now.messages) else None
            if was != told and not (was and told and tape.same(_shown(was), _shown(told))):
                who = str((told or was or {}).get("role", ""))
                await tape.differ(
                    "request", _said(was), _said(told), **about, who=who, place=then["shared"] + place + 1
                )
        if then["tools"] != now.tools:
            await tape.differ("tools_offered", ", ".join(then["tools"]), ", ".join(now.tools), **about)
        if not tape.record.get("masked"):
            await tape.differ("request_form", then["prompt_hash"], now.prompt_hash, **about)


class RecordedTools(ToolRunner):
    """Checks calls as ever, and answers those that were made then with what came of them then."""

    def __init__(self, tape: _Tape, runner: ToolRunner, texts: Texts) -> None:
        nothing: Any = None
        tools = list(runner.tools.values())
        super().__init__(
            permissions=nothing, approvals=nothing, policies=nothing, texts=texts, tools=tools, services={}
        )
        self._tape = tape

    async def call(self, turn: Turn, name: str, raw_arguments: Mapping[str, Any] | str) -> ToolOutcome:
        told = dict(raw_arguments) if isinstance(raw_arguments, Mapping) else {"raw": raw_arguments[:500]}
        if then := self._take(name, told, error="turn_limit"):
            turn.results.append(ToolRecord(**then))
            return self._outcome(turn, then)
        outcome = await super().call(turn, name, raw_arguments)
        if isinstance(outcome.error, ArgumentsWrong | Refused) and not self._take(name, told, error=outcome.error.code):
            await self._not_made_then(name, told)  # refused here, before anything was looked up
        return outcome

    async def _guarded(
        self, turn: Turn, spec: ToolSpec, args: ToolArgs, tell: Callable[[str], None] = lambda _: None
    ) -> ToolOutcome:
        arguments = args.model_dump(mode="json", exclude_unset=True)
        then = self._take(spec.name, arguments)
        if then is None:
            await self._tape.end_if_cut()
            await self._not_made_then(spec.name, arguments)
        if then["error"] in ("turn_stopped", "unfinished"):
            await self._tape.end_if_cut()
        return self._outcome(turn, then)

    def _take(self, name: str, arguments: dict[str, Any], error: str | None = None) -> dict[str, Any] | None:
        """The recorded call, which is then used up; with `error` only one that ended so."""
        left = self._tape.tools
        for then in left:
            if (then["name"], then["arguments"]) == (name, arguments) and error in (None, then["error"]):
                left.remove(then)
                return then
        return None

    @staticmethod
    def _outcome(turn: Turn, then: dict[str, Any]) -> ToolOutcome:
        if _is_time(then):
            _time_is_over(turn)
        if then["result"] is None:
            return ToolOutcome(False, then["told"], error=MutiraoError(then["error"], **then["error_params"]))
        return ToolOutcome(True, then["told"], then["result"])

    async def _not_made_then(self, name: str, arguments: dict[str, Any]) -> NoReturn:
        others = [tool for tool in self._tape.tools if tool["name"] == name]
        if others:
            await self._tape.differ("tool_arguments", others[0]["arguments"], arguments, name=name)
        await self._tape.differ("tool_new", "", _call(name, arguments), name=name)


@dataclass
class RecordedTalk(Talk):
    """Says of proposals what was said of them then."""

    tape: _Tape

    async def about_proposals(self, turn: Turn, intent: str, text: str) -> Said:
        found = self.tape.take_lookup(intent)
        if found is None:
            await self.tape.end_if_cut()
            await self.tape.differ("lookup_new", "", intent)
        turn.proposals += found["proposals"]
        key, params = found["said"]
        return key, params


@dataclass
class RecordedFiles(FileIntake):
    """Brings to the conversation what an import brought then."""

    tape: _Tape = field(kw_only=True)

    async def _take(self, turn: Turn, attachments: list[dict[str, Any]]) -> Answer | None:
        found = self.tape.take_lookup("files")
        if found is None:
            if attachments:
                await self.tape.end_if_cut()
            return None
        turn.session |= found["session"]
        for key in found["gone"]:
            turn.session.pop(key, None)
        turn.language = found["language"]
        return None if found["said"] is None else Answer(found["said"])


# --- comparing ------------------------------------------------------------------------------------


def _route_differs(record: dict[str, Any], state: TurnState) -> Difference | None:
    plan = state.get("plan")
    if plan is None or not record["route"]:  # one of the two never came so far
        return None
    was = [(part["to"], part["intent"], part["base"], part["text"]) for part in record["route"]]
    now = [(part.crew or "talk", part.intent, part.base, part.text) for part in plan.parts]
    if was == now:
        return None
    if record.get("masked") and [part[:3] for part in was] == [part[:3] for part in now]:
        return None  # "[secret]" is cut out of a sentence otherwise than what stood there
    return Difference("route", _listed(was), _listed(now))


def _listed(parts: Sequence[tuple[str, str, str | None, str]]) -> str:
    return "; ".join(f"{intent} → {to} {text!r}" for to, intent, _, text in parts)


def _reply_differs(tape: _Tape, ended: str, text: str) -> Difference | None:
    if ended != tape.record["ended"]:
        return Difference("ended", tape.record["ended"], ended)
    was = tape.record["reply"]["text"]
    return None if tape.same(was, text) else Difference("reply", *_around(was, text))


def _around(was: str, now: str) -> tuple[str, str]:
    """Both texts from a little before the first character in which they differ."""
    same = next((n for n, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = max(0, same - _LED_BY)

    def cut(text: str) -> str:
        end = start + _SHOWN
        return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")

    return cut(was), cut(now)


def _without_brackets(text: str) -> str:
    return text.replace("[", "").replace("]", "")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _call(name: str, arguments: dict[str, Any]) -> str:
    return f"{name} {_shown(arguments)}"


def _said(message: dict[str, Any] | None) -> str:
    """What a message says: its words, or the calls it asks for."""
    if message is None:
        return ""
    said = message.get("content")
    calls = [f"{call['function']['name']} {call['function']['arguments']}" for call in message.get("tool_calls") or []]
    return "\n".join([*([_shown(said)] if said else []), *calls])


def _last_words(messages: list[dict[str, Any]]) -> str:
    return _said(messages[-1]) if messages else ""


# --- the record as objects ------------------------------------------------------------------------


def _resolved(message: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """A recorded message as it was sent: what a tool told stands with the tool's call."""
    match message:
        case {"content": {"told_by_tool": int(place)}}:
            return {**message, "content": tools[place]["told"]}
        case _:
            return message


def _model_call(call: dict[str, Any]) -> ModelCall:
    return ModelCall(**{**call, "cost_usd": None if call["cost_usd"] is None else Decimal(call["cost_usd"])})


def _answer(then: dict[str, Any], calls: list[ModelCall]) -> ModelAnswer:
    """What a model answered then, with what it used."""
    own = [c for c in calls if c.failure is None and (c.provider, c.model) == (then["provider"], then["model"])]
    used = own[-1] if own else None
    return ModelAnswer(
        text=then["text"],
        tool_calls=[ToolCall(call["id"], call["name"], call["arguments"]) for call in then["tool_calls"]],
        provider=then["provider"],
        model=then["model"],
        usage=Usage(used.prompt_tokens, used.completion_tokens, used.cached_tokens) if used else Usage(),
        cost_usd=used.cost_usd if used else None,
    )


def _is_time(tool: dict[str, Any]) -> bool:
    """Whether a call was refused because the turn's time was over."""
    return tool["error"] == "turn_limit" and tool["error_params"].get("limit") == "seconds"


def _time_is_over(turn: Turn) -> None:
    turn.limits = replace(turn.limits, seconds=0.0)
