"""Who may see and change searches, what a tenant keeps apart, and what is erased."""

import asyncio
from datetime import datetime, timedelta

import psycopg
import pytest

from business.prospecting.finding import find
from business.prospecting.lessons import Said
from business.prospecting.model import IdealCustomer
from business.prospecting.rules import default_rules, default_text
from business.prospecting.searches import AGAIN_AFTER, CandidateState, Searches
from business.prospecting.work import Work
from core.clock import SystemClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.permissions import Permissions
from core.tenancy import Identity, Role
from tests.business.prospecting.conftest import Desk

FEW = "ache 2 escritórios de arquitetura em Campinas com mais de 3 anos"


async def test_a_search_needs_an_activity_and_a_place(desk: Desk) -> None:
    with pytest.raises(ArgumentsWrong) as caught:
        await desk.searches.start(desk.tenants.one[Role.DIRETOR], "preciso de clientes", IdealCustomer())
    assert caught.value.code == "prospect_profile_open"


async def test_another_tenant_sees_changes_and_learns_nothing(desk: Desk, owner_dsn: str) -> None:
    done = await desk.asked(FEW)
    mine, stranger = desk.tenants.one[Role.DIRETOR], desk.tenants.other[Role.ADMIN]
    candidate = (await desk.searches.candidates(mine, done.id))[0]
    assert candidate.cnpj is not None
    await desk.searches.say(mine, candidate.id, Said.WON)
    await desk.searches.set_rules(mine, default_text().replace("version: 1", "version: 2"))

    async def tried(who: Identity) -> list[str]:
        codes = []
        for call in (
            desk.searches.get(who, done.id),
            desk.searches.candidates(who, done.id),
            desk.searches.candidate(who, candidate.id),
            desk.searches.pause(who, done.id),
            desk.searches.resume(who, done.id),
            desk.searches.mark(who, candidate.id, CandidateState.SAVED),
            desk.searches.say(who, candidate.id, Said.LOST),
            desk.work.take(who.tenant_id, done.id, "w"),
            desk.work.look(who.tenant_id, done.id),
        ):
            with pytest.raises(Refused) as caught:
                await call
            codes.append(caught.value.code)
        return codes

    assert set(await tried(stranger)) == {"prospect_unknown"}
    assert await desk.searches.latest(stranger) == [] and await desk.searches.learnt(stranger) == []
    assert await desk.searches.forget(stranger, candidate.cnpj) is False
    assert (await desk.searches.rules(stranger)).version == default_rules().version
    assert await desk.work.known(stranger.tenant_id, [candidate.cnpj]) == set()
    # The other tenant finds the very same company for itself.
    theirs = await desk.searches.start(stranger, FEW, desk.profile(FEW))
    again = await find(desk.work, stranger.tenant_id, theirs.id, desk.registry, worker="w")
    assert candidate.cnpj in [one.cnpj for one in await desk.searches.candidates(stranger, again.id)]
    with psycopg.connect(owner_dsn) as conn:
        forced = conn.execute(
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'prospect\\_%' AND relkind = 'r'"
            " AND relrowsecurity AND relforcerowsecurity"
        ).fetchone()
    assert forced == (5,)


async def test_a_seller_looks_and_starts_nothing_and_a_client_sees_nothing(desk: Desk) -> None:
    theirs = await desk.asked(FEW)
    seller, client = desk.tenants.one[Role.COMERCIAL], desk.tenants.one[Role.CLIENTE]
    assert [one.id for one in await desk.searches.latest(seller)] == [theirs.id]
    found = (await desk.searches.candidates(seller, theirs.id))[0]
    assert (await desk.searches.candidate(seller, found.id)).cnpj == found.cnpj
    for call in (
        desk.searches.start(seller, FEW, desk.profile(FEW)),
        desk.searches.pause(seller, theirs.id),
        desk.searches.mark(seller, found.id, CandidateState.SAVED),
        desk.searches.say(seller, found.id, Said.WON),
        desk.searches.set_rules(seller, default_text()),
        desk.searches.start(client, FEW, desk.profile(FEW)),
        desk.searches.latest(client),
        desk.searches.candidate(client, found.id),
    ):
        with pytest.raises(Refused) as caught:
            await call
        assert caught.value.code == "prospect_not_allowed"


async def test_an_agent_that_may_only_read_starts_nothing(
    desk: Desk, database: Database, permissions: Permissions
) -> None:
    narrowed = Searches(database, desk.clock, permissions.narrowed(read_only=True))
    with pytest.raises(Refused):
        await narrowed.start(desk.tenants.one[Role.DIRETOR], FEW, desk.profile(FEW))
    assert await narrowed.latest(desk.tenants.one[Role.DIRETOR]) == []


