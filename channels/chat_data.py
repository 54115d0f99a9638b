"""What Chainlit's page may read and write of our data: conversations, their history, files, thumbs.

Chainlit calls these methods with ids that came from the browser and does not say who asks. The door puts the asker
in `visitor` for every request and socket (channels/web.py); a method that finds nobody there, or a row that is not
theirs, answers as if the row did not exist.

Messages are written by the supervisor, inside the turn. Chainlit's own writing of steps and elements is therefore
taken and forgotten: what it would show again is rebuilt here from `messages.extra`.
"""

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from business.approvals.model import Proposal
from business.approvals.service import Approvals
from channels import markdown
from core.db import Connection, Database, fetch_all, fetch_one
from core.door import Chart, ProposalCard, Series, Table, View
from core.ids import new_id
from core.tenancy import Identity
from prompts.texts import Texts

if TYPE_CHECKING:
    from chainlit.element import ElementDict
    from chainlit.step import StepDict
    from chainlit.types import Feedback, PaginatedResponse, Pagination, ThreadDict, ThreadFilter
    from chainlit.user import PersistedUser, User

visitor: ContextVar[Identity | None] = ContextVar("visitor", default=None)
"""Who makes the request or holds the socket that is being served; None for nobody."""

NAME = "Mutirão"
_TITLE_LENGTH = 60
_COMMENT_LENGTH = 2_000
_THUMBS = {1: 1, 0: -1}
"""Chainlit's value → ours: up 1, down -1."""

CardOf = Callable[[Proposal, Texts, str, str], ProposalCard]
"""agents.approvals.proposal_card: (proposal, texts, language, time zone) → what its approver sees."""


@dataclass(frozen=True)
class Part:
    """A piece of a message that the page fetches by its address: a chart, a table's file, or an attachment."""

    element: dict[str, Any]
    chart: Chart | None = None
    table: Table | None = None


