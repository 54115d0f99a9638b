"""The supervisor: one message in, one reply out, the same for every door.

    accept → lock the conversation → route → crews and talk, each at most once → checked text → saved → reply

The graph below is LangGraph's; a turn is one run of it, without a checkpointer (docs/decisions/0003).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, cast

import structlog

from agents.approvals import proposal_card
from agents.files import FileIntake
from agents.guards import SentenceGate
from agents.language import detect_language
from agents.record import Before, turn_figures, turn_record
from agents.routing import Classifier, RoutePart, RoutePlan, Why, parse_route_answer, route, router_messages
from agents.state import Answer, HeldBack, TurnState
from agents.talk import Talk
from business.ads.file_source import PREFIX as FILE_PREFIX
from business.approvals.model import ProposalState
from business.approvals.service import Approvals
from business.conversations.service import Conversations
from core.clock import Clock
from core.db import Connection, Database
from core.door import IncomingMessage, ProposalCard, Reply, UsageTotals
from core.errors import MutiraoError, Refused
from core.ids import new_id
from core.messages import clean
from core.permissions import Permissions, Scope
from core.turn import Limits, Progress, StepFinished, StepStarted, TextChunk, TextWithdrawn, Turn
from crews.claims import claims_of_preparing, claims_of_sending, without
from crews.contract import CrewDeps, CrewTask
from crews.registry import CrewEntry
from llm.errors import refused_key
from llm.messages import ModelRequest
from llm.questions import BREAKER_OPEN, NO_TIME_LEFT
from memory.session import SessionStore
from prompts.texts import Texts

log = structlog.get_logger(__name__)

CONTACT_CREW = "sdr"
"""Who answers people outside."""
_HISTORY = 6  # messages of the conversation that a model is shown
_PROPOSED = 5  # proposals of it that a model is told of
_LEAST_KEPT = 0.5  # of a model's text must stand after the checks; with less, its sense may have gone with the rest


@dataclass
class Supervisor:
    """Built once by app.py. `handle` is what doors call."""

    db: Database
    conversations: Conversations
    sessions: SessionStore
    permissions: Permissions
    approvals: Approvals
    deps: CrewDeps
    crews: list[CrewEntry]
    classifier: Callable[[], Classifier]
    """Trained at the first call (about 1.5 s) and kept."""
    talk: Talk
    intake: FileIntake
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    patience: float = 120.0
    """Seconds that a message waits for the one before it."""
    ended: Callable[[Turn, Reply], None] = lambda _turn, _reply: None
    """Told of every turn that is over and saved; must not block."""
    _graph: Any = None
    _trained: Classifier | None = None

    @property
    def texts(self) -> Texts:
        return self.deps.texts

    # --- a turn -----------------------------------------------------------------------------

    async def handle(self, message: IncomingMessage, progress: Progress) -> Reply:
        """Answer one message. Raises only what concerns the message itself (empty, too long, not your conversation);
        everything that goes wrong while answering becomes a sentence in the reply."""
        identity = message.identity
        text = clean(message.text) if message.text or not message.attachments else ""
        turn_id = new_id("turn")
        accepted = await self.conversations.accept(
            identity,
            message.conversation_id,
            message.door,
            text or ", ".join(a.name for a in message.attachments),
            turn_id,
            [asdict(a) for a in message.attachments],
        )
        turn = Turn(
            id=turn_id,
            identity=identity,
            conversation_id=message.conversation_id,
            door=message.door,
            text=text,
            language=detect_language(text, None, identity.language),
            now=accepted,
            limits=self.limits,
            progress=progress,
        )
        stopped, before, state = False, None, ended_state(turn, "done")
        async with AsyncExitStack() as conversation:
            try:
                lock = self.db.lock(f"conversation:{turn.conversation_id}", timeout=self.patience)
                await conversation.enter_async_context(lock)
                before = await self._remember(turn, message)
                await self.run(turn, state)
            except asyncio.CancelledError:  # the person pressed stop: keep what is there, then let it go on
                stopped, state = True, stopped_state(turn, state)
                turn.stopped.set()
            except MutiraoError as error:  # the message before it took too long
                state = ended_state(turn, f"error:{error.code}", self.texts.error(turn.language, error))
            reply = await asyncio.shield(self._close(turn, state, before))
        if stopped and (task := asyncio.current_task()) is not None:
            task.uncancel()  # the stop has been served: the door gets the reply of a stopped turn
        return reply

    async def answer_contact(self, turn: Turn, history: Sequence[tuple[str, str]]) -> Reply:
        """Answer a person outside (`turn.contact`). Never routed: the crew that talks with leads answers, and nobody
        else, however the message reads.

        `turn.session` holds what the conversation keeps, and afterwards what it shall keep; `history` are (user |
        assistant, text) of before, oldest first. Nothing is sent: the reply's text is what would be said, "" when there
        is nothing to say (`ended` tells why). A turn that is cancelled leaves its record as stopped, and raises.
        """
        assert turn.contact is not None
        turn.language = detect_language(turn.text, turn.language, turn.identity.language)
        state = ended_state(turn, "done")
        before = Before(turn.language, dict(turn.session), list(history))
        turn.now = await self.conversations.begin_for_contact(turn.identity, turn.conversation_id, turn.door, turn.id)
        turn.session = {**turn.session, "history": list(history)}
        turn.started = time.monotonic()
        try:
            await self.run_contact(turn, state)
        except asyncio.CancelledError:
            turn.stopped.set()
            await asyncio.shield(self._close_contact(turn, stopped_state(turn, state), before, ""))
            raise
        text = said_to_contact(state)
        turn.session = {**turn.session, **state["session"]}
        turn.session.pop("history", None)
        return await asyncio.shield(self._close_contact(turn, state, before, text))

    async def run_contact(self, turn: Turn, state: TurnState, limit: asyncio.Timeout | None = None) -> None:
        """The crew for people outside under the turn's time limit, as `run` does for everybody else."""
        crew = next(one for one in self.crews if one.name == CONTACT_CREW)
        part = RoutePart(turn.text, f"{crew.name}.answer", crew.name, 1.0, Why("route.why.contact", {}), how="rule")
        state["plan"] = RoutePlan([part], sure=True)
        await self._within(turn, state, self._contact_crew(crew, turn, part, state), limit)

    async def _contact_crew(self, crew: CrewEntry, turn: Turn, part: RoutePart, state: TurnState) -> None:
        answer, session = await self._run_crew(crew, turn, [part], [])
        state.update(cast(TurnState, _served(state, crew.name, answer, session)))

    async def _close_contact(self, turn: Turn, state: TurnState, before: Before, text: str) -> Reply:
        """The record of a contact's turn, and its reply."""
        timing, plan = self._timing(turn), state.get("plan")
        answers = list(state["answers"].values())
        why = [self.texts.say(turn.language, one.why[0], **one.why[1]) for one in (plan.parts if plan else [])]
        await self.conversations.finish_for_contact(
            turn.identity,
            turn.id,
            record=turn_record(
                turn, state, before, text=text, why=why, timing=timing, prompts=self._prompts(turn, plan)
            ),
            figures=turn_figures(turn, state, timing),
            state={"done": "done", "stopped": "stopped"}.get(state["ended"].split(":")[0], "failed"),
        )
        reply = Reply(
            turn_id=turn.id,
            conversation_id=turn.conversation_id,
            text=text,
            language=turn.language,
            route=[],
            tools=[{"name": r.name, "arguments": r.arguments, "effect": r.effect} for r in turn.results],
            proposals=[],
            tables=[],
            charts=[],
            usage=_usage(turn),
            timing=timing,
            message_id="",
            ended=state["ended"],
            views=[view for answer in answers for view in answer.views],
        )
        self.ended(turn, reply)
        return reply

    async def _remember(self, turn: Turn, message: IncomingMessage) -> Before:
        """What the conversation knows when this message's turn has come. The caller holds its lock."""
        tenant_id = turn.identity.tenant_id
        async with self.db.tenant(tenant_id) as conn:
            conversation = await self.conversations.state(tenant_id, turn.conversation_id, conn)
            session = await self.sessions.load(tenant_id, turn.conversation_id, conn)
            said = await self.conversations.said(
                tenant_id, turn.conversation_id, last=_HISTORY, before_turn=turn.id, conn=conn
            )
            if any(s.extra.get("proposals") for s in said):  # else nothing was proposed: no need to ask
                session["proposals"] = await self._proposed(turn, conversation.language, conn)
        history, attachments = [(s.role, s.text) for s in said], [asdict(a) for a in message.attachments]
        before = Before(conversation.language, session, history, attachments)
        begin(turn, before)
        return before

    async def _proposed(self, turn: Turn, spoken: str | None, conn: Connection) -> list[str]:
        """The newest proposals of the conversation and what became of them, oldest first, for a model to know."""
        language = detect_language(turn.text, spoken, turn.identity.language)
        proposals = await self.approvals.list(
            turn.identity, conversation_id=turn.conversation_id, limit=_PROPOSED, conn=conn
        )
        cards = [proposal_card(one, self.texts, language, turn.identity.time_zone) for one in reversed(proposals)]
        return [f"{card.title} ({self.texts.say(language, f'proposal.state.{card.state}').lower()})" for card in cards]

    async def run(self, turn: Turn, state: TurnState, limit: asyncio.Timeout | None = None) -> None:
        """The graph under the turn's time limit; `state` is brought up to date after each node. Failures end in a state
        that says so, never in an exception."""

        async def go_through() -> None:
            async for update in self.graph.astream(state, stream_mode="values"):
                state.update(update)

        await self._within(turn, state, go_through(), limit)

    async def _within(
        self, turn: Turn, state: TurnState, work: Coroutine[Any, Any, None], limit: asyncio.Timeout | None = None
    ) -> None:
        """`work` under the turn's time limit; how it failed stands in `state`."""
        try:
            async with limit or asyncio.timeout(turn.limits.seconds):
                await work
        except TimeoutError:
            turn.stopped.set()
            state["ended"] = "limit:seconds"
        except MutiraoError as error:
            state["ended"] = f"error:{error.code}"
            state["answers"]["error"] = Answer(self.texts.error(turn.language, error))
        except Exception:
            state["ended"] = "error:bug"
            log.exception("turn_failed", turn=turn.id)
            state["answers"]["error"] = Answer(self.texts.say(turn.language, "error.bug", id=turn.id))

    # --- the graph --------------------------------------------------------------------------

    @property
    def graph(self) -> Any:
        if self._graph is None:
            self._graph = self._build()
        return self._graph

    def _build(self) -> Any:
        from langgraph.graph import END, START, StateGraph
        from langgraph.types import Command

        crews = {crew.name: crew for crew in self.crews}

        async def take_files(state: TurnState) -> Any:
            turn = state["turn"]
            answer = await self.intake.take(turn, turn.session["attachments"])
            if answer is None:
                return Command(goto="route")
            ready = str(turn.session.get("account", "")).startswith(FILE_PREFIX)
            asks = bool(turn.text.strip()) and turn.session["attachments"]
            return Command(goto="route" if ready and asks else END, update=_served(state, "files", answer, {}))

        async def route_message(state: TurnState) -> Any:
            plan = await self._route(state["turn"])
            parts: dict[str, list[RoutePart]] = {}
            for part in plan.parts:
                parts.setdefault(part.crew or "talk", []).append(part)
            todo = list(parts)
            return Command(goto=todo[0], update={"plan": plan, "parts": parts, "todo": todo})

        def next_of(state: TurnState, name: str) -> str:
            rest = state["todo"][state["todo"].index(name) + 1 :]
            return rest[0] if rest else END

        async def talk(state: TurnState) -> Any:
            answer = await self.talk.answer(state["turn"], state["parts"]["talk"])
            return Command(goto=next_of(state, "talk"), update=_served(state, "talk", answer, {}))

        def crew_node(crew: CrewEntry) -> Any:
            async def run_crew(state: TurnState) -> Any:
                said = [answer.text for answer in state["answers"].values()]
                answer, session = await self._run_crew(crew, state["turn"], state["parts"][crew.name], said)
                return Command(goto=next_of(state, crew.name), update=_served(state, crew.name, answer, session))

            return run_crew

        graph = StateGraph(TurnState)
        graph.add_node("files", take_files)
        graph.add_node("route", route_message)
        graph.add_node("talk", talk)
        for crew in crews.values():
            graph.add_node(crew.name, crew_node(crew))
        graph.add_edge(START, "files")
        return graph.compile()

    async def _route(self, turn: Turn) -> RoutePlan:
        """The local classifier decides where it is sure; a model is asked only where it is not and one is there."""
        async with _step(turn, "route", "route", self.texts.say(turn.language, "step.route")) as step:
            if self._trained is None:
                self._trained = await asyncio.to_thread(self.classifier)
            plan = route(turn.text, turn.session, self._trained)
            if not plan.sure and self.deps.router.chain("router"):
                plan = await self._ask_router(turn, plan) or plan
            step.summary = ", ".join(part.intent for part in plan.parts)
        return plan

    async def _ask_router(self, turn: Turn, guess: RoutePlan) -> RoutePlan | None:
        try:
            answer = await self.deps.router.complete(
                turn,
                ModelRequest(role="router", messages=router_messages(turn, self.deps.prompts), max_tokens=300),
                playbook=None,
                can_do_without=True,
            )
        except MutiraoError:
            return None  # no model answered: the classifier's best guess stands
        return parse_route_answer(answer.text, guess, self._trained.intents if self._trained else None)

    async def _run_crew(
        self, crew: CrewEntry, turn: Turn, parts: list[RoutePart], said: list[str]
    ) -> tuple[Answer, dict[str, Any]]:
        """`said`: what others answered before in this turn, which stays on the screen when this crew's text goes."""
        if self.permissions.acting_scope(turn.identity.role, crew.area) is Scope.NONE:
            raise Refused("role_may_not", f"{turn.identity.role} may not read {crew.area}", area=crew.area)
        secrets = [self.deps.prompts.fill(name, turn.language).text for name in crew.prompts]
        worked_out: list[Decimal] = []
        gate = SentenceGate(lambda: [*_facts(turn), *worked_out], turn.language, secrets)

        def show(piece: str | None) -> None:
            if piece is None:
                gate.reset()
                tell([None])
            else:
                tell(gate.feed(piece))

        def tell(pieces: list[str | None]) -> None:
            for piece in pieces:
                if turn.first_text is None and piece is not None:
                    turn.first_text = time.monotonic() - turn.started
                if piece is None:
                    withdraw()
                else:
                    turn.progress(TextChunk(piece))

        def withdraw() -> None:
            turn.progress(TextWithdrawn())
            if said:
                turn.progress(TextChunk("".join(f"{text}\n\n" for text in said)))

        title = f"step.crew.{crew.name}"
        title = self.texts.say(turn.language, title if self.texts.has(title) else "step.crew")
        async with _step(turn, "crew", crew.name, title):
            tasks = [CrewTask(part.intent, part.text, part.base) for part in parts]
            result = await crew.run(turn, tasks, self.deps, show)
        worked_out += result.worked_out
        text, held_back = result.text, None
        if result.by_model:
            tell(gate.finish())
            if turn.contact is None and (true := self._without_claims(turn, text)) != text:
                withdraw()
                text = true
            if gate.released.strip() != text.strip():  # held back, or never streamed: look at it as a whole
                gate.reset()
                gate.feed(text)
                gate.finish()
            if gate.blocked:
                log.warning("untraceable_numbers", turn=turn.id, count=len(gate.blocked))
                turn.held_back += len(gate.blocked)
                kept = gate.released.strip()
                reworded = gate.leaked or len(kept) < _LEAST_KEPT * len(text) or turn.contact is not None
                held_back = HeldBack(text, gate.blocked, reworded)
                if turn.contact is not None:
                    text = result.reworded()  # they are told nothing of our checks
                elif reworded:
                    withdraw()
                    text = "\n\n".join([self.texts.say(turn.language, "guard.reworded"), result.reworded()])
                else:
                    text = "\n\n".join([kept, self.texts.say(turn.language, "guard.left_out")])
        answer = Answer(text, result.footer, result.by_model, result.tables, result.charts, result.views, held_back)
        return answer, result.session

    def _without_claims(self, turn: Turn, text: str) -> str:
        """The text without what it says was sent or prepared and was not, and with what is so instead."""
        before = turn.session.get("proposals") or []

        def any_is(state: ProposalState) -> bool:
            told = self.texts.say(turn.language, f"proposal.state.{state}").lower()
            return any(one.endswith(f"({told})") for one in before)

        waits = bool(turn.proposals) or any_is(ProposalState.PENDING)
        # A message of the conversation may have been sent by others: that stands in what was looked up.
        looked = any(record.origin == "contact" and record.result is not None for record in turn.results)
        sent = claims_of_sending(text, by_anybody=bool(turn.proposals) and not looked)
        if not turn.proposals and any_is(ProposalState.EXECUTED):
            sent = []  # it speaks of what was approved before
        made = [] if waits else claims_of_preparing(text, earlier=bool(before))
        if not (sent or made):
            return text
        log.warning("untrue_claims", turn=turn.id, sent=len(sent), prepared=len(made))
        key = "guard.not_prepared" if made else "guard.not_sent_yet" if waits else "guard.not_sent"
        return "\n\n".join(filter(None, [without(text, [*sent, *made]), self.texts.say(turn.language, key)]))

    # --- the end of a turn ------------------------------------------------------------------

    async def _close(self, turn: Turn, state: TurnState, before: Before | None) -> Reply:
        """Save the answer with the record of the turn, and the session where it was loaded (`before`): without the lock
        it is another turn's to write."""
        answers = list(state.get("answers", {}).values())
        plan = state.get("plan")
        text = self.compose(turn, state)
        cards = await self._cards(turn)
        usage = _usage(turn)
        reply_parts: dict[str, Any] = {
            "route": [
                {
                    "to": part.crew or "talk",
                    "intent": part.intent,
                    "confidence": round(part.confidence, 3),
                    "why": self.texts.say(turn.language, part.why[0], **part.why[1]),
                }
                for part in (plan.parts if plan else [])
            ],
            "tools": [{"name": r.name, "arguments": r.arguments, "effect": r.effect} for r in turn.results],
            "timing": self._timing(turn),
        }
        tables = [table for answer in answers for table in answer.tables]
        charts = [chart for answer in answers for chart in answer.charts]
        views = [view for answer in answers for view in answer.views]
        async with self.db.tenant(turn.identity.tenant_id) as conn:
            message_id = await self.conversations.finish(
                turn.identity,
                turn.conversation_id,
                turn.id,
                text=text,
                language=turn.language,
                extra={
                    "tables": [asdict(t) for t in tables],
                    "charts": [asdict(c) for c in charts],
                    "views": [asdict(v) for v in views],
                    "proposals": turn.proposals,
                },
                record=turn_record(
                    turn,
                    state,
                    before,
                    text=text,
                    why=[part["why"] for part in reply_parts["route"]],
                    timing=reply_parts["timing"],
                    prompts=self._prompts(turn, plan),
                ),
                figures=turn_figures(turn, state, reply_parts["timing"]),
                state={"done": "done", "stopped": "stopped"}.get(state["ended"].split(":")[0], "failed"),
                conn=conn,
            )
            if before is not None:
                session = {**turn.session, **state.get("session", {}), "last_text": turn.text}
                for passing in ("history", "attachments", "proposals"):
                    session.pop(passing, None)
                await self.sessions.save(conn, turn.identity.tenant_id, turn.conversation_id, session)
        reply = Reply(
            turn_id=turn.id,
            conversation_id=turn.conversation_id,
            text=text,
            language=turn.language,
            proposals=cards,
            tables=tables,
            charts=charts,
            usage=usage,
            message_id=message_id,
            ended=state["ended"],
            views=views,
            **reply_parts,
        )
        self.ended(turn, reply)
        return reply

    def compose(self, turn: Turn, state: TurnState) -> str:
        """The answers in the order of the message, what their numbers are of, and how the turn ended if not well."""
        answers, plan, ended = list(state.get("answers", {}).values()), state.get("plan"), state["ended"]
        lines = [answer.text for answer in answers if answer.text]
        if plan is not None and plan.left_out:
            lines.append(self.texts.say(turn.language, "turn.left_out", parts="; ".join(plan.left_out)))
        lines += [f"_{footer}_" for footer in dict.fromkeys(a.footer for a in answers if a.footer)]
        lines += [self.texts.say(turn.language, key, **told) for key, told in turn.notices]
        kind, _, detail = ended.partition(":")
        above = any(answer.text for answer in answers)
        if kind == "stopped":
            lines.append(self.texts.say(turn.language, "turn.stopped", above=above))
        elif kind == "limit":
            lines.append(self.texts.say(turn.language, "turn.limit", limit=detail, above=above))
        without_model = any(r.result is not None for r in turn.results) and not any(a.by_model for a in answers)
        if without_model and kind == "done":
            lines.append(f"_{self._why_no_model(turn)}_")
        return "\n\n".join(lines)

    def _why_no_model(self, turn: Turn) -> str:
        """Why rules answered. Who can mend a key that is refused is told so; others only that no model answered."""
        failures = [call.failure for call in turn.model_calls if call.failure]
        passed_over = [why for one in turn.completions for why in one.passed_over]
        failures += [why for why in passed_over if BREAKER_OPEN in why or why.endswith(NO_TIME_LEFT)]
        if not failures:
            return self.texts.say(turn.language, "turn.no_model")
        refused = [refused_key(failure) for failure in failures]
        if None not in refused and self.permissions.write_scope(turn.identity.role, "settings") is Scope.ALL:
            keys = {provider: status for provider, status in filter(None, refused)}
            told = ", ".join(f"{provider} ({status})" if status else provider for provider, status in keys.items())
            return self.texts.say(turn.language, "turn.keys_refused", keys=told)
        return self.texts.say(turn.language, "turn.models_down")

    def _prompts(self, turn: Turn, plan: RoutePlan | None) -> dict[str, str]:
        """The hashes of the prompts of the crews that ran, by name and language."""
        crews = plan.crews() if plan else {}
        names = [name for crew in self.crews if crew.name in crews for name in crew.prompts]
        return {f"{name}.{turn.language}": self.deps.prompts.fill(name, turn.language).hash for name in names}

    async def _cards(self, turn: Turn) -> list[ProposalCard]:
        cards = []
        for proposal_id in turn.proposals:
            proposal = await self.approvals.get(turn.identity, proposal_id)
            cards.append(proposal_card(proposal, self.texts, turn.language, turn.identity.time_zone))
        return cards

    def _timing(self, turn: Turn) -> dict[str, float]:
        total = time.monotonic() - turn.started
        return {
            "total": round(total, 3),
            "first_text": round(total if turn.first_text is None else turn.first_text, 3),
            "tools": round(sum(r.seconds for r in turn.results), 3),
            "model": round(sum(c.seconds for c in turn.model_calls), 3),
        }


