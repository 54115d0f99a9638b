"""The tools of the CRM: looking at it, writing into it with the rights of the person who asks, and proposing to erase.

Records are named as people name them (tools/crm_targets.py); what fits several is asked about, never guessed. What a
person did not say is not written down as said by them, and an amount that they did not name is refused.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from business.crm.changes import plan_erase
from business.crm.identity import KeyKind, key
from business.crm.imports import CrmImports
from business.crm.model import (
    Company,
    CompanyData,
    Contact,
    ContactData,
    CustomField,
    Deal,
    FieldType,
    Outcome,
    Source,
    Stage,
    StageKind,
    Subject,
    Task,
)
from business.crm.moments import find_due
from business.crm.privacy import REACHABLE, BlockReason
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.money import Money
from core.turn import Turn
from core.words import folded
from tools.amounts import amount_was_named, amounts_in
from tools.crm_results import (
    CandidateRow,
    ColumnRow,
    CrmBoardResult,
    CrmDealResult,
    CrmDoneResult,
    CrmFileResult,
    CrmImportResult,
    CrmRecordResult,
    CrmSavedResult,
    CrmSearchResult,
    CrmSetupResult,
    CrmTaskResult,
    CrmTasksResult,
    DealRow,
    SumRow,
    TaskRow,
    column_row,
    deal_row,
    entry_rows,
    field_rows,
    found_row,
    imported,
    origin_of_entries,
    plain_amount,
    previewed,
    record_row,
    saved,
    task_row,
)
from tools.crm_targets import (
    ANY,
    COMPANIES,
    CONTACTS,
    DEALS,
    RECORDS,
    TASKS,
    Target,
    called,
    crm_of,
    described,
    meant,
    member_meant,
    stage_meant,
)
from tools.do_not_contact import DoNotContact
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, tool

PENDING_IMPORT = "pending_crm_import"
"""In the session: {"file_id", "name"} of a list that was shown and may be brought in."""

_EACH = 12  # deals of a stage that are told
_FULL = 10  # hits whose telephone and e-mail are told
_ENTRIES = 15  # of a timeline
_WAIT = 12.0  # seconds that a turn waits for an import; a longer one goes on in the background
_LOOK = 0.5  # seconds between looks at how far it has come
_NOBODY = frozenset({"ninguem", "nobody", "no one", "nadie", "none"})
_UNREADABLE = (KeyKind.BSUID, KeyKind.LID)  # somebody is reached by them, and nobody knows them by sight

RecordArg = Annotated[
    str, Field(min_length=1, max_length=200, description="Name, phone, e-mail, CNPJ, id or number shown.")
]
OptionalText = Annotated[str | None, Field(max_length=300)]
DueArg = Annotated[str | None, Field(max_length=100, description="The user's words, or YYYY-MM-DD HH:MM.")]


# --- looking ------------------------------------------------------------------------------------


class SearchArgs(ToolArgs):
    query: Annotated[
        str, Field(max_length=200, description="Words, phone, e-mail, document; empty for the latest.")
    ] = ""
    kind: Literal["contact", "company"] | None = None
    tag: OptionalText = None
    limit: Annotated[int, Field(ge=1, le=50)] = 10


@tool(effect=Effect.READ, area="crm")
async def crm_search(ctx: ToolContext, args: SearchArgs) -> CrmSearchResult:
    """Find contacts and companies of the CRM by any beginning of a word: name, company, city, tag, phone, e-mail. For
    one named record use crm_record."""
    crm, who = crm_of(ctx), ctx.turn.identity
    subjects = (Subject(args.kind),) if args.kind else tuple(Subject)
    found = await crm.search(who, args.query, subjects=subjects, tag=args.tag, limit=args.limit + 1)
    shown, team = found[: args.limit], await crm.team(who)
    if len(shown) > _FULL:
        return CrmSearchResult(
            query=args.query,
            records=[found_row(n, one, team) for n, one in enumerate(shown, 1)],
            more=len(found) > len(shown),
        )
    records = [await _record(ctx, Target(one.subject.value, one.id, one.name or "")) for one in shown]
    return CrmSearchResult(
        query=args.query,
        records=[record_row(n, one, team) for n, one in enumerate(records, 1)],
        more=len(found) > len(shown),
    )


class RecordArgs(ToolArgs):
    record: RecordArg


@tool(effect=Effect.READ, area="crm")
async def crm_record(ctx: ToolContext, args: RecordArgs) -> CrmRecordResult:
    """One contact or company with all that is known: each field with its source and date, tags, owner, deals, open
    tasks, timeline. Also answers where somebody's data is from, and since when."""
    crm, who = crm_of(ctx), ctx.turn.identity
    target = await meant(ctx, args.record)
    record, team = await _record(ctx, target), await crm.team(who)
    of: dict[str, Any] = {f"{target.kind}_id": target.id}
    deals = await crm.deals(who, **of)
    faces = await crm.faces(who, deals)
    tasks = await crm.tasks(who, **of)
    entries = await crm.timeline(who, **of, limit=_ENTRIES)
    people = await crm.contacts_of_company(who, target.id) if isinstance(record, Company) else []
    blocked = await crm.blocked(who.tenant_id, [(one.kind, one.given) for one in record.keys])
    return CrmRecordResult(
        id=record.id,
        kind=target.kind,
        name=called(record),
        owner=team.get(record.owner_id or ""),
        purpose=record.purpose,
        since=record.created_at,
        tags=list(record.tags),
        fields=field_rows(record, team),
        deals=[deal_row(n, deal, faces.get(deal.id), team) for n, deal in enumerate(deals, 1)],
        tasks=await _task_rows(ctx, tasks, team),
        timeline=entry_rows(entries, team, who.time_zone),
        people=[record_row(n, one, team) for n, one in enumerate(people[:20], 1)],
        blocked=[one.given for one in blocked],
        origin=origin_of_entries(entries),
    )


