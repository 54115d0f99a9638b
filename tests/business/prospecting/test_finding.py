"""Searches from the first page to the last company, against the simulated registry."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from business.prospecting.enrich import Judge, Used
from business.prospecting.evidence import Evidence, Kind
from business.prospecting.finding import find
from business.prospecting.lessons import Said
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, CandidateState, Progress, Search, State
from business.prospecting.work import Interrupted, Place
from core.errors import Unavailable
from core.tenancy import Role
from integrations.minha_receita.payloads import Company, from_record
from integrations.sandbox_companies import by_cnpj
from tests.business.prospecting.conftest import Desk
from tests.integrations.sandbox import Control

THREE_YEARS_AGO = date(2023, 11, 20)


async def found_by(desk: Desk, search_id: str, verdict: Verdict | None = None) -> list[Candidate]:
    return await desk.searches.candidates(desk.tenants.one[Role.DIRETOR], search_id, verdict=verdict)


async def test_the_sentence_gives_twenty_companies_that_truly_match_told_one_by_one_and_kept_once(desk: Desk) -> None:
    told: list[Candidate] = []

    async def on_candidate(candidate: Candidate) -> None:
        told.append(candidate)

    done = await desk.run(await desk.start(), on_candidate=on_candidate)
    assert (done.state, done.ended, done.progress.qualified) == (State.DONE, "enough", 20)
    qualified = await found_by(desk, done.id, Verdict.QUALIFIED)
    assert len({one.cnpj for one in qualified}) == 20
    for one in qualified:
        truth = by_cnpj()[str(one.cnpj)]
        assert (truth.cnae, truth.city.name, truth.active, truth.head_office) == (7111100, "Campinas", True, True)
        assert truth.opened < THREE_YEARS_AGO
        assert one.score >= 70 and one.reasons() and one.explained()
        assert one.bronze is not None and from_record(one.bronze).cnpj == one.cnpj
        assert all(piece.reference and piece.source for piece in one.evidence)
    assert [one.id for one in told] == sorted(one.id for one in await found_by(desk, done.id))
    # What was left out is counted with its reason, and nothing is lost: everything seen is kept or left out.
    progress = done.progress
    assert set(progress.left_out) <= {"not_active", "branch", "too_young"} and sum(progress.left_out.values()) > 0
    assert progress.seen == progress.kept + sum(progress.left_out.values())


async def test_five_are_looked_at_side_by_side_and_never_one_more_than_could_be_needed(desk: Desk) -> None:
    at_once, most, looked = 0, 0, 0
    five_are_there = asyncio.Event()

    async def scouts(
        _search: Search, _company: Company, evidence: Sequence[Evidence], _judge: Judge
    ) -> tuple[tuple[Evidence, ...], Used]:
        nonlocal at_once, most, looked
        at_once, looked = at_once + 1, looked + 1
        most = max(most, at_once)
        if at_once == 5:
            five_are_there.set()
        async with asyncio.timeout(20):
            await five_are_there.wait()
        at_once -= 1
        return tuple(evidence), Used(sites=1)

    done = await desk.run(await desk.start(), scouts=scouts)
    assert (done.progress.qualified, most) == (20, 5)
    assert looked == done.cost.sites == done.progress.kept + done.progress.duplicates


async def test_the_same_sentence_again_goes_on_with_the_next_and_comes_to_an_end(desk: Desk) -> None:
    everybody: list[str] = []
    ends = []
    for _ in range(5):
        done = await desk.asked()
        everybody += [str(one.cnpj) for one in await found_by(desk, done.id)]
        ends.append(done.ended)
    assert len(everybody) == len(set(everybody))
    assert ends[:2] == ["enough", "enough"] and ends[-1] == "plan_end"
    matching = {
        one.cnpj
        for one in by_cnpj().values()
        if one.cnae == 7111100
        and one.city.name == "Campinas"
        and one.active
        and one.head_office
        and one.opened < THREE_YEARS_AGO
    }
    assert len(matching) > 60 and matching <= set(everybody)  # nobody was passed over


async def test_another_way_to_say_it_goes_on_too_and_another_wish_begins_at_the_beginning(
    desk: Desk, control: Control
) -> None:
    first = await desk.asked("ache 5 escritórios de arquitetura em Campinas com mais de 3 anos")
    again = await desk.asked("find 5 architecture firms in Campinas older than 3 years")
    assert again.progress.left_out.get("known", 0) == 0  # not walked again: the cursor remembers the company
    older = await desk.asked("ache 5 escritórios de arquitetura em Campinas com mais de 4 anos")
    assert older.progress.left_out["known"] >= 8
    ids = [str(one.cnpj) for done in (first, again, older) for one in await found_by(desk, done.id)]
    assert len(ids) == len(set(ids))


async def test_a_registry_that_goes_away_leaves_the_search_to_be_taken_up_where_it_stopped(
    desk: Desk, control: Control
) -> None:
    search = await desk.start("ache 400 dentistas no Brasil todo")
    control.fail("html", status=503, times=50, path="cursor=")  # from the second page on
    with pytest.raises(Unavailable):
        await desk.run(search)
    waiting = await desk.searches.get(desk.tenants.one[Role.DIRETOR], search.id)
    assert waiting.progress.seen == 100 and waiting.progress.kept > 0
    assert waiting.state is State.RUNNING and await desk.work.waiting(desk.tenants.one.id) == [search.id]
    control.heal()
    done = await desk.run(search, worker="another")
    assert done.ended == "plan_end" and done.progress.seen > 110 and "known" not in done.progress.left_out
    assert done.progress.seen == done.progress.kept + sum(done.progress.left_out.values())


class Crash(BaseException):
    """A process that ends in the middle."""


async def test_a_crash_in_the_middle_loses_nothing_and_repeats_nothing(desk: Desk) -> None:
    search = await desk.start()
    count = 0

    async def dies(candidate: Candidate) -> None:
        nonlocal count
        count += 1
        if count == 7:
            raise Crash

    with pytest.raises(Crash):
        await desk.run(search, on_candidate=dies)
    kept = await found_by(desk, search.id)
    assert len(kept) == 7
    after: list[Candidate] = []

    async def told(candidate: Candidate) -> None:
        after.append(candidate)

    done = await desk.run(search, worker="another", on_candidate=told)
    assert not {one.id for one in kept} & {one.id for one in after}
    assert done.progress.qualified == 20 and done.progress.left_out.get("known", 0) == 0
    undisturbed = await desk.searches.start(desk.tenants.other[Role.DIRETOR], "", desk.profile())
    same = await find(desk.work, desk.tenants.other.id, undisturbed.id, desk.registry, worker="x")
    assert same.progress == done.progress


async def test_an_abandoned_lease_keeps_others_away_until_it_runs_out_and_then_another_goes_on(desk: Desk) -> None:
    search = await desk.start()
    taken = await desk.work.take(desk.tenants.one.id, search.id, "dead")
    assert taken is not None  # and then that process is gone
    assert await desk.work.take(desk.tenants.one.id, search.id, "living") is None
    assert (await desk.run(search, worker="living")).progress.seen == 0
    desk.clock.advance(desk.work.lease)
    done = await desk.run(search, worker="living")
    assert done.ended == "enough"
    # The dead one was only slow: it may write nothing any more.
    with pytest.raises(Interrupted):
        await desk.work.keep(taken, "7111100@3509502", Place(None, 0, 0, None), Progress(), taken.search.cost)
    await desk.work.finish(taken, State.FAILED, "late")
    assert (await desk.work.look(desk.tenants.one.id, search.id)).state is State.DONE


async def test_a_pause_halts_at_the_next_company_and_going_on_finishes_the_rest(desk: Desk) -> None:
    search, who = await desk.start(), desk.tenants.one[Role.DIRETOR]
    told: list[Candidate] = []

    async def pauses(candidate: Candidate) -> None:
        told.append(candidate)
        if len(told) == 3:
            await desk.searches.pause(who, search.id)

    halted = await desk.run(search, on_candidate=pauses)
    assert halted.state is State.PAUSED and len(await found_by(desk, search.id)) == 3
    assert (await desk.run(search)).state is State.PAUSED  # nobody works on a paused one
    assert (await desk.searches.resume(who, search.id)).state is State.RUNNING
    done = await desk.run(search)
    assert done.ended == "enough" and done.progress.qualified == 20
    assert (await desk.searches.pause(who, search.id)).state is State.DONE


async def test_branches_of_a_known_house_are_duplicates_when_branches_are_wanted(desk: Desk) -> None:
    done = await desk.asked("ache 200 escritórios de arquitetura em Campinas incluindo filiais")
    duplicates = [one for one in await found_by(desk, done.id) if one.state is CandidateState.DUPLICATE]
    assert duplicates and done.progress.duplicates == len(duplicates)
    by_id = {one.id: one for one in await found_by(desk, done.id)}
    for one in duplicates:
        assert str(by_id[str(one.duplicate_of)].cnpj)[:8] == str(one.cnpj)[:8]


async def test_a_wish_that_the_registry_cannot_tell_leaves_companies_to_a_person_and_ends_in_time(desk: Desk) -> None:
    done = await desk.asked("ache 3 escritórios de arquitetura em Campinas com Instagram")
    assert (done.ended, done.progress.qualified) == ("enough_to_look_at", 0)
    assert done.progress.person == 15
    one = (await found_by(desk, done.id))[0]
    assert 50 <= one.score < 70 <= one.scored["best"] and one.scored["wish_open"]
    assert "prospecting.reason.open" in [line.key for line in one.reasons()]


async def test_unreadable_entries_are_counted_and_their_siblings_kept(desk: Desk, control: Control) -> None:
    good = {
        "cnpj": "11222333000181", "razao_social": "IPE ARQUITETURA LTDA", "situacao_cadastral": 2,
        "cnae_fiscal": 7111100, "codigo_municipio_ibge": 3509502, "data_inicio_atividade": "2015-01-01",
        "identificador_matriz_filial": 1, "ddd_telefone_1": "1932324455",
    }  # fmt: skip
    control.answer({"data": [{"cnpj": None}, "nonsense", good], "cursor": None})
    done = await desk.asked("ache 1 escritório de arquitetura em Campinas")
    assert done.progress.left_out == {"unreadable": 2} and done.progress.qualified == 1


async def test_a_search_that_the_registry_refuses_ends_as_failed_with_the_reason(desk: Desk, control: Control) -> None:
    control.answer({"message": "não"}, status=403)
    done = await desk.asked()
    assert (done.state, done.ended) == (State.FAILED, "registry_refused")


async def test_feedback_moves_the_like_of_it_in_the_next_search_and_says_so(desk: Desk) -> None:
    who = desk.tenants.one[Role.DIRETOR]
    first = await desk.asked("ache 5 escritórios de arquitetura em Campinas com mais de 3 anos")
    one = (await found_by(desk, first.id))[0]
    truth = by_cnpj()[str(one.cnpj)]
    told = await desk.searches.say(who, one.id, Said.NOT_THIS_KIND)
    assert told and {line.key for line in told} == {"prospecting.lesson.less"}
    assert (await desk.searches.candidate(who, one.id)).state is CandidateState.REJECTED
    second = await desk.asked("ache 40 escritórios de arquitetura em Campinas com mais de 3 anos")
    lowered = [
        candidate
        for candidate in await found_by(desk, second.id)
        if by_cnpj()[str(candidate.cnpj)].size_code == truth.size_code
    ]
    assert lowered
    for candidate in lowered:
        line = next(each for each in candidate.explained() if each.key == "prospecting.explain.feedback")
        assert any(lesson.params["not_this_kind"] == 1 for lesson in line.params["lessons"])
    # The last word counts: it was won after all.
    assert {line.key for line in await desk.searches.say(who, one.id, Said.WON)} == {"prospecting.lesson.more"}
    assert {line.key for line in await desk.searches.learnt(who)} == {"prospecting.lesson.more"}


async def test_a_search_that_corrects_another_looks_at_its_companies_again_but_for_those_decided_about(
    desk: Desk,
) -> None:
    who = desk.tenants.one[Role.DIRETOR]
    seen = Evidence(Kind.WEBSITE, "https://sorriso.example/", "SerpAPI", "https://maps.example/1", desk.clock.now())

    async def scouts(_search: Search, _company: Company, evidence: Sequence[Evidence], _judge: Judge) -> Any:
        return (*evidence, seen), Used()

    first = await desk.run(await desk.start("dentistas em Sorocaba"), scouts=scouts)
    before = await found_by(desk, first.id)
    refused, *others = before
    await desk.searches.say(who, refused.id, Said.NOT_THIS_KIND)
    await desk.searches.mark(who, others[0].id, CandidateState.SAVED)
    assert await desk.searches.release(who, first.id) == len(others)
    again = await desk.run(await desk.start("dentistas em Sorocaba com telefone"))
    after = await found_by(desk, again.id)
    assert {one.id for one in after} == {one.id for one in others}, "the same companies, not other rows of them"
    assert {one.id: one.state for one in after}[others[0].id] is CandidateState.SAVED
    assert all(seen in one.evidence for one in after), "what the web told need not be learnt again"
    assert [one.id for one in await found_by(desk, first.id)] == [refused.id]
    assert again.progress.kept == len(others) and again.progress.left_out["known"] == 1
    told, _ = await desk.searches.found_after(who, again.id)
    assert {one.id for one in told} == {one.id for one in after}
