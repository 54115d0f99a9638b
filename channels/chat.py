"""The chat in the browser: Chainlit's events in, `Handle` and approvals called, steps, text, charts and buttons out.

Who speaks is read again from the database at every message and every click: a role that was taken away is gone at
once, also in a tab that was open before. A button carries a proposal's id and nothing else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from business.approvals.model import Proposal, ProposalState
from business.approvals.service import Approvals
from channels import markdown
from channels.chat_data import CardOf, ChatData, card_id, file_address, parts_of, stamp, visitor
from core import formats
from core.door import Attachment, Handle, IncomingMessage, Reply
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.files import Files
from core.formats import plain
from core.ids import new_id
from core.tenancy import Identity, Role
from core.turn import Event, StepFinished, StepLine, StepStarted, TextChunk, TextWithdrawn
from prompts.texts import Texts

if TYPE_CHECKING:
    import chainlit as cl
    from chainlit.session import WebsocketSession

log = structlog.get_logger(__name__)

_ASK_SECONDS = 300  # how long the page waits for a new amount to be typed
_WATCH_SECONDS, _WATCH_TIMES = 2.0, 60  # how a card follows a proposal whose outcome is not known yet
_LISTEN_AFTER = [1.0] * 60 + [10.0] * 360  # when the page looks for what background work announces: for an hour
_TICK_SECONDS = 1.0  # how often a running step's time is counted on
_STEP_TYPES: dict[str, Any] = {"route": "run", "crew": "run", "tool": "tool", "model": "llm"}
UPLOADS = {".csv": "text/csv", ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


@dataclass
class Chat:
    """What the callbacks use. `identity` reads a user anew; `starters` gives a role's keys of texts to click first."""

    handle: Handle
    identity: Callable[[str, str], Awaitable[Identity]]
    approvals: Approvals
    files: Files
    texts: Texts
    card: CardOf
    data: ChatData
    starters: Callable[[Role], list[str]]
    language: str
    running: dict[str, "asyncio.Future[Reply]"] = field(default_factory=dict)
    """The turn of each browser session, for the stop button."""
    listening: "dict[str, asyncio.Future[None]]" = field(default_factory=dict)
    """By browser session: who waits for what background work announces."""
    waiting: "set[asyncio.Future[None]]" = field(default_factory=set)
    """Work that outlives the click that began it; the event loop itself would hold it only weakly."""

    async def who(self) -> Identity:
        """The person at the other end, as the database knows them now. Refused when they may no longer be here."""
        known = visitor.get()
        if known is None:
            raise Refused("session_over", "nobody is logged in on this socket")
        return await self.identity(known.tenant_id, known.user_id)

    def in_background(self, work: "Coroutine[Any, Any, None]") -> "asyncio.Future[None]":
        task = asyncio.ensure_future(work)
        self.waiting.add(task)
        task.add_done_callback(self.waiting.discard)
        return task

    def listen(self, session_id: str, conversation_id: str, after: str) -> None:
        """Show what is announced in the conversation after the message `after`, while the page is there."""
        if before := self.listening.get(session_id):
            before.cancel()
        work = _guarded(self, lambda who: _listen(self, who, session_id, conversation_id, after))
        task = self.listening[session_id] = self.in_background(work)
        task.add_done_callback(lambda _: self.listening.get(session_id) is task and self.listening.pop(session_id))