class BoardArgs(ToolArgs):
    stage: OptionalText = None


@tool(effect=Effect.READ, area="crm")
async def crm_board(ctx: ToolContext, args: BoardArgs) -> CrmBoardResult:
    """The sales pipeline: deals by stage with counts and sums per currency (never added across currencies); with
    `stage` only that one. A deal without amount has none, which is not zero."""
    crm, who = crm_of(ctx), ctx.turn.identity
    board, team = await crm.board(who, each=_EACH), await crm.team(who)
    if args.stage:
        stage = stage_meant([column.stage for column in board], args.stage)
        board = [column for column in board if column.stage.id == stage.id]
    faces = await crm.faces(who, [deal for column in board for deal in column.deals])
    columns: list[ColumnRow] = []
    for column in board:
        columns.append(column_row(column, faces, team, 1 + sum(len(one.deals) for one in columns)))
    live = [one for column in board if column.stage.kind is StageKind.OPEN for one in column.sums]
    totals = {
        currency: sum(one.amount for one in live if one.currency == currency)
        for currency in sorted({m.currency for m in live})
    }
    return CrmBoardResult(
        columns=columns,
        deals=sum(column.count for column in board),
        open_sums=[
            SumRow(amount=plain_amount(Decimal(total)), currency=currency) for currency, total in totals.items()
        ],
    )


class TasksArgs(ToolArgs):
    record: OptionalText = None
    owner: OptionalText = None
    until: DueArg = None
    done: bool = False


@tool(effect=Effect.READ, area="crm")
async def crm_tasks(ctx: ToolContext, args: TasksArgs) -> CrmTasksResult:
    """Open tasks of the user (`owner` for a colleague's, "todos" for everybody's), first due first; of one `record`, or
    due before the end of the day `until`."""
    crm, who = crm_of(ctx), ctx.turn.identity
    of: dict[str, Any] = {}
    if args.record:
        target = await meant(ctx, args.record, ANY)
        of[f"{target.kind}_id"] = target.id
    everybody = folded(args.owner or "") in ("todos", "todas", "all", "everybody", "everyone", "equipe", "time", "team")
    if not args.record and not everybody:
        of["owner_id"] = (await member_meant(ctx, args.owner))[0] if args.owner else who.user_id
    before = None
    if args.until:
        due = find_due(args.until, now=ctx.turn.now, time_zone=who.time_zone)
        if due is None:
            raise ArgumentsWrong("crm_due_unclear", f"{args.until!r} names no day", said=args.until)
        before = _end_of_day(due.at, who.time_zone)
    tasks = await crm.tasks(who, done=args.done, due_before=before, limit=50, **of)
    return CrmTasksResult(tasks=await _task_rows(ctx, tasks, await crm.team(who)))


class ExportArgs(ToolArgs):
    what: Annotated[
        str, Field(max_length=200, description='"contacts", "companies", or one contact for a copy of all their data.')
    ] = "contacts"
    form: Literal["csv", "xlsx"] = "csv"
    tag: OptionalText = None


@tool(effect=Effect.READ, area="crm")
async def crm_export(ctx: ToolContext, args: ExportArgs) -> CrmFileResult:
    """Make a file of the contacts or companies that the user may see, or the copy of one person's data that the law
    (LGPD) gives them. The file appears below the answer."""
    imports, who = ctx.service(CrmImports), ctx.turn.identity
    subject = {"contacts": Subject.CONTACT, "companies": Subject.COMPANY}.get(args.what)
    if subject is None:
        target = await meant(ctx, args.what, CONTACTS)
        file = await imports.export_person(who, target.id)
        return CrmFileResult(what=target.name, name=file.name, file=file.id, mime=file.mime, count=1)
    file, count = await imports.export_file(who, subject, form=args.form, tag=args.tag)
    return CrmFileResult(what=args.what, name=file.name, file=file.id, mime=file.mime, count=count)


# --- contacts and companies -----------------------------------------------------------------------