def begin(turn: Turn, before: Before) -> None:
    """The turn knows the conversation, and its time begins: what others made it wait for is not its own."""
    turn.language = detect_language(turn.text, before.language, turn.identity.language)
    turn.session = {**before.session, "history": before.history, "attachments": before.attachments}
    turn.started = time.monotonic()


def stopped_state(turn: Turn, state: TurnState) -> TurnState:
    """What is kept of a turn that a person stopped: where it went. Its answers were not whole."""
    kept = ended_state(turn, "stopped")
    if "plan" in state:
        kept["plan"] = state["plan"]
    return kept


def ended_state(turn: Turn, how: str, said: str = "") -> TurnState:
    return {"turn": turn, "answers": {"error": Answer(said)} if said else {}, "session": {}, "ended": how}


def said_to_contact(state: TurnState) -> str:
    """What a person outside is told: what went wrong is not for them."""
    return "\n\n".join(one.text for name, one in state["answers"].items() if name != "error" and one.text)


def _served(state: TurnState, name: str, answer: Answer, session: dict[str, Any]) -> dict[str, Any]:
    return {"answers": {**state["answers"], name: answer}, "session": {**state["session"], **session}}


def _facts(turn: Turn) -> list[Any]:
    """Everything a number in the reply may come from: results of tools, the person's own words, earlier text."""
    results = [record.result for record in turn.results if record.result is not None]
    asked_back = [record.error_params.get("candidates", []) for record in turn.results]
    return [
        *results,
        *asked_back,
        *(list(_words_of(record.result)) for record in turn.results if record.origin == "contact"),
        turn.text,
        *(turn.session.get(shown, []) for shown in ("entities", "found", "proposals")),
        [text for _, text in turn.session.get("history", [])],
    ]