class ChatData:
    """Chainlit's data layer (the methods of `chainlit.data.base.BaseDataLayer`) on our tables, per visitor."""

    def __init__(self, db: Database, texts: Texts, approvals: Approvals, card: CardOf) -> None:
        self._db = db
        self._texts = texts
        self._approvals = approvals
        self._card = card

    # --- who ---------------------------------------------------------------------------------

    async def get_user(self, identifier: str) -> "PersistedUser | None":
        from chainlit.user import PersistedUser

        who = visitor.get()
        if who is None or who.user_id != identifier:
            return None
        return PersistedUser(
            id=who.user_id,
            identifier=who.user_id,
            display_name=who.name,
            metadata={"role": who.role.value},
            createdAt=stamp(datetime.now(UTC)),
        )

    async def create_user(self, user: "User") -> "PersistedUser | None":
        return await self.get_user(user.identifier)

    # --- the list of conversations -----------------------------------------------------------

    async def list_threads(self, pagination: "Pagination", filters: "ThreadFilter") -> "PaginatedResponse[ThreadDict]":
        """The visitor's own conversations, the newest first, whatever user id the filter names."""
        from chainlit.types import PageInfo, PaginatedResponse

        who = visitor.get()
        rows: list[dict[str, Any]] = []
        first = max(1, min(pagination.first, 100))
        if who is not None:
            search = f"%{_like(filters.search)}%" if filters.search else None
            async with self._db.tenant(who.tenant_id) as conn:
                rows = await fetch_all(
                    conn,
                    """select c.id, c.title, c.updated_at from conversations c
                       where c.user_id = %(user)s
                         and (%(search)s::text is null or c.title ilike %(search)s or exists (
                              select 1 from messages m where m.conversation_id = c.id and m.text ilike %(search)s))
                         and (%(after)s::text is null or (c.updated_at, c.id) < (
                              select p.updated_at, p.id from conversations p where p.id = %(after)s))
                       order by c.updated_at desc, c.id desc limit %(limit)s""",
                    {"user": who.user_id, "search": search, "after": pagination.cursor, "limit": first + 1},
                )
        shown = rows[:first]
        return PaginatedResponse(
            pageInfo=PageInfo(
                hasNextPage=len(rows) > first,
                startCursor=shown[0]["id"] if shown else None,
                endCursor=shown[-1]["id"] if shown else None,
            ),
            data=[_thread(row["id"], row["title"], row["updated_at"], who, [], []) for row in shown],
        )

    async def get_thread_author(self, thread_id: str) -> str:
        who = visitor.get()
        if who is None:
            return ""
        async with self._db.tenant(who.tenant_id) as conn:
            return who.user_id if await _owned(conn, who, thread_id) else ""

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Rename, or make the conversation when its first message comes, before the page asks for the list again.

        `user_id` tells the two apart; who it is, the visitor says. Metadata, which Chainlit sends when a tab closes,
        is not kept.
        """
        who = visitor.get()
        title = " ".join((name or "").replace("\x00", "").split())[:_TITLE_LENGTH]
        if who is None or not title:
            return
        async with self._db.tenant(who.tenant_id) as conn:
            if user_id is None:
                await conn.execute(
                    "update conversations set title = %s where id = %s and user_id = %s",
                    (title, thread_id, who.user_id),
                )
            else:
                await conn.execute(
                    """insert into conversations (id, tenant_id, user_id, door, title, language)
                       values (%s, %s, %s, 'chat', %s, '') on conflict (id) do nothing""",
                    (thread_id, who.tenant_id, who.user_id, title),
                )

    async def delete_thread(self, thread_id: str) -> None:
        """The conversation with its messages and thumbs. Proposals and the audit log outlive it."""
        who = visitor.get()
        if who is None:
            return
        async with self._db.tenant(who.tenant_id) as conn:
            if await _owned(conn, who, thread_id):
                await conn.execute(
                    "delete from feedback where message_id in (select id from messages where conversation_id = %s)",
                    (thread_id,),
                )
                await conn.execute(
                    "update proposals set conversation_id = null where conversation_id = %s", (thread_id,)
                )
                await conn.execute("delete from conversations where id = %s", (thread_id,))

    # --- one conversation --------------------------------------------------------------------

    async def get_thread(self, thread_id: str) -> "ThreadDict | None":
        """The conversation as the page shows it: questions, steps, answers with charts, proposals as they now stand."""
        who = visitor.get()
        if who is None:
            return None
        async with self._db.tenant(who.tenant_id) as conn:
            head = await _owned(conn, who, thread_id)
            if head is None:
                return None
            rows = await fetch_all(
                conn,
                """select m.id, m.role, m.text, m.turn_id, m.extra, m.created_at,
                          f.id as feedback_id, f.value, f.comment, e.props as shown
                   from messages m
                   left join feedback f on f.message_id = m.id and f.user_id = %s
                   left join chat_elements e on e.message_id = m.id and e.kind = 'run'
                   where m.conversation_id = %s order by m.created_at, m.id""",
                (who.user_id, thread_id),
            )
        language = head["language"] or who.language
        made = await self._approvals.list(who, conversation_id=thread_id)
        proposals = sorted(made, key=lambda proposal: (proposal.created_at, proposal.id))
        steps: list[dict[str, Any]] = []
        elements: list[dict[str, Any]] = []
        question: str | None = None
        for index, row in enumerate(rows):
            extra = row["extra"] or {}
            elements += [part.element for part in parts_of(thread_id, row["id"], extra).values()]
            if row["role"] == "user":
                question = row["id"]
                steps.append(_message(row["id"], thread_id, None, "user_message", row["text"], row["created_at"]))
            else:
                tables = [_table(t) for t in extra.get("tables", [])]
                views = [View(**view) for view in extra.get("views", [])]
                text = markdown.answer(row["text"], tables, self._texts, language, views)
                run = _run_id(row["id"])
                steps.append(_run(row, thread_id, run, question))
                steps += _kept_steps((row["shown"] or {}).get("steps", []), thread_id, run, row["created_at"])
                steps.append(_message(row["id"], thread_id, run, "assistant_message", text, row["created_at"]))
            # Proposals stand where they were made: below the answer of their turn, or after what was said before them.
            until = rows[index + 1]["created_at"] if index + 1 < len(rows) else None
            for proposal in [p for p in proposals if _belongs(p, row, until, rows)]:
                proposals.remove(proposal)
                steps.append(self.card_step(who, proposal, thread_id, language))
        steps += [self.card_step(who, proposal, thread_id, language) for proposal in proposals]
        return _thread(head["id"], head["title"], head["updated_at"], who, steps, elements)

    def card_step(self, who: Identity, proposal: Proposal, thread_id: str, language: str) -> dict[str, Any]:
        """A proposal as a message of its own; its buttons are sent by channels/chat.py."""
        card = self._card(proposal, self._texts, language, who.time_zone)
        text = markdown.card(card, self._texts, language)
        step = _message(card_id(proposal.id), thread_id, None, "assistant_message", text, proposal.created_at)
        step["metadata"] = {"proposal": proposal.id, "state": proposal.state.value}
        return step

    async def announced(self, who: Identity, conversation_id: str, after: str) -> list[tuple[str, str]]:
        """(id, text) of what was said outside a turn since the message `after`: results of background work."""
        async with self._db.tenant(who.tenant_id) as conn:
            if not await _owned(conn, who, conversation_id):
                return []
            rows = await fetch_all(
                conn,
                """select id, text from messages
                   where conversation_id = %s and role = 'assistant' and turn_id is null and id > %s order by id""",
                (conversation_id, after),
            )
            return [(row["id"], row["text"]) for row in rows]

    async def part(self, conversation_id: str, message_id: str, name: str) -> Part | None:
        """What stands at `/chat/data/<conversation>/<message>/<name>`, None unless it is the visitor's."""
        who = visitor.get()
        if who is None:
            return None
        async with self._db.tenant(who.tenant_id) as conn:
            if not await _owned(conn, who, conversation_id):
                return None
            row = await fetch_one(
                conn, "select extra from messages where id = %s and conversation_id = %s", (message_id, conversation_id)
            )
        return parts_of(conversation_id, message_id, row["extra"] or {}).get(name) if row else None

    async def get_element(self, thread_id: str, element_id: str) -> "ElementDict | None":
        message_id, _, name = element_id.partition("/")
        part = await self.part(thread_id, message_id, name)
        return part.element if part else None  # type: ignore[return-value]

    # --- thumbs ------------------------------------------------------------------------------

    async def upsert_feedback(self, feedback: "Feedback") -> str:
        """Keep the visitor's thumb on an answer: one per person and answer, the last one counts."""
        who = visitor.get()
        if who is None or feedback.value not in _THUMBS:
            raise ValueError("feedback refused")
        async with self._db.tenant(who.tenant_id) as conn:
            message = await fetch_one(
                conn,
                """select m.id from messages m join conversations c on c.id = m.conversation_id
                   where c.user_id = %(user)s and (m.id = %(message)s or m.id = (
                         select e.message_id from chat_elements e where e.id = %(run)s and e.kind = 'run'))""",
                {"user": who.user_id, "message": feedback.forId.removeprefix("run-"), "run": feedback.forId},
            )
            if message is None:
                raise ValueError("feedback refused")
            await conn.execute(
                "delete from feedback where message_id = %s and user_id = %s", (message["id"], who.user_id)
            )
            feedback_id = new_id("feedback")
            await conn.execute(
                """insert into feedback (id, tenant_id, message_id, user_id, value, comment, created_at)
                   values (%s, %s, %s, %s, %s, %s, now())""",
                (
                    feedback_id,
                    who.tenant_id,
                    message["id"],
                    who.user_id,
                    _THUMBS[feedback.value],
                    (feedback.comment or "").replace("\x00", "")[:_COMMENT_LENGTH],
                ),
            )
        return feedback_id

    async def delete_feedback(self, feedback_id: str) -> bool:
        who = visitor.get()
        if who is None:
            return False
        async with self._db.tenant(who.tenant_id) as conn:
            done = await conn.execute("delete from feedback where id = %s and user_id = %s", (feedback_id, who.user_id))
        return bool(done.rowcount)

    async def keep_run(
        self, who: Identity, conversation_id: str, run_id: str, message_id: str, steps: list[dict[str, Any]]
    ) -> None:
        """Remember what the page calls the answer `message_id`, and the steps that were shown above it."""
        async with self._db.tenant(who.tenant_id) as conn:
            await conn.execute(
                """insert into chat_elements (id, tenant_id, conversation_id, message_id, kind, name, mime, props)
                   values (%s, %s, %s, %s, 'run', '', '', %s) on conflict (id) do nothing""",
                (run_id, who.tenant_id, conversation_id, message_id, json.dumps({"steps": steps})),
            )

    # --- what Chainlit would write, and what it may ask that we do not have --------------------

    async def create_step(self, step_dict: "StepDict") -> None: ...

    async def update_step(self, step_dict: "StepDict") -> None: ...

    async def delete_step(self, step_id: str) -> None: ...

    async def create_element(self, element: Any) -> None: ...

    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None: ...

    async def get_favorite_steps(self, user_id: str) -> "list[StepDict]":
        return []

    async def set_step_favorite(self, step_dict: "StepDict", favorite: bool) -> "StepDict":
        return step_dict

    async def build_debug_url(self) -> str:
        return ""

    async def close(self) -> None: ...