class SaveArgs(ToolArgs):
    targets = ("record",)

    kind: Literal["contact", "company"] = "contact"
    record: Annotated[str | None, Field(max_length=200, description="The known record to change; omit to add.")] = None
    name: OptionalText = None
    reach: Annotated[
        list[str], Field(max_length=20, description="Phones, e-mails, CPF or CNPJ, @instagram, LinkedIn, as said.")
    ] = Field(default_factory=list)
    company: OptionalText = None
    title: OptionalText = None
    city: OptionalText = None
    address: OptionalText = None
    website: OptionalText = None
    purpose: OptionalText = None
    tags: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)
    custom: Annotated[list[str], Field(max_length=20, description="Own fields: name=value.")] = Field(
        default_factory=list
    )
    as_new: Annotated[bool, Field(description="The user said it is none of the candidates.")] = False
    dry_run: bool = False


@tool(effect=Effect.DRAFT, area="crm")
async def crm_save(ctx: ToolContext, args: SaveArgs) -> CrmSavedResult:
    """Add a contact or company, or change one, at once. Whoever is known already is updated, never doubled; when it is
    not clear who is meant nothing is written and candidates come back: ask. Only what the user said; leave out the
    rest."""
    crm, who = crm_of(ctx), ctx.turn.identity
    told = [args.name, args.company, args.title, args.city, args.address, args.website, args.purpose]
    _was_said(ctx.turn, [one for one in (*told, *args.reach, *args.tags, *args.custom) if one])
    target = await meant(ctx, args.record, (args.kind,)) if args.record else None
    data = await _data(ctx, args)
    into, options = target.id if target else None, {"dry_run": args.dry_run, "as_new": args.as_new}
    if target is None and args.name and not args.as_new and (namesakes := await _namesakes(ctx, args, data)):
        return namesakes
    if target and args.name and not args.dry_run and _is_shorter(args.name, target.name):
        await crm.clear_fields(who, target.subject, target.id, ["name" if args.kind == "contact" else "trade_name"])
    if isinstance(data, ContactData):
        result = await crm.upsert_contact(who, data, into=into, **options)
    else:
        result = await crm.upsert_company(who, data, into=into, **options)
    name = args.name or (target.name if target else "") or (args.reach[0] if args.reach else "")
    if result.id and result.outcome is not Outcome.CREATED:
        name = called(await _record(ctx, Target(args.kind, result.id, "")))
    return saved(result, args.kind, name, args.dry_run)


async def _namesakes(ctx: ToolContext, args: SaveArgs, data: ContactData | CompanyData) -> CrmSavedResult | None:
    """Who is called the same, where nothing else tells whether it is them: the person is asked, not doubled."""
    crm, who = crm_of(ctx), ctx.turn.identity
    if isinstance(data, ContactData):
        tried = await crm.upsert_contact(who, data, dry_run=True)
    else:
        tried = await crm.upsert_company(who, data, dry_run=True)
    if tried.outcome is not Outcome.CREATED:
        return None
    hits = await crm.search(who, args.name or "", subjects=(Subject(args.kind),), limit=5)
    same = [hit for hit in hits if folded(hit.name or "") == folded(args.name or "")]
    if not same:
        return None
    candidates = [
        CandidateRow(
            n=n,
            id=hit.id,
            kind=args.kind,
            name=hit.name,
            detail=(await described(ctx, hit))["detail"],
            why=[("crm.rule.only_the_name_agrees", {})],
        )
        for n, hit in enumerate(same, 1)
    ]
    return CrmSavedResult(
        outcome="ambiguous", id=None, kind=args.kind, name=args.name or "", candidates=candidates, dry_run=args.dry_run
    )


def _is_shorter(name: str, known: str) -> bool:
    """Whether a name leaves words of the known one out: an upsert keeps the longer one, a correction does not."""
    said, words = set(folded(name).split()), set(folded(known).split())
    return said < words


async def _data(ctx: ToolContext, args: SaveArgs) -> ContactData | CompanyData:
    source = Source("person", ctx.turn.identity.user_id, by_person=True)
    keys = tuple(found for text in args.reach for found in keys_said(text, company=args.kind == "company"))
    custom = dict(part.split("=", 1) for part in args.custom if "=" in part)
    more: dict[str, Any] = {
        "keys": keys,
        "tags": tuple(args.tags),
        "custom": {name.strip(): value.strip() for name, value in custom.items()},
        "purpose": args.purpose,
    }
    if args.kind == "company":
        return CompanyData(
            source, trade_name=args.name, city=args.city, address=args.address, website=args.website, **more
        )
    company_id = None
    if args.company:
        try:
            company = await meant(ctx, args.company, COMPANIES)
        except ArgumentsWrong:
            pass  # not known here, or several are called so: its name is kept as text
        else:
            company_id = company.id if folded(company.name) == folded(args.company) else None
    return ContactData(
        source,
        name=args.name,
        title=args.title,
        company_name=args.company,
        company_id=company_id,
        city=args.city,
        address=args.address,
        **more,
    )


