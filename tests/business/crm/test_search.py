"""Records are found by the beginnings of what people remember of them."""

from business.crm.identity import KeyKind
from business.crm.model import Subject
from business.crm.search import asked_words
from business.crm.service import Crm
from core.tenancy import Identity, Role
from tests.business.crm.conftest import CNPJ, EMAIL, PHONE, firm, person
from tests.conftest import Tenants


async def fill(crm: Crm, who: Identity) -> None:
    ana = person("Ana Lúcia Conceição", (PHONE, "(19) 98765-4329"), (EMAIL, "ana.lucia@ipe.com.br"), city="São Carlos",
                 company_name="Ipê Arquitetura", tags=("Indicação",))  # fmt: skip
    await crm.upsert_contact(who, ana)
    await crm.upsert_contact(
        who, person("Bruno Anacleto", (PHONE, "+1 415 555 2671"), (KeyKind.INSTAGRAM, "@bruno.anac"))
    )
    await crm.upsert_company(
        who,
        firm(
            "Padaria Pão Quente",
            (CNPJ, "12.ABC.345/01DE-35"),
            (PHONE, "16 3251-4329"),
            city="São Carlos",
            uf="SP",
            website="https://www.paoquente.example/contato",
        ),
    )


ASKED: list[tuple[str, set[str]]] = [
    ("ana", {"Ana Lúcia Conceição", "Bruno Anacleto"}),
    ("ANA LUCIA", {"Ana Lúcia Conceição"}),
    ("conceicao ana", {"Ana Lúcia Conceição"}),
    ("ipe", {"Ana Lúcia Conceição"}),
    ("arqui sao", {"Ana Lúcia Conceição"}),
    ("são carlos", {"Ana Lúcia Conceição", "Padaria Pão Quente"}),
    ("indicacao", {"Ana Lúcia Conceição"}),
    ("98765", {"Ana Lúcia Conceição"}),
    ("8765-4329", {"Ana Lúcia Conceição"}),
    ("(19) 9876", {"Ana Lúcia Conceição"}),
    ("+55 19 98765-4329", {"Ana Lúcia Conceição"}),
    ("19 8765 4329", {"Ana Lúcia Conceição"}),
    ("4329", {"Ana Lúcia Conceição", "Padaria Pão Quente"}),
    ("16 3251", {"Padaria Pão Quente"}),
    ("+1 415 555 2671", {"Bruno Anacleto"}),
    ("ana.lucia@ipe", {"Ana Lúcia Conceição"}),
    ("ipe.com.br", {"Ana Lúcia Conceição"}),
    ("@bruno.anac", {"Bruno Anacleto"}),
    ("12abc34501de35", {"Padaria Pão Quente"}),
    ("pão quente sp", {"Padaria Pão Quente"}),
    ("paoquente.example", {"Padaria Pão Quente"}),
    ("lucia quente", set()),
    ("úcia", set()),
    ("'; DROP TABLE crm_words; --", set()),
    ("%", {"Ana Lúcia Conceição", "Bruno Anacleto", "Padaria Pão Quente"}),
]


async def test_every_word_begins_a_word_of_the_record(crm: Crm, tenants: Tenants) -> None:
    who, stranger = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    await fill(crm, who)
    for text, names in ASKED:
        assert {found.name for found in await crm.search(who, text)} == names, text
        assert await crm.search(stranger, text) == [], text


async def test_a_search_can_be_narrowed_and_is_cut_at_its_limit(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    for n in range(5):
        tags = ("par",) if n % 2 == 0 else ()
        await crm.upsert_contact(who, person(f"Pessoa Kuhn {n}", (PHONE, f"19 98765-430{n}"), tags=tags))
    assert [found.name for found in await crm.search(who, "kuhn", limit=2)] == ["Pessoa Kuhn 0", "Pessoa Kuhn 1"]
    assert [found.name for found in await crm.search(who, "kuhn", tag="Par")] == [f"Pessoa Kuhn {n}" for n in (0, 2, 4)]
    assert await crm.search(who, "kuhn", owner_id=who.user_id) == []
    assert await crm.search(who, "kuhn", subjects=(Subject.COMPANY,)) == []
    assert len(await crm.search(who)) == 5


def test_a_telephone_is_one_word_in_every_writing() -> None:
    assert asked_words("+55 (19) 8765-4329") == asked_words("019 98765 4329") == ["19987654329"]
    assert asked_words("98765-43") == ["9876543"]
    assert asked_words("Ana  ANA lima") == ["ana", "lima"]