# --- addresses and shapes ----------------------------------------------------------------------


def card_id(proposal_id: str) -> str:
    return f"card-{proposal_id}"


FILE = "file"
"""A view that is a file which was made for the reader: its title is the name, its subject the file's id."""


def file_address(file_id: str) -> str:
    """Where whoever brought a file finds it again."""
    return f"/chat/data/files/{file_id}"


def parts_of(conversation_id: str, message_id: str, extra: dict[str, Any]) -> dict[str, Part]:
    """The fetched pieces of a message by name, rebuilt from what the supervisor stored with it."""
    found: dict[str, Part] = {}

    def add(
        name: str,
        kind: str,
        title: str,
        mime: str,
        chart: Chart | None = None,
        table: Table | None = None,
        address: str = "",
    ) -> None:
        found[name] = Part(
            element={
                "id": f"{message_id}/{name}",
                "threadId": conversation_id,
                "forId": message_id,
                "type": kind,
                "name": title or name,
                "display": "inline",
                "size": "large",
                "mime": mime,
                "url": address or f"/chat/data/{conversation_id}/{message_id}/{name}",
            },
            chart=chart,
            table=table,
        )

    for number, chart in enumerate(extra.get("charts", [])):
        add(f"chart-{number}", "plotly", chart["title"], "application/json", chart=_chart(chart))
    drawn = {view["kind"] for view in extra.get("views", [])}
    for number, table in enumerate(extra.get("tables", [])):
        if len(table["rows"]) > markdown.ROWS_SHOWN and table.get("view") not in drawn:
            title = f"{table['title'] or NAME}.csv"
            add(f"table-{number}", "file", title, "text/csv", table=_table(table))
    for number, file in enumerate(extra.get("attachments", [])):
        add(f"file-{number}", "file", file["name"], file["mime"], address=file_address(file["file_id"]))
    made = [view for view in extra.get("views", []) if view["kind"] == FILE]
    for number, view in enumerate(made):
        add(f"made-{number}", "file", view["title"], view["data"]["mime"], address=file_address(view["subject"]))
    return found