def keys_said(text: str, *, company: bool = False) -> list[tuple[KeyKind, str]]:
    """What kind of key a text is; what cannot be one comes as what it looks like, for the CRM to say why it is none."""
    text = text.strip()
    looks: list[KeyKind]
    if "linkedin.com" in text.casefold():
        looks = [KeyKind.LINKEDIN]
    elif text.startswith("@") or "instagram.com" in text.casefold():
        looks = [KeyKind.INSTAGRAM]
    elif "@" in text:
        looks = [KeyKind.EMAIL]
    elif re.search(r"\d{3}\.\d{3}\.\d{3}-\d{2}", text):
        looks = [KeyKind.CPF]
    elif re.search(r"\d{4}-\d{2}$", text) or len(re.sub(r"\W", "", text)) == 14:
        looks = [KeyKind.CNPJ, KeyKind.PHONE]
    else:
        looks = [KeyKind.PHONE, KeyKind.CNPJ] if company else [KeyKind.PHONE, KeyKind.CPF]
    kind = next((one for one in looks if key(one, text)), looks[0])
    return [(kind, text)]


# --- deals ----------------------------------------------------------------------------------------


class DealArgs(ToolArgs):
    targets = ("deal", "of")

    deal: Annotated[
        str | None,
        Field(max_length=200, description="A known deal: title, id, number, or whose it is. Omit for a new one."),
    ] = None
    of: Annotated[str | None, Field(max_length=200, description="Of a new deal: the contact or company.")] = None
    title: OptionalText = None
    stage: OptionalText = None
    outcome: Literal["won", "lost"] | None = None
    reason: Annotated[str | None, Field(max_length=500, description="Why it was lost, as said.")] = None
    amount: Annotated[Decimal | None, Field(ge=0, description="Only what the user named.")] = None
    expected: DueArg = None


@tool(effect=Effect.DRAFT, area="crm")
async def crm_deal(ctx: ToolContext, args: DealArgs) -> CrmDealResult:
    """Open a deal (`of`), move it to a `stage`, win or lose it (`outcome`), change title, amount or expected day, at
    once. Amounts only as the user said them."""
    crm, who = crm_of(ctx), ctx.turn.identity
    amount = None if args.amount is None else _named(ctx.turn, args.amount)
    expected = _day_said(ctx, args.expected)
    if not (args.deal or args.of):
        raise ArgumentsWrong("crm_deal_which", "name the deal, or for a new one its contact or company")
    stages = await crm.stages(who)
    stage = stage_meant(stages, args.stage) if args.stage else None
    if args.outcome:
        stage = next(one for one in stages if one.kind is StageKind(args.outcome))
    if args.deal is None:
        return await _new_deal(ctx, args, stage, amount, expected)
    target = await meant(ctx, args.deal, DEALS)
    before = await crm.deal(who, target.id)
    changes: dict[str, Any] = {"title": args.title, "amount": amount, "expected_on": expected}
    told = {name: value for name, value in changes.items() if value is not None}
    deal = await crm.change_deal(who, target.id, told) if told else before
    if stage is not None:
        deal = await crm.move_deal(who, target.id, stage.id, lost_reason=args.reason)
    did = _what_became(before, deal)
    earlier = {
        "stage": before.stage.name,
        "amount": str(plain_amount(before.amount.amount)) if before.amount else None,
        "currency": before.amount.currency if before.amount else None,
    }
    return CrmDealResult(did=did, deal=await _deal_row(ctx, deal), before=earlier)


async def _new_deal(
    ctx: ToolContext, args: DealArgs, stage: Stage | None, amount: Money | None, expected: date | None
) -> CrmDealResult:
    crm, who = crm_of(ctx), ctx.turn.identity
    target = await meant(ctx, args.of or "", RECORDS)
    of: dict[str, Any] = {f"{target.kind}_id": target.id}
    title = args.title or target.name
    for known in await crm.deals(who, kind=StageKind.OPEN, **of):
        if folded(known.title) == folded(title):  # asked for twice, there once
            return CrmDealResult(did="unchanged", deal=await _deal_row(ctx, known))
    if target.kind == "contact":
        contact = await crm.contact(who, target.id)
        of["company_id"] = contact.company_id
    deal = await crm.create_deal(
        who, title, stage_id=stage.id if stage else None, amount=amount, expected_on=expected, **of
    )
    return CrmDealResult(did="created", deal=await _deal_row(ctx, deal))


def _what_became(before: Deal, after: Deal) -> str:
    if after.stage.id != before.stage.id:
        return "moved" if after.stage.kind is StageKind.OPEN else after.stage.kind.value
    return "unchanged" if replace(after, updated_at=before.updated_at) == before else "changed"


def _named(turn: Turn, amount: Decimal) -> Money:
    """The amount in the currency in which the user named it; reais where they named none.

    ArgumentsWrong("amount_not_named")."""
    texts = (turn.text, str(turn.session.get("last_text") or ""))
    said = [one for text in texts for one in amounts_in(text) if one.kind == "money" and one.value == amount]
    currency = next((one.currency for one in said if one.currency), "BRL")
    amount_was_named(turn, currency, amount=amount)
    return Money(amount, currency)


