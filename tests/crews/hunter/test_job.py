"""A search in the background: what it saves, that it saves and says it once, and that no crash loses any of it."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, ContactData, Source, StageKind, Subject
from business.crm.privacy import BlockReason
from business.prospecting.lines import Line
from business.prospecting.quota import MonthUse
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, CandidateState, Cost, Progress, State
from core.errors import Refused, Unavailable
from core.tenancy import Role
from crews.hunter.ending import ending
from crews.hunter.job import GIVE_UP, NOBODY_TRIED, QUEUED
from integrations.sandbox_companies import by_cnpj
from tests.crews.hunter.conftest import Desk
from tests.integrations.sandbox import Control

FEW = "ache 4 escritórios de arquitetura em Campinas com mais de 3 anos"
TALK = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"
BROUGHT = Source("import", "lista.csv, 3")
OTHER_CNPJ = "11222333000181"


async def events(desk: Desk, kind: str) -> list[str]:
    async with desk.db.tenant(desk.who.tenant_id) as conn:
        rows = await conn.execute("SELECT subject_id FROM crm_events WHERE kind = %s ORDER BY seq", [kind])
        return [row["subject_id"] for row in await rows.fetchall()]


async def test_the_sentence_brings_twenty_true_companies_into_the_crm_once_and_then_the_next_ones(desk: Desk) -> None:
    conversation = await desk.conversation()
    done = await desk.hunted(TALK, conversation)
    assert (done.state, done.ended, done.progress.qualified) == (State.DONE, "enough", 20)
    saved = [one for one in await desk.found(done) if one.state is CandidateState.SAVED]
    assert len(saved) == 20 and {one.verdict for one in saved} == {Verdict.QUALIFIED}
    first_stage = (await desk.crm.stages(desk.who))[0]
    told_by: set[str] = set()
    for one in saved:
        truth = by_cnpj()[str(one.cnpj)]
        assert (truth.cnae, truth.city.name, truth.active, truth.head_office) == (7111100, "Campinas", True, True)
        assert truth.opened < date(2023, 11, 20)
        company = await desk.crm.company(desk.who, str(one.company_id))
        assert (company.cnpj, company.main_cnae, company.city) == (one.cnpj, "7111100", "Campinas")
        assert (company.opened_on, company.owner_id) == (truth.opened, desk.who.user_id)
        assert "prospecção" in company.tags and "LGPD" in str(company.purpose) and one.outcome == "created"
        # Every field says where it is from and when; what map and website told, too.
        for name, fact in company.facts.items():
            assert fact.reference.startswith("http") and fact.at == desk.clock.now(), name
        assert company.facts["opened_on"].reference.endswith(f"/{one.cnpj}")
        for key in company.keys:
            assert key.reference.startswith("http")
            told_by.add(key.source)
        [deal] = await desk.crm.deals(desk.who, company_id=company.id)
        assert (deal.stage.id, deal.owner_id) == (first_stage.id, desk.who.user_id)
        line = await desk.crm.timeline(desk.who, company_id=company.id)
        assert [entry.data["score"] for entry in line if entry.kind == "qualified"] == [one.score]
    assert {"registry", "map", "website"} <= told_by
    assert len(await events(desk, "LeadQualified")) == len(await events(desk, "DealOpened")) == 20
    # Its end is told once, with what it cost.
    await desk.hunts.run(desk.who.tenant_id, done.id)
    [told] = await desk.said_in(conversation)
    assert "20 qualificadas (20 novas no CRM)" in told and "Ficaram de fora" in told and "não estão ativas" in told
    month = await desk.hunts.month(desk.who)
    (vendor, searches), *_ = done.cost.searches.items()
    assert searches > 0 and f"{searches} pesquisas na web ({vendor}; no mês {searches} de 250)" in told
    assert month.used == dict(done.cost.searches)

    again = await desk.hunted(TALK, conversation)
    assert again.progress.qualified == 20
    both = [str(one.cnpj) for search in (done, again) for one in await desk.found(search)]
    assert len(both) == len(set(both))
    assert len(await events(desk, "LeadQualified")) == 40 and len(await desk.said_in(conversation)) == 2


async def test_two_runs_at_once_save_and_say_everything_once(desk: Desk) -> None:
    desk.without_web()
    conversation = await desk.conversation()
    search = await desk.start(FEW, conversation)
    await asyncio.gather(*(hunts.run(desk.who.tenant_id, search.id) for hunts in (desk.hunts, desk.another())))
    found = await desk.found(search)
    # One of them worked; a candidate that both save at once is one company with one deal, too.
    (one, *_) = [each for each in found if each.state is CandidateState.SAVED]
    fresh = await desk.searches.mark(desk.who, one.id, CandidateState.NEW)
    await asyncio.gather(*(desk.hunts.leads.save(desk.who, search, fresh) for _ in range(4)))
    assert len(await desk.crm.deals(desk.who, company_id=one.company_id)) == 1
    assert len(await events(desk, "LeadQualified")) == len(await events(desk, "DealOpened")) == 4
    assert len(await desk.said_in(conversation)) == 1


async def test_what_the_crm_knew_before_is_joined_and_stays_whose_it_was(desk: Desk) -> None:
    desk.without_web()
    seller = desk.tenants.one[Role.COMERCIAL]
    known, customer, person, *_ = (
        one
        for one in by_cnpj().values()
        if (one.cnae, one.city.name) == (7111100, "Campinas")
        and one.active
        and one.head_office
        and one.opened < date(2023, 11, 20)
    )
    mine = await desk.crm.upsert_company(
        desk.who,
        CompanyData(
            source=BROUGHT, trade_name=known.trade_name or known.legal_name, purpose="feira de 2025",
            keys=((KeyKind.CNPJ, known.cnpj),), owner_id=seller.user_id,
        ),
    )  # fmt: skip
    won = await desk.crm.upsert_company(desk.who, CompanyData(source=BROUGHT, keys=((KeyKind.CNPJ, customer.cnpj),)))
    stages = await desk.crm.stages(desk.who)
    bought = next(stage for stage in stages if stage.kind is StageKind.WON)
    await desk.crm.create_deal(desk.who, "site novo", company_id=won.id, stage_id=bought.id)
    ana = await desk.crm.upsert_contact(
        desk.who, ContactData(source=BROUGHT, name="Ana Lima", keys=((KeyKind.CNPJ, person.cnpj),))
    )
    done = await desk.hunted(FEW.replace("4", "90"))
    everybody = {str(one.cnpj): one for one in await desk.found(done)}

    assert (everybody[known.cnpj].company_id, everybody[known.cnpj].outcome) == (mine.id, "updated")
    joined = await desk.crm.company(desk.who, str(mine.id))
    assert (joined.owner_id, joined.purpose, joined.main_cnae) == (seller.user_id, "feira de 2025", "7111100")
    # A customer that was won gets no new deal, and the person is told so.
    assert everybody[customer.cnpj].company_id == won.id
    assert [deal.stage.kind for deal in await desk.crm.deals(desk.who, company_id=won.id)] == [StageKind.WON]
    note = everybody[customer.cnpj].note
    assert note is not None and note.key == "lead.note.customer"
    # A contact that was brought before belongs to the company now.
    assert (await desk.crm.contact(desk.who, str(ana.id))).company_id == everybody[person.cnpj].company_id


async def test_who_asked_not_to_be_contacted_is_not_saved_and_what_is_unclear_waits_for_a_person(desk: Desk) -> None:
    desk.without_web()
    first = await desk.hunted(FEW)  # what there is to be found, seen by another tenant's eyes
    assert first.progress.qualified == 4
    other = desk.tenants.other[Role.DIRETOR]
    out, unclear, *_ = [one for one in await desk.found(first) if one.state is CandidateState.SAVED]
    phone = next(str(piece.value) for piece in out.evidence if piece.kind == "phone")
    await desk.crm.block(other, KeyKind.PHONE, phone, reason=BlockReason.OPTED_OUT)
    # A card with its name and its telephone under another CNPJ: whether it is the same, only a person knows.
    phones = tuple((KeyKind.PHONE, str(one.value)) for one in unclear.evidence if one.kind == "phone")
    card = CompanyData(BROUGHT, trade_name=unclear.name, city="Campinas", keys=(*phones, (KeyKind.CNPJ, OTHER_CNPJ)))
    await desk.crm.upsert_company(other, card)
    theirs = await desk.hunts.start(other, None, FEW, desk.profile(FEW), "pt-BR")
    await desk.hunts.run(other.tenant_id, theirs.id)
    found = {str(one.cnpj): one for one in await desk.searches.candidates(other, theirs.id)}
    blocked, waits = found[str(out.cnpj)], found[str(unclear.cnpj)]
    assert blocked.state is CandidateState.REJECTED and blocked.company_id is None
    assert blocked.note is not None and blocked.note.key == "lead.note.blocked"
    assert await desk.crm.companies_with(other, KeyKind.CNPJ, str(out.cnpj)) == []
    assert waits.state is CandidateState.NEW and waits.company_id is None
    assert waits.note is not None and waits.note.key == "lead.note.ambiguous"
    # A person who was told which it may be, and has it saved, says that it is another one.
    saved, _ = await desk.hunts.decide(other, waits.id, "save")
    assert (saved.state, saved.outcome, saved.note) == (CandidateState.SAVED, "created", None)
    assert len(await desk.crm.companies_with(other, KeyKind.CNPJ, str(unclear.cnpj))) == 1


async def test_a_registry_that_is_away_leaves_the_search_to_be_revived_and_a_day_of_it_ends_it(
    desk: Desk, registry_control: Control
) -> None:
    desk.without_web()
    conversation = await desk.conversation()
    search = await desk.start(FEW, conversation)
    registry_control.fail("html", status=503, times=50)
    with pytest.raises(Unavailable):
        await desk.hunts.run(desk.who.tenant_id, search.id)
    await desk.hunts.revive(desk.who.tenant_id)
    assert await queued(desk, search.id) == 1  # not twice within a minute
    desk.clock.advance(QUEUED)
    await asyncio.gather(desk.hunts.revive(desk.who.tenant_id), desk.another().revive(desk.who.tenant_id))
    assert await queued(desk, search.id) == 2
    desk.clock.advance(GIVE_UP)  # the machine was off: nobody tried
    await desk.hunts.revive(desk.who.tenant_id)
    assert (await desk.searches.get(desk.who, search.id)).state is State.RUNNING
    for _ in range(30):
        desk.clock.advance(NOBODY_TRIED - timedelta(minutes=10))
        await desk.hunts.revive(desk.who.tenant_id)
    await desk.hunts.run(desk.who.tenant_id, search.id)
    assert (await desk.searches.get(desk.who, search.id)).state is State.FAILED
    [told] = await desk.said_in(conversation)
    assert "parou antes do fim" in told and "Repita a frase mais tarde" in told


async def queued(desk: Desk, search_id: str) -> int:
    async with desk.db.system() as conn:
        query = "SELECT count(*) AS n FROM procrastinate_jobs WHERE args ->> 'search_id' = %s"
        row = await (await conn.execute(query, [search_id])).fetchone()
    assert row is not None
    return int(row["n"])


async def test_who_follows_sees_each_company_and_tells_the_end_which_is_then_not_announced(desk: Desk) -> None:
    desk.without_web()
    conversation = await desk.conversation()
    search = await desk.start(FEW, conversation)
    seen: list[Candidate] = []
    done = await desk.hunts.follow(desk.who, search.id, 30, seen.append)  # no worker here: it does the work itself
    assert done.state is State.DONE and [one.id for one in seen] == sorted(one.id for one in await desk.found(done))
    await desk.hunts.run(desk.who.tenant_id, search.id)
    desk.clock.advance(timedelta(minutes=10))
    await desk.hunts.revive(desk.who.tenant_id)
    assert await desk.said_in(conversation) == [] and await queued(desk, search.id) == 1
    with pytest.raises(Refused):
        await desk.hunts.follow(desk.tenants.other[Role.DIRETOR], search.id, 1, seen.append)


async def test_a_search_that_outlives_its_turn_is_announced_and_one_whose_follower_died_as_well(desk: Desk) -> None:
    desk.without_web()
    conversation = await desk.conversation()
    search = await desk.start(FEW, conversation)
    left = await desk.hunts.follow(desk.who, search.id, 0, lambda _: None)
    assert left.state is State.RUNNING
    await desk.hunts.run(desk.who.tenant_id, search.id)
    assert len(await desk.said_in(conversation)) == 1

    second = await desk.start(FEW, conversation)

    def gone(_: Candidate) -> None:  # the person pressed stop before the end was shown
        raise asyncio.CancelledError

    following = asyncio.create_task(desk.hunts.follow(desk.who, second.id, 60, gone))
    await asyncio.gather(desk.hunts.run(desk.who.tenant_id, second.id), following, return_exceptions=True)
    assert following.cancelled()
    assert (await desk.searches.get(desk.who, second.id)).state is State.DONE
    desk.clock.advance(QUEUED)
    await desk.hunts.revive(desk.who.tenant_id)
    await desk.hunts.run(desk.who.tenant_id, second.id)
    assert len(await desk.said_in(conversation)) == 2


async def test_a_pause_halts_and_going_on_ends_the_search_by_a_worker(desk: Desk) -> None:
    desk.without_web()
    conversation = await desk.conversation()
    search = await desk.start(FEW, conversation)
    assert (await desk.hunts.pause(desk.who, search.id)).state is State.PAUSED
    await desk.hunts.run(desk.who.tenant_id, search.id)
    assert await desk.found(search) == [] and await desk.said_in(conversation) == []
    seller = desk.tenants.one[Role.COMERCIAL]
    with pytest.raises(Refused):
        await desk.hunts.resume(seller, search.id)
    assert (await desk.hunts.resume(desk.who, search.id)).state is State.RUNNING
    stop = asyncio.Event()
    worker = asyncio.create_task(desk.jobs.run_worker(stop))
    said: list[str] = []
    try:
        async with asyncio.timeout(30):
            while not said:
                await asyncio.sleep(0.05)
                said = await desk.said_in(conversation)
    finally:
        stop.set()
        await worker
    assert (await desk.searches.get(desk.who, search.id)).ended == "enough" and len(said) == 1


async def test_a_person_decides_on_a_candidate(desk: Desk) -> None:
    desk.without_web()
    done = await desk.hunted("ache 1 escritório de arquitetura em Campinas com Instagram")
    waiting, other, *_ = [one for one in await desk.found(done) if one.verdict is Verdict.PERSON]
    saved, _ = await desk.hunts.decide(desk.who, waiting.id, "save")
    assert saved.state is CandidateState.SAVED
    assert (await desk.crm.company(desk.who, str(saved.company_id))).cnpj == waiting.cnpj
    rejected, _ = await desk.hunts.decide(desk.who, other.id, "reject")
    assert rejected.state is CandidateState.REJECTED and rejected.note is not None
    _, lines = await desk.hunts.decide(desk.who, waiting.id, "lost")
    assert {line.key.rpartition(".")[0] for line in lines} == {"prospecting.lesson", "lead.note"}
    [deal] = await desk.crm.deals(desk.who, company_id=saved.company_id)
    assert deal.stage.kind is StageKind.LOST
    # It was won after all, by hand and on the board: the next search learns it.
    won = next(stage for stage in await desk.crm.stages(desk.who) if stage.kind is StageKind.WON)
    await desk.crm.move_deal(desk.who, deal.id, won.id)
    await desk.hunts.hear(desk.who.tenant_id)
    assert {line.key for line in await desk.searches.learnt(desk.who)} == {"prospecting.lesson.more"}
    with pytest.raises(Refused):
        await desk.hunts.decide(desk.tenants.one[Role.COMERCIAL], waiting.id, "save")
    # Erased in the CRM, it is forgotten here, and not found again.
    await desk.crm.erase(desk.who, Subject.COMPANY, str(saved.company_id))
    await desk.hunts.hear(desk.who.tenant_id)
    assert await desk.searches.learnt(desk.who) == []
    gone = await desk.searches.candidate(desk.who, saved.id)
    assert gone.cnpj is None and gone.company_id is None
    third = next(one for one in await desk.found(done) if one.state is CandidateState.NEW)
    third, _ = await desk.hunts.decide(desk.who, third.id, "save")
    assert await desk.hunts.leads.forget(desk.who, third.id) and not await desk.hunts.leads.forget(desk.who, third.id)
    with pytest.raises(Refused):
        await desk.crm.company(desk.who, str(third.company_id))


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
async def test_an_end_reads_whole_in_each_language_whatever_happened(desk: Desk, language: str) -> None:
    desk.without_web()
    search = await desk.hunts.start(desk.who, None, TALK, desk.profile(FEW), language)
    await desk.hunts.run(desk.who.tenant_id, search.id)
    done, found = await desk.searches.get(desk.who, search.id), await desk.found(search)
    note = Line("lead.note.ambiguous", {"names": ["Ipê", "Jatobá"], "why": [Line("crm.rule.registrations_differ")]})
    blocked = {"what": Line("lead.key.phone"), "reason": Line("lead.blocked.asked"), "since": date(2026, 1, 2)}
    found[0] = replace(found[0], state=CandidateState.NEW, outcome=None, note=note, name="Casa | Pinho")
    found[1] = replace(found[1], state=CandidateState.REJECTED, note=Line("lead.note.blocked", blocked))
    progress = replace(done.progress, duplicates=2, lookups_failed=3, left_out={"too_young": 1200})
    cost = Cost(3, {"Brave": 2, "SerpAPI": 40}, 12, 5, Decimal("0.0312"))
    month = MonthUse(date(2026, 11, 1), {"SerpAPI": 90, "Brave": 2}, 250)
    endings = (
        replace(done, progress=progress, cost=cost),
        replace(done, progress=replace(progress, web_off="web_search_month_over", left_out={})),
        replace(done, state=State.FAILED, ended="prospect_no_further", progress=Progress()),
        replace(done, state=State.FAILED, ended="registry_refused"),
        replace(done, state=State.FAILED, ended="something_new"),
    )
    for one in endings:
        told = ending(desk.texts, one, found if one.progress.kept else [], month)
        assert "{" not in told and "None" not in told and "Line(" not in told and TALK in told
    first = ending(desk.texts, endings[0], found, month)
    assert "| Casa / Pinho |" in first and "90" in first and "0,03" in first.replace(".", ",")


class BrokenScouts:
    """A part with a bug."""

    async def look(self, *_: object) -> Any:
        raise RuntimeError("a bug")


async def test_a_bug_ends_the_search_once_with_what_it_found_kept_and_a_calm_word(desk: Desk) -> None:
    desk.without_web()
    conversation = await desk.conversation()
    search = await desk.start(FEW, conversation)
    hunts = desk.another(scouts=BrokenScouts())
    with capture_logs() as logs:
        await hunts.run(desk.who.tenant_id, search.id)
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["hunt_failed"]
    assert (await desk.searches.get(desk.who, search.id)).ended == "prospect_bug"
    [told] = await desk.said_in(conversation)
    assert "um erro meu" in told and "RuntimeError" not in told
    assert (await desk.hunted(FEW)).progress.qualified == 4  # nothing was lost