def wire_chat(chat: Chat) -> None:
    """Register the chat with Chainlit, which holds one chat per process. Imports Chainlit (about 1.5 s)."""
    import chainlit as cl
    from chainlit.config import config
    from chainlit.server import sio

    async def nobody(_: str, __: str) -> "cl.User | None":
        return None  # the login form posts to our own route (channels/web.py); this only makes Chainlit ask for login

    async def starters(user: "cl.User | None", language: str | None) -> "list[cl.Starter]":
        who = visitor.get()
        spoken = who.language if who else chat.language
        return [
            cl.Starter(label=chat.texts.say(spoken, key), message=chat.texts.say(spoken, key))
            for key in (chat.starters(who.role) if who else [])
        ]

    async def on_message(message: "cl.Message") -> None:
        await _answer(chat, message)

    async def on_chat_resume(thread: dict[str, Any]) -> None:
        who = await chat.who()
        made = await chat.approvals.list(who, conversation_id=thread["id"])
        for proposal in made:
            undoable = await chat.approvals.undoable(proposal)
            await _send_buttons(chat, proposal, who, _wanted(chat, proposal, who, made, undoable))
        said = await chat.data.announced(who, thread["id"], "")  # work may be going on that an earlier page began
        chat.listen(cl.context.session.id, thread["id"], said[-1][0] if said else "")

    async def on_stop(sid: str) -> None:
        from chainlit.session import WebsocketSession

        session = WebsocketSession.get(sid)
        if session and (turn := chat.running.get(session.id)):
            turn.cancel()

    config.code.password_auth_callback = nobody
    cl.data_layer(lambda: chat.data)  # type: ignore[arg-type,return-value]
    cl.set_starters(starters)
    cl.on_message(on_message)
    cl.on_chat_resume(on_chat_resume)  # type: ignore[arg-type]
    for name, act in (("approve", _approve), ("reject", _reject), ("edit", _edit), ("undo", _undo)):
        cl.action_callback(name)(_clicked(chat, act))
    # Chainlit's own stop says an English sentence and cancels the drawing of what was found so far.
    sio.on("stop", on_stop)
    for unused in ("edit_message", "message_favorite", "fetch_favorites", "window_message", "audio_start"):
        sio.handlers["/"].pop(unused, None)
    for unused in ("audio_chunk", "audio_end", "chat_settings_change", "chat_settings_edit", "call_fn"):
        sio.handlers["/"].pop(unused, None)


# --- a message ---------------------------------------------------------------------------------


async def _answer(chat: Chat, message: "cl.Message") -> None:
    from chainlit.context import context

    session: WebsocketSession = context.session  # type: ignore[assignment]
    language = chat.language
    view = _View(chat, session.thread_id)
    try:
        who = await chat.who()
        language = view.language = who.language
        attachments = await _keep_files(chat, who, message, session)
        incoming = IncomingMessage(who, session.thread_id, message.content, "chat", attachments)
        turn = asyncio.ensure_future(chat.handle(incoming, view.progress))
        chat.running[session.id] = turn
        try:
            reply = await view.follow(turn)
        finally:
            chat.running.pop(session.id, None)
        run = context.current_run
        await view.finish(reply, who, run.id if run else new_id("run"))
        if view.read_a_file or any(tool["effect"] == "DRAFT" for tool in reply.tools):
            # Reading a file, searching for companies and what else a draft begins may go on after its turn.
            chat.listen(session.id, reply.conversation_id, reply.message_id)
    except asyncio.CancelledError:
        await view.say(chat.texts.say(language, "turn.stopped", above=False))
    except MutiraoError as error:
        await view.say(chat.texts.error(language, error), is_error=True)
    except Exception:
        code = new_id("bug")
        log.exception("chat_failed", id=code)
        await view.say(chat.texts.say(language, "error.bug", id=code), is_error=True)


async def _listen(chat: Chat, who: Identity, session_id: str, conversation_id: str, after: str) -> None:
    """Say in the page what background work announces in this conversation, as long as the page is open."""
    import chainlit as cl
    from chainlit.session import WebsocketSession

    for seconds in _LISTEN_AFTER:
        await asyncio.sleep(seconds)
        if WebsocketSession.get_by_id(session_id) is None:
            return
        for message_id, text in await chat.data.announced(who, conversation_id, after):
            after = message_id
            message: Any = cl.Message(content=markdown.answer(text, [], chat.texts, who.language), id=message_id)
            message.parent_id = None
            await message.send()


async def _keep_files(
    chat: Chat, who: Identity, message: "cl.Message", session: "WebsocketSession"
) -> list[Attachment]:
    """Move what the browser uploaded into our own store; Chainlit's copy on disk is removed."""
    from chainlit.context import context

    kept = []
    for element in message.elements:
        path, uploaded = Path(element.path or ""), element.chainlit_key or ""
        suffix = Path(element.name).suffix.lower()
        try:
            if suffix not in UPLOADS:
                raise ArgumentsWrong("upload_type", f"{suffix} is not taken", name=element.name)
            stored = await chat.files.store_path(who, path, name=element.name, mime=UPLOADS[suffix])
            kept.append(Attachment(stored.id, stored.name, stored.mime, stored.size))
            element.url, element.chainlit_key = file_address(stored.id), None
            await context.emitter.send_element(element.to_dict())
        finally:
            path.unlink(missing_ok=True)
            session.files.pop(uploaded, None)
    return kept


