"""The tools of conversations with contacts: for such turns alone, for that one conversation alone, each effect once."""

from dataclasses import replace

from core.tenancy import Role
from tests.crews.sdr.conftest import folder, house
from tests.crews.sdr.talks import House
from tools.sdr import SDR_TOOLS


async def test_nobody_of_the_house_can_call_them_and_no_contact_can_call_others(house: House) -> None:
    talk = await house.talk()
    await talk.say("oi")
    turn = replace(talk.turn, contact=None, identity=house.admin, results=[], calls={})
    for spec in SDR_TOOLS:
        assert spec.for_contact
        outcome = await house.runner.call(turn, spec.name, {"query": "x", "quote": "oi", "starts": "2026-11-26T15:00",
                                                            "slot": "need", "reading": "clear", "stage": "lost",
                                                            "reason": "asked"})  # fmt: skip
        assert outcome.error_code in ("only_for_contacts", "arguments_wrong")


async def test_a_conversation_of_another_company_tells_nothing_and_takes_nothing(house: House) -> None:
    talk = await house.talk()
    await talk.say("quero mais pacientes pra minha clínica, é urgente")
    await talk.say("quinta às 15h")
    other = await house.people.add_tenant("Loja Dois", slug="loja-dois")
    await house.people.add_user(other.id, "x@dois.example", "Dora", Role.ADMIN, None)
    agent = await house.people.agent(other.id)
    turn = replace(talk.turn, identity=agent, results=[], calls={}, kept={}, session={})
    brief = await house.runner.call(turn, "sdr_brief", {})
    assert brief.ok and brief.data["evidence"] == [] and brief.data["catalogue"] == [] and brief.data["meeting"] is None
    assert brief.data["persona"]["company"] == "Loja Dois" and brief.data["stage"] == "introduction"
    found = await house.runner.call(turn, "search_documents", {"query": "tem fidelidade?"})
    assert found.data["passages"] == []
    before = await talk.known()
    await house.runner.call(turn, "note_fact", {"slot": "budget", "reading": "fits", "quote": "quinta"})
    await house.runner.call(turn, "cancel_meeting", {"quote": "quinta às 15h"})
    assert await talk.known() == before
    assert len(await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id)) == 1


async def test_the_same_booking_and_the_same_words_twice_are_one(house: House) -> None:
    talk = await house.talk()
    await talk.say("quero mais pacientes, pra esse mês")
    await talk.say("quinta às 15h")
    again = replace(talk.turn, results=[], calls={}, kept={})
    assert (await house.runner.call(again, "book_meeting", {"starts": "2026-11-26T15:00"})).ok
    quote = {"slot": "need", "reading": "clear", "quote": "quero mais pacientes, pra esse mês"}
    assert (await house.runner.call(again, "note_fact", quote)).ok
    assert len(await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id)) == 1
    assert [one.slot for one in (await talk.known()).evidence].count("need") == 1  # type: ignore[arg-type]
    assert [kind for _, kind, _, _ in house.told].count("meeting_booked") == 1


async def test_documents_are_found_with_their_source_follow_their_folder_and_go_when_they_go(house: House) -> None:
    talk = await house.talk()
    await talk.say("oi")
    tenant = house.tenant_id

    async def ask(question: str) -> list[dict[str, object]]:
        await house.memory.catch_up(tenant)
        turn = replace(talk.turn, results=[], calls={})
        found = await house.runner.call(turn, "search_documents", {"query": question})
        assert found.data["available"] and found.data["origin"] == "file"
        return [one for one in found.data["passages"] if one["answers"]]

    (first, *_) = await ask("tem contrato de fidelidade?")
    assert first["file"] == "perguntas-frequentes.md" and "sem multa" in str(first["text"])
    for question in ("tem contrato longo?", "posso cancelar quando quiser?"):
        assert "sem multa" in str((await ask(question))[0]["text"]), "the key words stand in it, whatever else is asked"
    for question in ("vocês aceitam criptomoeda?", "fazem anúncio pra barbearia?", "fazem tráfego pago?"):
        assert await ask(question) == [], "a word that stands in many passages tells none"
    documents = house.files.folder("agencia-ipe") / "documents"
    documents.mkdir(parents=True)
    (documents / "entrega.txt").write_text("Entregamos os criativos em 3 dias úteis.", encoding="utf-8")
    (documents / "latin.txt").write_bytes("criação".encode("latin-1"))
    done = await house.library.sync(tenant, "agencia-ipe")
    assert (done.added, done.removed, done.skipped) == (1, 2, ("latin.txt",)), (
        "their own folder takes the sample's place"
    )
    assert [one["file"] for one in await ask("em quantos dias entregam os criativos?")] == ["entrega.txt"]
    await house.library.add(tenant, "precos.md", "# Pagamento\n\nParcelamos em até 3 vezes no cartão.")
    assert (await ask("parcelam no cartão?"))[0]["document"] == "Pagamento"
    (documents / "entrega.txt").unlink()
    assert (await house.library.sync(tenant, "agencia-ipe")).removed == 1
    assert await ask("em quantos dias entregam os criativos?") == []
    assert [one.name for one in await house.library.list(tenant)] == ["precos.md"], "what was added by command stays"


__all__ = ["folder", "house"]