# --- tasks ----------------------------------------------------------------------------------------


class TaskArgs(ToolArgs):
    targets = ("record", "finish")

    title: Annotated[str | None, Field(max_length=300, description="Of a new task: what is to be done.")] = None
    due: DueArg = None
    record: Annotated[str | None, Field(max_length=200, description="Whom it is about: contact, company or deal.")] = (
        None
    )
    owner: OptionalText = None
    finish: Annotated[str | None, Field(max_length=300, description="A task that is done: title, id or number.")] = None


@tool(effect=Effect.DRAFT, area="crm")
async def crm_task(ctx: ToolContext, args: TaskArgs) -> CrmTaskResult:
    """Add a task (`title`, `due`), or say that one is done (`finish`), at once. Nobody is notified when it is due."""
    crm, who = crm_of(ctx), ctx.turn.identity
    if args.finish:
        target = await meant(ctx, args.finish, TASKS)
        known = next(one for one in await crm.tasks(who, done=None, limit=1_000) if one.id == target.id)
        task = await crm.finish_task(who, target.id)
        did = "unchanged" if known.done_at else "finished"
        return CrmTaskResult(did=did, task=(await _task_rows(ctx, [task], await crm.team(who)))[0])
    if not args.title:
        raise ArgumentsWrong("crm_task_what", "say what is to be done")
    of: dict[str, Any] = {}
    if args.record:
        target = await meant(ctx, args.record, ANY)
        of[f"{target.kind}_id"] = target.id
    due = find_due(args.due, now=ctx.turn.now, time_zone=who.time_zone) if args.due else None
    if args.due and due is None:
        raise ArgumentsWrong("crm_due_unclear", f"{args.due!r} names no day", said=args.due)
    owner = (await member_meant(ctx, args.owner))[0] if args.owner else None
    for known in await crm.tasks(who, owner_id=owner or who.user_id, limit=1_000, **of):
        if folded(known.title) == folded(args.title) and known.due_at == (due.at if due else None):
            return CrmTaskResult(did="unchanged", task=(await _task_rows(ctx, [known], await crm.team(who)))[0])
    task = await crm.add_task(who, args.title, due_at=due.at if due else None, owner_id=owner, **of)
    row = (await _task_rows(ctx, [task], await crm.team(who)))[0]
    return CrmTaskResult(did="added", task=row, timed=due is None or due.timed)


# --- notes, tags, owners --------------------------------------------------------------------------


class MarkArgs(ToolArgs):
    targets = ("record",)

    record: RecordArg
    note: Annotated[str | None, Field(max_length=5_000, description="What happened, in the user's words.")] = None
    note_kind: Literal["note", "call", "meeting", "message", "email"] = "note"
    add_tags: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)
    remove_tags: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)
    owner: Annotated[str | None, Field(max_length=100, description='Colleague, "eu", or "ninguém".')] = None


@tool(effect=Effect.DRAFT, area="crm")
async def crm_mark(ctx: ToolContext, args: MarkArgs) -> CrmDoneResult:
    """Write a note (or that a call, meeting, message or e-mail took place) on a contact, company or deal, tag or untag
    it, give it to somebody, at once."""
    crm, who = crm_of(ctx), ctx.turn.identity
    target = await meant(ctx, args.record, ANY)
    of: dict[str, Any] = {f"{target.kind}_id": target.id}
    did: list[str] = []
    data: dict[str, Any] = {}
    # What may be refused goes first, and the note last: it is the one thing that a repeated call would write twice.
    if args.owner:
        owner = (None, None) if folded(args.owner) in _NOBODY else await member_meant(ctx, args.owner)
        await crm.assign(who, target.kind, target.id, owner[0])
        did.append("assigned")
        data["owner"] = owner[1]
    if args.add_tags or args.remove_tags:
        data["tags"] = await _tagged(ctx, target, args.add_tags, args.remove_tags)
        did.insert(0, "tagged")
    if args.note:
        await crm.write_activity(who, args.note_kind, args.note, **of)
        did.insert(0, "noted")
        data |= {"note": args.note, "note_kind": args.note_kind}
    if not did:
        raise ArgumentsWrong("crm_mark_what", "give a note, tags or an owner")
    return CrmDoneResult(did="+".join(did), id=target.id, kind=target.kind, name=target.name, data=data)


async def _tagged(ctx: ToolContext, target: Target, add: Sequence[str], remove: Sequence[str]) -> list[str]:
    crm, who = crm_of(ctx), ctx.turn.identity
    if target.kind != "deal":
        return list(await crm.tag(who, target.subject, target.id, add=add, remove=remove))
    gone = {one.strip().casefold() for one in remove}
    kept = [one for one in (await crm.deal(who, target.id)).tags if one not in gone]
    return list((await crm.change_deal(who, target.id, {"tags": (*kept, *add)})).tags)