async def _owned(conn: Connection, who: Identity, conversation_id: str) -> dict[str, Any] | None:
    return await fetch_one(
        conn,
        "select id, title, language, updated_at from conversations where id = %s and user_id = %s",
        (conversation_id, who.user_id),
    )


def _chart(stored: dict[str, Any]) -> Chart:
    return Chart(**{**stored, "series": [Series(**series) for series in stored["series"]]})


def _table(stored: dict[str, Any]) -> Table:
    return Table(**stored)


def _belongs(proposal: Proposal, row: dict[str, Any], until: datetime | None, rows: list[dict[str, Any]]) -> bool:
    if proposal.turn_id is not None and any(r["turn_id"] == proposal.turn_id for r in rows):
        return row["role"] == "assistant" and bool(row["turn_id"] == proposal.turn_id)
    return until is None or proposal.created_at < until


def _run_id(message_id: str) -> str:
    return f"run-{message_id}"


def stamp(at: datetime) -> str:
    """A moment as the page reads it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _message(step_id: str, thread_id: str, parent: str | None, kind: str, text: str, at: datetime) -> dict[str, Any]:
    return {
        "id": step_id,
        "threadId": thread_id,
        "parentId": parent,
        "type": kind,
        "name": NAME if kind == "assistant_message" else "user",
        "output": text,
        "input": "",
        "createdAt": stamp(at),
        "start": stamp(at),
        "end": stamp(at),
        "metadata": {},
        "streaming": False,
        "isError": False,
    }


def _run(row: dict[str, Any], thread_id: str, run: str, question: str | None) -> dict[str, Any]:
    step = _message(run, thread_id, question, "run", "", row["created_at"])
    step["name"] = "on_message"  # the page knows a turn by this name
    if row["feedback_id"] and row["value"]:
        step["feedback"] = {
            "id": row["feedback_id"],
            "forId": run,
            "value": 1 if row["value"] > 0 else 0,
            "comment": row["comment"] or None,
        }
    return step


def _kept_steps(kept: list[dict[str, Any]], thread_id: str, run: str, at: datetime) -> list[dict[str, Any]]:
    steps = []
    for step in kept:
        shown = _message(step["id"], thread_id, step["parent"] or run, step["type"], step["output"], at)
        shown |= {"name": step["name"], "isError": not step["ok"], "defaultOpen": step["open"]}
        steps.append(shown)
    return steps


def _thread(
    thread_id: str,
    title: str | None,
    at: datetime,
    who: Identity | None,
    steps: list[dict[str, Any]],
    elements: list[dict[str, Any]],
) -> "ThreadDict":
    owner = who.user_id if who else None
    return {
        "id": thread_id,
        "createdAt": stamp(at),
        "name": title,
        "userId": owner,
        "userIdentifier": owner,
        "tags": [],
        "metadata": {},
        "steps": steps,  # type: ignore[typeddict-item]
        "elements": elements,  # type: ignore[typeddict-item]
    }


def _like(text: str) -> str:
    return text.replace("\x00", "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")[:200]
