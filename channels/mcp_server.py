"""The MCP door: another AI client uses our tools over stdio, under the same runner, roles, policy and approvals.

It offers every tool of the runner as it is declared, and `ask`, which runs a whole turn. What is proposed here waits
for a person in the chat or the terminal. Nothing but the protocol goes to stdout.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import structlog

from channels.crm_views import CrmViews
from core.clock import Clock, SystemClock
from core.door import Handle, IncomingMessage, Reply, View
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.ids import new_id
from core.tenancy import Identity
from core.turn import Event, StepLine, StepStarted, Turn
from prompts.texts import Texts
from tools.adapters import mcp_tool
from tools.runner import ToolRunner

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

log = structlog.get_logger(__name__)

IdentityOf = Callable[[], Awaitable[Identity]]
"""Who speaks, read from the database at every call: a role that was taken away is gone at once."""

ASK = {
    "name": "ask",
    "description": (
        "Ask Mutirão's agents in plain words (Portuguese, English or Spanish), as a person would in its chat; they "
        "look at the data and answer with numbers. Give the same `conversation` for follow-ups. Changes are only "
        "proposed: a person approves them in the chat or the terminal."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "conversation": {"type": "string", "description": "Id from an earlier answer; omit to start anew."},
        },
        "required": ["question"],
        "additionalProperties": False,
    },
}


def build(
    identity_of: IdentityOf,
    runner: ToolRunner,
    handle: Handle,
    texts: Texts,
    clock: Clock | None = None,
    views: CrmViews | None = None,
) -> "Server[Any]":
    """The MCP server over what app.py has built, without a transport. `views` reads what an answer of `ask` shows."""
    from mcp.server.lowlevel import Server
    from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

    time = clock or SystemClock()
    # Tool calls of one client without a question belong together: their proposals are listed as one conversation's.
    session_conversation = new_id("conv")
    version = None
    with suppress(metadata.PackageNotFoundError):  # run from a checkout that is not installed
        version = metadata.version("mutirao")
    server: Server[Any] = Server("mutirao", version=version, instructions=texts.say("en", "mcp.instructions"))

    @server.list_tools()  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
    async def list_tools() -> list[Tool]:
        ask = Tool(
            **ASK,
            annotations=ToolAnnotations(readOnlyHint=False, destructiveHint=False, openWorldHint=True),
        )
        return [mcp_tool(spec) for spec in runner.tools.values() if not spec.for_contact] + [ask]

    @server.call_tool(validate_input=False)  # the runner checks, and says it in words
    async def call_tool(name: str, arguments: dict[str, Any]) -> CallToolResult:
        language = "en"
        try:
            identity = await identity_of()
            language = identity.language
            if name == "ask":
                reply = await ask(identity, arguments)
                return answered(reply, [await drawn(identity, view) for view in reply.views])
            return await run(identity, name, arguments)
        except MutiraoError as error:
            return failed(texts.error(language, error))
        except Exception:
            bug = new_id("bug")
            log.exception("mcp_bug", bug=bug, tool=name[:80])
            return failed(texts.say(language, "error.bug", id=bug))

    async def run(identity: Identity, name: str, arguments: dict[str, Any]) -> CallToolResult:
        turn = Turn(
            id=new_id("turn"),
            identity=identity,
            conversation_id=session_conversation,
            door="mcp",
            text="",
            language=identity.language,
            now=time.now(),
        )
        outcome = await runner.call(turn, name, arguments)
        if outcome.error is not None:
            # The sentence is for people, the code and the reason for the model that called.
            return failed(f"{texts.error(identity.language, outcome.error)}\n{outcome.text_for_model}")
        content = [TextContent(type="text", text=outcome.text_for_model)]
        if outcome.proposal is not None:
            waiting = texts.say(identity.language, "mcp.proposed", id=outcome.proposal.id)
            content.insert(0, TextContent(type="text", text=waiting))
        return CallToolResult(content=list(content), structuredContent=outcome.data)

    async def ask(identity: Identity, arguments: dict[str, Any]) -> Reply:
        unknown = set(arguments) - {"question", "conversation"}
        question, conversation = arguments.get("question"), arguments.get("conversation") or new_id("conv")
        if not isinstance(question, str) or not isinstance(conversation, str) or unknown or len(conversation) > 100:
            wrong = "ask takes `question` and, for follow-ups, `conversation`"
            raise ArgumentsWrong("arguments_wrong", wrong, wrong=wrong)
        async with _progress(server) as progress:
            return await handle(IncomingMessage(identity, conversation, question, "mcp"), progress)

    async def drawn(identity: Identity, view: View) -> dict[str, Any]:
        """The view with what it shows, without the words of its buttons; empty where it is no longer theirs to see."""
        data: dict[str, Any] = view.data
        with suppress(Refused):
            data = await views.draw(identity, view.kind, view.subject) if views else data
        kept = {name: value for name, value in data.items() if name not in ("words", "stages", "may_change")}
        return {"kind": view.kind, "title": view.title, "subject": view.subject, "data": kept}

    def answered(reply: Reply, shown: list[dict[str, Any]]) -> CallToolResult:
        lines = [reply.text]
        lines += [texts.say(reply.language, "mcp.proposed", id=card.id) + f" {card.title}" for card in reply.proposals]
        data = {
            "reply": reply.text,
            "conversation": reply.conversation_id,
            "language": reply.language,
            "tables": [asdict(table) for table in reply.tables],
            "views": shown,
            "proposals": [asdict(card) for card in reply.proposals],
            "turn": reply.turn_id,
        }
        return CallToolResult(
            content=[
                TextContent(type="text", text="\n\n".join(lines)),
                TextContent(type="text", text=json.dumps({"conversation": reply.conversation_id})),
            ],
            structuredContent=json.loads(json.dumps(data, default=str)),
        )

    def failed(sentence: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=sentence)], isError=True)

    return server


async def serve(
    identity_of: IdentityOf,
    runner: ToolRunner,
    handle: Handle,
    texts: Texts,
    clock: Clock | None = None,
    views: CrmViews | None = None,
) -> None:
    """Speak MCP on stdin and stdout until the client closes them."""
    from anyio import wrap_file
    from mcp.server.stdio import stdio_server

    server = build(identity_of, runner, handle, texts, clock, views)
    # Whatever prints, in this process or in a library's C code, must not break the protocol: file 1 becomes stderr.
    sys.stdout.flush()
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    async with stdio_server(stdout=wrap_file(protocol)) as (read, write):
        await server.run(read, write, server.create_initialization_options())


@asynccontextmanager
async def _progress(server: "Server[Any]") -> AsyncIterator[Callable[[Event], None]]:
    """Tells the client each step that begins and each line of what it finds, in order, if it asked to be told."""
    context = server.request_context
    token = context.meta.progressToken if context.meta else None
    if token is None:
        yield lambda _: None
        return
    waiting: asyncio.Queue[str | None] = asyncio.Queue()

    async def send() -> None:
        count = 0
        while (title := await waiting.get()) is not None:
            count += 1
            await context.session.send_progress_notification(
                token, count, message=title, related_request_id=str(context.request_id)
            )

    def tell(event: Event) -> None:
        if isinstance(event, StepStarted):
            waiting.put_nowait(event.title)
        elif isinstance(event, StepLine):
            waiting.put_nowait(event.text)

    sending = asyncio.create_task(send())
    try:
        yield tell
    finally:
        waiting.put_nowait(None)
        with suppress(Exception):  # a client that has gone wants no progress; the turn goes on
            await sending