# --- merging, privacy -----------------------------------------------------------------------------


class MergeArgs(ToolArgs):
    targets = ("records",)

    records: Annotated[list[str], Field(min_length=1, max_length=2, description="The two; the first is kept.")]
    undo: Annotated[bool, Field(description="Part again what was merged last into the one record.")] = False


@tool(effect=Effect.DRAFT, area="crm")
async def crm_merge(ctx: ToolContext, args: MergeArgs) -> CrmDoneResult:
    """Make two records of the same person or company one, at once; or undo the last merge of a record. One name that
    exactly two records have is enough."""
    crm, who = crm_of(ctx), ctx.turn.identity
    if args.undo:
        target = await meant(ctx, args.records[0])
        done = next((one for one in await crm.merges(who, target.subject, target.id) if one.undone_at is None), None)
        if done is None:
            raise Refused("crm_nothing_merged", f"nothing was merged into {target.name!r}", name=target.name)
        await crm.undo_merge(who, done.id)
        return CrmDoneResult(did="unmerged", id=target.id, kind=target.kind, name=target.name)
    kept, other = await _two(ctx, args.records)
    if kept.kind != other.kind:
        raise ArgumentsWrong(
            "crm_merge_kinds", "a contact and a company cannot be merged", one=kept.name, other=other.name
        )
    await crm.merge(who, kept.subject, kept.id, other.id)
    return CrmDoneResult(did="merged", id=kept.id, kind=kept.kind, name=kept.name, data={"other": other.name})


async def _two(ctx: ToolContext, mentions: Sequence[str]) -> tuple[Target, Target]:
    if len(mentions) == 2 and folded(mentions[0]) != folded(mentions[1]):
        return await meant(ctx, mentions[0]), await meant(ctx, mentions[1])
    try:
        only = await meant(ctx, mentions[0])
    except ArgumentsWrong as error:
        both = error.params.get("candidates", [])
        if error.code != "crm_ambiguous" or len(both) != 2:
            raise
        older, newer = sorted(both, key=lambda one: one["id"].partition("_")[2])
        return Target(older["kind"], older["id"], older["name"]), Target(newer["kind"], newer["id"], newer["name"])
    raise ArgumentsWrong("crm_merge_with", f"with whom shall {only.name!r} be merged?", name=only.name)


class DoNotContactArgs(ToolArgs):
    targets = ("record",)

    record: RecordArg
    words: Annotated[str | None, Field(max_length=500, description="What they said, or how it is known.")] = None
    undo: Annotated[bool, Field(description="The person asked to be contacted again.")] = False


@tool(effect=Effect.DRAFT, area="crm")
async def crm_do_not_contact(ctx: ToolContext, args: DoNotContactArgs) -> CrmDoneResult:
    """Nobody here may write to or call this contact, company, phone or e-mail any more (opt-out), at once; or, with
    `undo`, may again."""
    crm, who = crm_of(ctx), ctx.turn.identity
    words = (args.words or ctx.turn.text).strip()
    if args.undo:
        crm.must_be_allowed_to_unblock(who)  # also where the list has no key of theirs, and the ledger alone stops them
        if not words:
            raise ArgumentsWrong("crm_undo_words", "what did they say? It is kept with their opt-out")
    books = ctx.service(DoNotContact)
    try:
        target = await meant(ctx, args.record)
    except ArgumentsWrong as error:
        keys = [one for one in keys_said(args.record) if key(*one)]
        if error.code != "crm_nobody" or not keys:
            raise
        for kind, given in keys:  # nobody here has it, and nobody shall bring it in for a campaign
            if args.undo:
                await crm.unblock(who, kind, given)
            else:
                await crm.block(who, kind, given, reason=BlockReason.ASKED)
        if args.undo:
            await books.resume(who.tenant_id, keys, None, words, ctx.turn.now)
        did = "unblocked" if args.undo else "blocked"
        return CrmDoneResult(did=did, id="", kind="contact", name=args.record)
    record = await _record(ctx, target)
    reachable = [(one.kind, one.given) for one in record.keys if one.kind in REACHABLE]
    if args.undo:
        for kind, given in reachable:
            await crm.unblock(who, kind, given)
        contact_id = target.id if isinstance(record, Contact) else None
        await books.resume(who.tenant_id, reachable, contact_id, words, ctx.turn.now)
    elif isinstance(record, Contact):
        await crm.opt_out(who, target.id, words=words)
    else:
        for kind, given in reachable:
            await crm.block(who, kind, given, reason=BlockReason.ASKED)
    did = "unblocked" if args.undo else "blocked"
    told = [given for kind, given in reachable if kind not in _UNREADABLE]
    return CrmDoneResult(did=did, id=target.id, kind=target.kind, name=target.name, data={"keys": told})


class EraseArgs(ToolArgs):
    record: RecordArg
    keep_out: Annotated[bool, Field(description="Also never contact them again, whoever brings them.")] = True