async def test_two_searches_at_once_keep_every_company_once(desk: Desk) -> None:
    both = [
        await desk.start("ache 15 dentistas em Campinas"),
        await desk.start("ache 15 dentistas em Campinas, sem MEI"),
    ]
    await asyncio.gather(*(desk.run(one, worker=one.id) for one in both))
    who = desk.tenants.one[Role.DIRETOR]
    found = [one.cnpj for search in both for one in await desk.searches.candidates(who, search.id)]
    assert len(found) == len(set(found))
    for search in both:
        progress = (await desk.searches.get(who, search.id)).progress
        assert progress.kept + progress.duplicates == len(await desk.searches.candidates(who, search.id))


async def test_a_company_that_was_forgotten_leaves_no_data_and_is_not_found_again(desk: Desk, owner_dsn: str) -> None:
    done, who = await desk.asked(FEW), desk.tenants.one[Role.DIRETOR]
    found = (await desk.searches.candidates(who, done.id))[0]
    assert found.cnpj is not None and found.name is not None
    await desk.searches.say(who, found.id, Said.LOST)
    assert await desk.searches.forget(who, found.cnpj) is True
    assert await desk.searches.forget(who, found.cnpj) is False
    with psycopg.connect(owner_dsn) as conn:
        for table in ("prospect_candidates", "prospect_feedback", "prospect_searches"):
            rows = conn.execute(f"SELECT to_jsonb(t)::text FROM {table} t").fetchall()
            assert not any(found.cnpj in text or found.name in text for (text,) in rows)
        assert conn.execute("SELECT count(*) FROM prospect_feedback").fetchone() == (0,)
    assert await desk.work.known(who.tenant_id, [found.cnpj]) == {found.cnpj}
    gone = await desk.searches.candidate(who, found.id)
    assert (gone.cnpj, gone.evidence, gone.state) == (None, (), CandidateState.REJECTED)


async def test_a_query_that_came_to_its_end_is_walked_again_when_the_registry_has_been_renewed(desk: Desk) -> None:
    sentence = "ache 500 escritórios de arquitetura em Campinas"
    first = await desk.asked(sentence)
    assert first.ended == "plan_end" and first.progress.seen > 60
    assert (await desk.asked(sentence)).progress.seen == 0
    desk.clock.advance(AGAIN_AFTER)
    again = await desk.asked(sentence)
    assert again.progress.kept == 0 and again.progress.left_out["known"] == first.progress.kept


async def test_rules_of_ones_own_count_from_the_next_search_and_wrong_ones_are_refused(desk: Desk) -> None:
    who = desk.tenants.one[Role.DIRETOR]
    strict = default_text().replace("qualified: 70", "qualified: 99")
    rules = await desk.searches.set_rules(who, strict)
    done = await desk.asked(FEW)
    assert done.rules_version == rules.version and done.progress.qualified == 0
    assert (await desk.searches.candidates(who, done.id))[0].rules_version == rules.version
    with pytest.raises(MutiraoError) as caught:
        await desk.searches.set_rules(who, strict.replace("fit: 40", "fit: 41"))
    assert caught.value.code == "score_rules_weights"
    assert (await desk.searches.set_rules(who, None)).version == default_rules().version
    assert (await desk.searches.rules(who)).version == default_rules().version


async def test_a_job_that_gave_up_ends_the_search_and_one_that_is_paused_is_left_alone(desk: Desk) -> None:
    running, paused = await desk.start(FEW), await desk.start(FEW)
    who = desk.tenants.one[Role.DIRETOR]
    await desk.searches.pause(who, paused.id)
    for one in (running, paused):
        await desk.work.fail(who.tenant_id, one.id, "source_unavailable")
    assert [(await desk.searches.get(who, one.id)).state for one in (running, paused)] == ["failed", "paused"]


async def test_a_lease_lives_on_while_something_slow_is_done(desk: Desk, database: Database, owner_dsn: str) -> None:
    search, clock = await desk.start(FEW), SystemClock()
    work = Work(database, clock, lease=timedelta(seconds=0.3))
    taken = await work.take(desk.tenants.one.id, search.id, "slow")
    assert taken is not None

    def until() -> datetime:
        with psycopg.connect(owner_dsn) as conn:
            row = conn.execute("SELECT lease_until FROM prospect_searches WHERE id = %s", [search.id]).fetchone()
        assert row is not None
        return datetime.fromisoformat(str(row[0]))

    first = until()
    async with work.alive(taken):
        async with asyncio.timeout(20):
            while until() <= first + timedelta(seconds=0.5):  # longer than it would have lasted
                await asyncio.sleep(0.02)