def _words_of(data: Any) -> Iterator[str]:
    """What contacts and we wrote, in a result about conversations: an answer may repeat it, numbers and all."""
    if isinstance(data, Mapping):
        yield from (str(data[key]) for key in ("text", "last_words", "summary") if data.get(key))
        data = list(data.values())
    if isinstance(data, list):
        for inner in data:
            yield from _words_of(inner)


def _usage(turn: Turn) -> UsageTotals:
    asked = [call for call in turn.model_calls if call.provider != "offline"]
    answered = [call for call in asked if call.failure is None]
    unknown = any(call.cost_usd is None for call in answered)
    return UsageTotals(
        model_calls=len(asked),
        prompt_tokens=sum(call.prompt_tokens for call in asked),
        completion_tokens=sum(call.completion_tokens for call in asked),
        cost_usd=None if unknown else turn.cost_usd,
        models=list(dict.fromkeys(f"{call.provider}/{call.model}" for call in answered)),
    )


@dataclass
class _Step:
    summary: str = ""


@asynccontextmanager
async def _step(turn: Turn, kind: Literal["route", "crew"], name: str, title: str) -> AsyncIterator[_Step]:
    step, step_id, begun, ok = _Step(), new_id("step"), time.monotonic(), False
    turn.progress(StepStarted(step_id, kind, name, title))
    try:
        yield step
        ok = True
    finally:
        turn.progress(StepFinished(step_id, time.monotonic() - begun, ok, step.summary))