@tool(effect=Effect.WRITE, area="crm")
async def crm_erase(ctx: ToolContext, args: EraseArgs) -> ProposedChange:
    """Propose to erase a contact or company and all that was written about it, for ever (LGPD). It only makes a
    proposal: a person approves it with a button. Only when the user asks to erase or forget somebody."""
    target = await meant(ctx, args.record)
    change = await plan_erase(crm_of(ctx), ctx.turn.identity, target.subject, target.id, keep_out=args.keep_out)
    return ProposedChange(change=change)


# --- the house's own fields and stages, lists -----------------------------------------------------


class SetupArgs(ToolArgs):
    stages: Annotated[
        list[str],
        Field(
            max_length=30, description='All stages in order; "Old -> New" renames; "won: X", "lost: Y" for new ends.'
        ),
    ] = Field(default_factory=list)
    field: Annotated[str | None, Field(max_length=100, description="Label of an own field to add.")] = None
    field_of: Literal["contact", "company", "deal"] = "contact"
    field_type: Literal["text", "number", "date", "yes_no", "choice"] = "text"
    choices: Annotated[list[str], Field(max_length=50)] = Field(default_factory=list)


@tool(effect=Effect.DRAFT, area="crm")
async def crm_setup(ctx: ToolContext, args: SetupArgs) -> CrmSetupResult:
    """Set the stages of the pipeline, or add an own field to contacts, companies or deals, at once. Without arguments
    it tells those there are. A stage that has deals cannot be removed."""
    crm, who = crm_of(ctx), ctx.turn.identity
    if args.stages:
        await crm.set_stages(who, _stages_said(args.stages, await crm.stages(who)))
    if args.field:
        name = re.sub(r"[^a-z0-9]+", "_", folded(args.field)).strip("_")[:40]
        custom = CustomField(args.field_of, name, args.field, FieldType(args.field_type), tuple(args.choices))
        await crm.define_field(who, custom)
    fields = [one for subject in ("contact", "company", "deal") for one in await crm.fields(who, subject)]
    return CrmSetupResult(
        stages=[(stage.name, stage.kind.value) for stage in await crm.stages(who)],
        fields=[(one.subject, one.label, one.type.value) for one in fields],
    )


def _stages_said(said: Sequence[str], known: Sequence[Stage]) -> list[tuple[str | None, str, StageKind]]:
    """As `set_stages` takes them: a name that is known keeps its stage, "Old -> New" renames it."""
    by_name = {folded(stage.name): stage for stage in known}
    stages: list[tuple[str | None, str, StageKind]] = []
    for text in said:
        ends = re.match(r"\s*(won|lost|ganho|perda|perdido|ganado|open)\s*:\s*(.+)", text, re.I)
        kind = StageKind.OPEN
        if ends:
            kind = {"won": StageKind.WON, "gan": StageKind.WON, "ope": StageKind.OPEN}.get(
                ends[1].casefold()[:3], StageKind.LOST
            )
            text = ends[2]
        old, _, new = (part.strip() for part in re.sub(r"→", "->", text).partition("->"))
        stage = by_name.get(folded(old))
        stages.append((stage.id, new or old, stage.kind) if stage else (None, new or old, kind))
    return stages


class ImportArgs(ToolArgs):
    preview: Annotated[bool, Field(description="Only show what would become of the lines.")] = False
    columns: Annotated[
        list[str], Field(max_length=40, description="Corrections: header=field; empty field leaves out.")
    ] = Field(default_factory=list)
    purpose: OptionalText = None
    tags: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)


@tool(effect=Effect.DRAFT, area="crm")
async def crm_import(ctx: ToolContext, args: ImportArgs) -> CrmImportResult:
    """Bring in the list of contacts or companies that the user attached and has seen the preview of. Only when they say
    so; a long one goes on in the background and is announced."""
    imports, who, pending = ctx.service(CrmImports), ctx.turn.identity, ctx.turn.session.get(PENDING_IMPORT)
    if not pending:
        raise ArgumentsWrong("crm_import_no_file", "no list was attached in this conversation")
    columns = dict(pending.get("columns") or {})
    for part in args.columns:
        header, _, name = part.partition("=")
        columns[header.strip()] = name.strip()
    if args.preview:
        preview = await imports.preview(who, pending["file_id"], columns=columns or None)
        return previewed(preview, pending["name"], preview.columns)
    _was_said(ctx.turn, [one for one in (args.purpose, *args.tags) if one])
    started = await imports.start(
        who, pending["file_id"], columns=columns or None, purpose=args.purpose, tags=tuple(args.tags)
    )
    done, running = await _followed(ctx, imports, started.id, pending["name"])
    return imported(done, running=running)