@dataclass
class _Shown:
    """A step on the page and what it will say."""

    step: Any  # Chainlit's Step
    kind: str
    title: str
    began: float
    lines: list[str] = field(default_factory=list)
    """What it found while it ran, as Markdown."""

    def output(self, summary: str = "") -> str:
        found = "\n".join(f"- {line}" for line in self.lines)
        return "\n\n".join(part for part in (found, plain(summary)) if part)


class _View:
    """One turn on the page. `progress` may be called at any moment; the page is told in order, by `follow`."""

    def __init__(self, chat: Chat, conversation_id: str) -> None:
        self._chat = chat
        self._conversation = conversation_id
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._steps: dict[str, _Shown] = {}
        self._open: set[str] = set()
        self._kept: list[dict[str, Any]] = []
        self._message: Any = None  # Chainlit's Message, once there is text
        self._counted = time.monotonic()
        self.language = chat.language
        self.read_a_file = False

    def progress(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def follow(self, turn: "asyncio.Future[Reply]") -> Reply:
        """Show the turn's events until it is over; a stopped turn still hands over what it has."""
        turn.add_done_callback(lambda _: self._events.put_nowait(None))
        while True:
            try:
                event = await asyncio.wait_for(self._events.get(), _TICK_SECONDS if self._open else None)
            except TimeoutError:
                await self._count_on()
                continue
            if event is None:
                for step_id in sorted(self._open):  # a turn that was stopped leaves them running
                    shown = self._steps[step_id]
                    await self._end(shown, StepFinished(step_id, time.monotonic() - shown.began, ok=False))
                return await turn
            await self._show(event)
            if time.monotonic() - self._counted >= _TICK_SECONDS:  # also while one event follows another
                await self._count_on()

    async def _show(self, event: Event) -> None:
        import chainlit as cl
        from chainlit.context import context

        if isinstance(event, StepStarted):
            parent = self._steps.get(event.parent_id or self._crew_at_work(event))
            run = context.current_run
            step: Any = cl.Step(
                name=event.title,
                type=_STEP_TYPES[event.kind],
                parent_id=parent.step.id if parent else (run.id if run else None),
                show_input=False,
                default_open=event.kind in ("crew", "tool"),  # a crew's tools, and what they find, need no click
            )
            step.start = stamp(datetime.now(UTC))
            self._steps[event.step_id] = _Shown(step, event.kind, event.title, time.monotonic())
            self._open.add(event.step_id)
            self.read_a_file = self.read_a_file or event.name == "import_ads_file"
            await step.send()
        elif isinstance(event, StepLine):
            if shown := self._steps.get(event.step_id):
                shown.lines.append(plain(event.text))
                shown.step.output = shown.output()
                await shown.step.update()
        elif isinstance(event, StepFinished):
            if shown := self._steps.get(event.step_id):
                self._open.discard(event.step_id)
                await self._end(shown, event)
        elif isinstance(event, TextChunk):
            if self._message is None:
                self._message = cl.Message(content="")
            await self._message.stream_token(event.text)
        elif isinstance(event, TextWithdrawn) and self._message is not None:
            await self._message.remove()
            self._message = None

    def _crew_at_work(self, event: StepStarted) -> str:
        """The crew that a tool or model works for, where the step does not say it: the one that began last."""
        crews = [step_id for step_id in self._steps if step_id in self._open and self._steps[step_id].kind == "crew"]
        return crews[-1] if crews and event.kind in ("tool", "model") else ""

    async def _end(self, shown: _Shown, event: StepFinished) -> None:

        step = shown.step
        step.name = self._timed(shown.title, event.seconds)
        if not event.ok:
            step.name = self._chat.texts.say(self.language, "chat.step_failed", step=step.name)
        step.output = shown.output(event.summary)
        step.auto_collapse = shown.kind == "tool" and not shown.lines  # how a short one ended is there on a click
        step.is_error = not event.ok
        step.end = stamp(datetime.now(UTC))
        self._kept.append(
            {
                "id": step.id,
                "parent": step.parent_id if any(s.step.id == step.parent_id for s in self._steps.values()) else None,
                "type": step.type,
                "name": step.name,
                "output": step.output,
                "ok": event.ok,
                "open": shown.kind == "crew",
            }
        )
        await step.update()

    async def _count_on(self) -> None:
        self._counted = time.monotonic()
        for step_id in self._open:
            shown = self._steps[step_id]
            shown.step.name = self._timed(shown.title, time.monotonic() - shown.began, decimals=0)
            await shown.step.update()

    def _timed(self, title: str, seconds: float, decimals: int = 1) -> str:
        return self._chat.texts.say(self.language, "chat.timed", title=title, seconds=seconds, decimals=decimals)

    async def finish(self, reply: Reply, who: Identity, run_id: str) -> None:
        """The whole answer: final text, tables, charts and files, and the proposals below with their buttons."""
        import chainlit as cl
        from chainlit.context import context

        answer: Any = self._message or cl.Message(content="")
        answer.content = markdown.answer(reply.text, reply.tables, self._chat.texts, reply.language, reply.views)
        await self._chat.data.keep_run(
            who, self._conversation, run_id, reply.message_id, sorted(self._kept, key=self._order)
        )
        await answer.send()
        for part in parts_of(self._conversation, reply.message_id, reply_extra(reply)).values():
            await context.emitter.send_element({**part.element, "forId": answer.id})  # type: ignore[typeddict-item]
        for shown in reply.proposals:
            await _send_card(self._chat, await self._chat.approvals.get(who, shown.id), who, reply.language)

    def _order(self, kept: dict[str, Any]) -> int:
        return [shown.step.id for shown in self._steps.values()].index(kept["id"])

    async def say(self, text: str, *, is_error: bool = False) -> None:
        """One sentence in place of an answer, below what was streamed so far."""
        import chainlit as cl

        if self._message is not None:
            await self._message.send()
        message: Any = cl.ErrorMessage(content=text) if is_error else cl.Message(content=text)
        await message.send()


def reply_extra(reply: Reply) -> dict[str, Any]:
    """The part of a reply that `parts_of` reads, in the form in which the supervisor stores it."""
    parts = {"tables": reply.tables, "charts": reply.charts, "views": reply.views}
    return {name: [asdict(part) for part in of] for name, of in parts.items()}  # type: ignore[attr-defined]


def _number(text: str, language: str) -> str:
    """A plain decimal as people of the language write it; any other text as it is."""
    try:
        return formats.number(Decimal(text), language, 2)
    except InvalidOperation:
        return text


# --- proposals ---------------------------------------------------------------------------------

_BUTTONS = ("approve", "edit", "reject", "undo")


async def _send_card(chat: Chat, proposal: Proposal, who: Identity, language: str) -> None:
    """Show a proposal, or show it anew where it already stands, with the buttons that fit its state and the viewer.

    A proposal that undoes another one changes what is offered below that one.
    """
    from chainlit.context import context

    step = chat.data.card_step(who, proposal, context.session.thread_id, language)
    await context.emitter.send_step(step)  # type: ignore[arg-type]
    made = await chat.approvals.list(who, conversation_id=proposal.conversation_id)
    for one in [proposal, *(other for other in made if other.id == proposal.undo_of)]:
        undoable = await chat.approvals.undoable(one)
        await _send_buttons(chat, one, who, _wanted(chat, one, who, made, undoable))


async def _send_buttons(chat: Chat, proposal: Proposal, who: Identity, wanted: set[str]) -> None:
    import chainlit as cl

    for name in _BUTTONS:
        own = f"chat.{name}.{proposal.change.kind}"  # not every change is called back by "undo"
        button: Any = cl.Action(
            name=name,
            payload={"proposal": proposal.id},
            label=chat.texts.say(who.language, own if chat.texts.has(own) else f"chat.{name}"),
            id=f"{name}-{card_id(proposal.id)}",
        )
        await button.remove()
        if name in wanted:
            await button.send(for_id=card_id(proposal.id))


def _wanted(chat: Chat, proposal: Proposal, who: Identity, made: list[Proposal], undoable: bool) -> set[str]:
    """What this person is offered. Only an offer: each click is judged again by business/approvals."""
    if proposal.state is ProposalState.EXECUTED:
        undone = any(other.undo_of == proposal.id and other.state not in _CAME_TO_NOTHING for other in made)
        return {"undo"} if undoable and not undone else set()
    if proposal.state is not ProposalState.PENDING:
        return set()
    may_approve = chat.approvals.may_approve(who, proposal, "chat")
    editable = chat.card(proposal, chat.texts, who.language, who.time_zone).editable
    return {"reject"} | ({"approve"} if may_approve else set()) | ({"edit"} if editable else set())


_CAME_TO_NOTHING = (ProposalState.REJECTED, ProposalState.EXPIRED, ProposalState.FAILED)
_UNSETTLED = (ProposalState.APPROVED, ProposalState.EXECUTING, ProposalState.UNKNOWN)


Act = Callable[[Chat, Identity, str], Awaitable[None]]


def _clicked(chat: Chat, act: Act) -> "Callable[[cl.Action], Awaitable[None]]":
    async def on_click(action: "cl.Action") -> None:
        proposal_id = str(action.payload.get("proposal", ""))
        await _guarded(chat, lambda who: act(chat, who, proposal_id))

    return on_click


async def _guarded(chat: Chat, work: Callable[[Identity], Awaitable[None]]) -> None:
    """Do `work` as whoever is there, read anew; what is refused or breaks is said in the chat."""
    language = chat.language
    try:
        who = await chat.who()
        language = who.language
        await work(who)
    except MutiraoError as error:
        await _say_below(chat.texts.error(language, error))
    except Exception:
        code = new_id("bug")
        log.exception("chat_click_failed", id=code)
        await _say_below(chat.texts.say(language, "error.bug", id=code))


async def _say_below(text: str) -> None:
    """At the end of the conversation, not inside a turn."""
    import chainlit as cl

    message: Any = cl.Message(content=text)
    message.parent_id = None
    await message.send()


async def _decided(chat: Chat, who: Identity, proposal_id: str, decision: Awaitable[Proposal]) -> None:
    """Show the card as it stands after the decision, also when the decision was refused, and until it is settled."""
    try:
        await decision
    finally:
        proposal = await chat.approvals.get(who, proposal_id)
        await _send_card(chat, proposal, who, who.language)
    if proposal.state in _UNSETTLED:
        chat.in_background(_guarded(chat, lambda person: _watch(chat, person, proposal)))


async def _watch(chat: Chat, who: Identity, proposal: Proposal) -> None:
    """Its answer was lost: it is being looked at by business/approvals, and the card should say what came of it."""
    for _ in range(_WATCH_TIMES):
        await asyncio.sleep(_WATCH_SECONDS)
        now = await chat.approvals.get(who, proposal.id)
        if now.state is not proposal.state:
            await _send_card(chat, now, who, who.language)
            if now.state not in _UNSETTLED:
                return
            proposal = now


async def _approve(chat: Chat, who: Identity, proposal_id: str) -> None:
    await _decided(chat, who, proposal_id, chat.approvals.approve(who, proposal_id, door="chat"))


async def _reject(chat: Chat, who: Identity, proposal_id: str) -> None:
    await _decided(chat, who, proposal_id, chat.approvals.reject(who, proposal_id, door="chat"))


async def _undo(chat: Chat, who: Identity, proposal_id: str) -> None:
    """Undoing is a proposal of its own, with its own yes."""
    proposal = await chat.approvals.undo(who, proposal_id, door="chat")
    await _send_card(chat, proposal, who, who.language)


async def _edit(chat: Chat, who: Identity, proposal_id: str) -> None:
    """Ask for the new values in the chat. The click is answered at once; the question waits in a task of its own."""
    proposal = await chat.approvals.get(who, proposal_id)
    fields = chat.card(proposal, chat.texts, who.language, who.time_zone).editable
    if not fields:
        await _send_card(chat, proposal, who, who.language)  # decided meanwhile, or nothing in it can be typed over
        return
    chat.in_background(_guarded(chat, lambda person: _ask_and_edit(chat, person, proposal_id, fields)))


async def _ask_and_edit(chat: Chat, who: Identity, proposal_id: str, fields: dict[str, str]) -> None:
    import chainlit as cl
    from chainlit.context import context

    emitter: Any = context.emitter
    edits = {}
    for name, present in fields.items():
        label = chat.texts.say(who.language, f"chat.field.{name}")
        present = _number(present, who.language)
        asks = f"chat.ask.{name}" if chat.texts.has(f"chat.ask.{name}") else "chat.ask_value"
        question = cl.AskUserMessage(
            content=chat.texts.say(who.language, asks, field=label, present=plain(present)),
            timeout=_ASK_SECONDS,
        )
        question.parent_id = None
        typed = await question.send()
        await emitter.task_end()  # Chainlit says "busy" after a question, for turns that go on
        if typed is None:
            await _say_below(chat.texts.say(who.language, "chat.not_edited"))
            return
        edits[name] = typed["output"].strip()
    who = await chat.who()  # a while has passed
    replacement = await chat.approvals.edit(who, proposal_id, edits, door="chat")
    await _send_card(chat, await chat.approvals.get(who, proposal_id), who, who.language)
    await _send_card(chat, replacement, who, who.language)
