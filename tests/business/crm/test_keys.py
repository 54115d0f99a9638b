"""Telephones, e-mails, documents and handles come to one form, and what cannot be one proves nothing."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from business.crm.identity import (
    AREA_CODES,
    KeyKind,
    Record,
    Verdict,
    cnpj,
    cpf,
    email,
    instagram,
    is_landline,
    is_mobile,
    key,
    linkedin,
    match,
    phone,
    record,
    wa_id,
)
from business.crm.names import Likeness, compare_companies, compare_people

areas = st.sampled_from(sorted(AREA_CODES))
mobiles = st.from_regex(r"[6-9][0-9]{7}", fullmatch=True).filter(lambda n: phone(f"19{n}") is not None)
landlines = st.from_regex(r"[2-5][0-9]{7}", fullmatch=True).filter(lambda n: phone(f"19{n}") is not None)
WAYS = ("+55{a}{n}", "55{a}{n}", "{a}{n}", "0{a}{n}", "({a}) {x}-{y}", "+55 ({a}) {x}-{y}", "0xx{a} {x}.{y}",
        "0055 {a} {n}", "{a} {n} ramal 12", "+55 {a} {x} {y}", "041 {a} {n}", "tel: ({a}){n}")  # fmt: skip


@given(areas, mobiles, st.booleans(), st.sampled_from(WAYS))
def test_a_mobile_comes_to_one_form_in_every_writing_with_and_without_its_ninth_digit(
    area: str, number: str, ninth: bool, way: str
) -> None:
    written = f"9{number}" if ninth else number
    text = way.format(a=area, n=written, x=written[:-4], y=written[-4:])
    assert phone(text) == f"+55{area}9{number}"
    assert is_mobile(f"+55{area}9{number}")


@given(areas, landlines, st.sampled_from(WAYS))
def test_a_landline_never_gets_a_ninth_digit(area: str, number: str, way: str) -> None:
    value = phone(way.format(a=area, n=number, x=number[:-4], y=number[-4:]))
    assert value == f"+55{area}{number}"
    assert is_landline(value) and not is_mobile(value)
    assert phone(f"{area}9{number}") != value


@given(st.text(max_size=40))
def test_any_text_is_a_telephone_or_none_and_its_form_is_its_own_form(text: str) -> None:
    value = phone(text)
    if value is not None and value.startswith("+"):
        assert phone(value) == value


@pytest.mark.parametrize(
    "text",
    ["", "-", "99999-9999", "(11) 00000-0000", "1234-5678", "0800 123 4567", "4004-1234", "ramal 20", "Rua 7, 1200",
     "(20) 98765-4329", "123", "11 11111-1111"],
)  # fmt: skip
def test_what_is_nobodys_telephone_is_none(text: str) -> None:
    assert phone(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1 (551) 998-7654", "+15519987654"),
        ("+351 912 345 679", "+351912345679"),
        ("0044 20 7946 0018", "+442079460018"),
        ("98765-4329", "?987654329"),
        ("8765-4329", "?987654329"),
        ("3251-4329", "?32514329"),
    ],
)
def test_other_countries_stay_as_they_are_and_an_unknown_area_code_is_told(text: str, value: str) -> None:
    assert phone(text) == value


def test_a_whatsapp_id_meets_the_telephone_and_a_key_keeps_what_was_given() -> None:
    assert wa_id("551987654329@s.whatsapp.net") == phone("(19) 98765-4329") == wa_id("5519987654329")
    made = key(KeyKind.WA_ID, "551987654329")
    assert made is not None and made.given == "551987654329"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" Ana.Lima@Empresa.com.BR ", "ana.lima@empresa.com.br"),
        ("Ana.Lima+crm@Gmail.com", "analima@gmail.com"),
        ("analima@googlemail.com", "analima@gmail.com"),
        ("ana.lima+crm@outlook.com", "ana.lima@outlook.com"),
        ("ana.lima+crm@empresa.com", "ana.lima+crm@empresa.com"),
        ("Ana Lima <Ana@X.org>", "ana@x.org"),
        ("mailto:ana@x.org", "ana@x.org"),
        ("naotem@gmail.com", None),
        ("teste@teste.com", None),
        ("ana@", None),
        ("ana lima", None),
    ],
)
def test_an_email_comes_to_one_form(text: str, value: str | None) -> None:
    assert email(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("529.982.247-25", "52998224725"),
        ("52998224725", "52998224725"),
        ("529.982.247-26", None),
        ("111.111.111-11", None),
        ("191", None),
        ("012.345.678-90", "01234567890"),
        ("1234567890", "01234567890"),
    ],
)
def test_a_cpf_is_one_when_its_check_digits_are_right(text: str, value: str | None) -> None:
    assert cpf(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("11.222.333/0001-81", "11222333000181"),
        ("12.abc.345/01de-35", "12ABC34501DE35"),
        ("12.ABC.345/01DE-36", None),
        ("00.000.000/0000-00", None),
        ("191/0001-00", None),
    ],
)
def test_a_cnpj_may_have_letters_and_must_have_right_check_digits(text: str, value: str | None) -> None:
    assert cnpj(text) == value


@given(st.text(string.digits, min_size=9, max_size=9))
def test_exactly_one_pair_of_check_digits_fits_a_cpf(stem: str) -> None:
    fitting = [f"{stem}{n:02d}" for n in range(100) if cpf(f"{stem}{n:02d}")]
    assert len(fitting) == (0 if len(set(stem)) == 1 and fitting == [] else 1)


def test_handles_come_out_of_addresses() -> None:
    assert instagram("https://www.instagram.com/Ana.Arq/?igsh=x") == instagram("@ana.arq") == "ana.arq"
    assert instagram("https://instagram.com/p/") is None
    assert (
        linkedin("https://br.linkedin.com/in/Ana-Lima-1b2/pt?x=1") == linkedin("/in/ana-lima-1b2") == "in/ana-lima-1b2"
    )
    assert linkedin("linkedin.com/company/ipe") == "company/ipe"


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ("Dra. Ana Lúcia de Souza", "ana lucia sousa", Likeness.SAME),
        ("Souza, Ana", "Ana Souza", Likeness.SAME),
        ("Thiago Almeida", "Tiago Almeyda", Likeness.SAME),
        ("Bia Ramos", "Beatriz Ramos", Likeness.COMPATIBLE),
        ("Rafa", "Rafael Costa", Likeness.COMPATIBLE),
        ("Maria Lima", "Mariana Lima", Likeness.RELATED),
        ("Paulo Reis", "Paula Reis", Likeness.NEAR),
        ("José Alves", "José Alves Filho", Likeness.GENERATION),
        ("José Alves Neto", "José Alves Filho", Likeness.RELATED),
        ("Camila Rocha", "Camila Teixeira", Likeness.RENAMED),
        ("Daniel Rezek", "Daniela Rezek", Likeness.NEAR),
        ("João Pedro Vasques", "João Paulo Vasques", Likeness.RELATED),
        ("não informado", "Ana Souza", Likeness.UNKNOWN),
        ("Ana Souza", "Bruno Reis", Likeness.UNLIKE),
        ("Ana", None, Likeness.UNKNOWN),
    ],
)
def test_names_are_compared_as_a_person_would(one: str, other: str | None, likeness: Likeness) -> None:
    assert compare_people(one, other) is likeness
    assert compare_people(other, one) is likeness


def test_a_companys_legal_form_says_nothing() -> None:
    assert compare_companies("Padaria Pão Quente Ltda - ME", "PADARIA PAO QUENTE") is Likeness.SAME
    assert compare_companies("Ipê Arquitetura", "Ipê Arquitetura e Interiores S/A") is Likeness.COMPATIBLE
    assert compare_companies("Ipê Arquitetura", "Aroeira Engenharia") is Likeness.UNLIKE


records = st.builds(
    record,
    name=st.sampled_from([None, "Ana Lima", "Ana Lúcia Lima", "Bruno Lima", "Bruno Lima Filho", "Carla Reis"]),
    company=st.sampled_from([None, "Ipê Ltda", "Aroeira"]),
    city=st.sampled_from([None, "Campinas"]),
    keys=st.lists(
        st.sampled_from(
            [
                (KeyKind.PHONE, "19 98765-4329"),
                (KeyKind.PHONE, "19 3251-4329"),
                (KeyKind.WA_ID, "551987654329"),
                (KeyKind.EMAIL, "ana@gmail.com"),
                (KeyKind.EMAIL, "contato@ipe.com.br"),
                (KeyKind.CPF, "52998224725"),
                (KeyKind.CPF, "01234567890"),
                (KeyKind.LID, "12345678901"),
                (KeyKind.CNPJ, "11222333000181"),
            ]
        ),
        max_size=4,
    ),
)


@given(records, records)
def test_a_match_is_the_same_from_both_sides_and_always_says_why(a: Record, b: Record) -> None:
    there, back = match(a, b), match(b, a)
    assert (there.verdict, there.rule) == (back.verdict, back.rule)
    if there.verdict is not Verdict.DIFFERENT:
        assert any(evidence.agrees for evidence in there.evidence)


@given(records)
def test_a_record_with_something_of_its_own_is_the_same_as_itself(one: Record) -> None:
    own = {KeyKind.WA_ID, KeyKind.LID}
    if {found.kind for found in one.keys} & own and len({k.value for k in one.keys if k.kind is KeyKind.CPF}) < 2:
        assert match(one, one).verdict is Verdict.SAME or (not one.name and one.company)


def test_behind_a_shared_mailbox_a_slip_in_the_name_is_asked_about() -> None:
    box = [(KeyKind.EMAIL, "contato@ipe.com.br")]
    one = record("Wilhelmina Kotaka", keys=box)
    assert match(one, record("Kotaka, Wilhelmina", keys=box)).verdict is Verdict.SAME
    assert match(one, record("Vilhelmina Kotaka", keys=box)).verdict is Verdict.ASK
    assert match(one, record("Maria Silva", keys=box)).verdict is Verdict.DIFFERENT
    assert match(record("Maria Silva", keys=box), record("Maria Silva", keys=box)).verdict is Verdict.ASK