async def _followed(ctx: ToolContext, imports: CrmImports, import_id: str, name: str) -> tuple[Any, bool]:
    """Read it here and now, which is what its job would do; after a while leave it to go on in the background."""
    tenant_id, loop = ctx.turn.identity.tenant_id, asyncio.get_running_loop()
    reading = asyncio.ensure_future(imports.run(tenant_id, import_id))
    _running.add(reading)
    reading.add_done_callback(_over)
    deadline, told = loop.time() + _WAIT, 0
    try:
        while not reading.done() and (left := deadline - loop.time()) > 0:
            await asyncio.wait({reading}, timeout=min(_LOOK, left))
            rows = 0 if reading.done() else (await imports.get(tenant_id, import_id)).rows
            if rows > told:
                ctx.tell(f"{name}: {rows}")
                told = rows
    except asyncio.CancelledError:  # the turn was stopped, the list is read all the same
        await asyncio.shield(imports.announce_in(tenant_id, import_id, ctx.turn.conversation_id))
        raise
    if reading.done():
        return reading.result(), False
    now = await imports.announce_in(tenant_id, import_id, ctx.turn.conversation_id)
    return now, now.state not in ("done", "failed")


_running: set["asyncio.Future[Any]"] = set()


def _over(reading: "asyncio.Future[Any]") -> None:
    """The event loop holds tasks weakly. One that failed is left to its job, which runs it again."""
    _running.discard(reading)
    if not reading.cancelled():
        reading.exception()


# --- what several tools need ----------------------------------------------------------------------


async def _record(ctx: ToolContext, target: Target) -> Contact | Company:
    crm, who = crm_of(ctx), ctx.turn.identity
    if target.kind == "contact":
        return await crm.contact(who, target.id)
    return await crm.company(who, target.id)


async def _deal_row(ctx: ToolContext, deal: Deal) -> DealRow:
    crm, who = crm_of(ctx), ctx.turn.identity
    faces = await crm.faces(who, [deal])
    return deal_row(1, deal, faces.get(deal.id), await crm.team(who))


async def _task_rows(ctx: ToolContext, tasks: Sequence[Task], team: Mapping[str, str]) -> list[TaskRow]:
    crm, who = crm_of(ctx), ctx.turn.identity
    names: dict[str, str] = {}
    for task in tasks:
        for kind, record_id in (("contact", task.contact_id), ("company", task.company_id), ("deal", task.deal_id)):
            if record_id is None or record_id in names:
                continue
            try:
                if kind == "deal":
                    names[record_id] = (await crm.deal(who, record_id)).title
                else:
                    names[record_id] = called(await _record(ctx, Target(kind, record_id, "")))  # type: ignore[arg-type]
            except MutiraoError:
                continue  # a colleague's: the task is the asker's, whom it is about is not
    rows = []
    for n, task in enumerate(tasks, 1):
        of = next((names[one] for one in (task.contact_id, task.company_id, task.deal_id) if one in names), None)
        rows.append(task_row(n, task, of, team, ctx.turn.now, who.time_zone))
    return rows


def _was_said(turn: Turn, values: Iterable[str]) -> None:
    """Pass when each word of the values stands in what the user wrote in this conversation, or was told by a tool.

    ArgumentsWrong("crm_not_said", value). Through MCP the client's own argument is what was said.
    """
    if turn.door == "mcp" and not turn.text:
        return
    texts = [turn.text, str(turn.session.get("last_text") or "")]
    texts += [text for role, text in turn.session.get("history", []) if role == "user"]
    words = {word for text in texts for word in folded(text).split()}
    numbers = [number for text in texts for number in _numbers(text)]
    for value in values:
        unsaid = [word for word in folded(value).split() if word not in words and not word.isdigit()]
        if unsaid or not all(any(one in number for number in numbers) for one in _numbers(value)):
            raise ArgumentsWrong(
                "crm_not_said", f"the user did not say {value!r}: leave it out, or ask", value=value[:80]
            )


def _numbers(text: str) -> list[str]:
    """The digits of each number of a text, written with what numbers are written with: "19 98811 e sala 2233" has
    two."""
    return [re.sub(r"\D", "", run) for run in re.findall(r"\d(?:[^\S\n]|[\d().\-–/])*", text)]


def _day_said(ctx: ToolContext, text: str | None) -> date | None:
    if not text:
        return None
    due = find_due(text, now=ctx.turn.now, time_zone=ctx.turn.identity.time_zone)
    if due is None:
        raise ArgumentsWrong("crm_due_unclear", f"{text!r} names no day", said=text)
    return _local(due.at, ctx.turn.identity.time_zone).date()


def _end_of_day(at: datetime, zone: str) -> datetime:
    return _local(at, zone).replace(hour=23, minute=59, second=59)


def _local(at: datetime, zone: str) -> datetime:

    return at.astimezone(ZoneInfo(zone))


CRM_TOOLS = [
    crm_search,
    crm_record,
    crm_board,
    crm_tasks,
    crm_export,
    crm_save,
    crm_deal,
    crm_task,
    crm_mark,
    crm_merge,
    crm_do_not_contact,
    crm_erase,
    crm_setup,
    crm_import,
]
