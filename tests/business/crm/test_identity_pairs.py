"""The labelled pairs are well formed. Whether the matcher agrees with them is another test's question."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FIELDS = {
    "name": str,
    "company": str,
    "phones": list,
    "whatsapp_id": str,
    "bsuid": str,
    "lid": str,
    "emails": list,
    "cpf": str,
    "cnpj": str,
    "instagram": str,
    "linkedin": str,
    "city": str,
    "address": str,
}
# The things of these only look shared: junk, or numbers that end alike.
LOOK_ALIKE = {
    "junk-shared",
    "landline-plus-nine",
    "other-area-code",
    "phone-no-ddd",
    "near-number",
    "foreign-look-alike",
}
NO_STREET = {"avenida", "conjunto", "andar", "sala", "loja", "bloco"}


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    path = Path(__file__).parent / "data" / "identity_pairs.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8")))


def negatives(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [pair for pair in pairs if not pair["same"]]


def phones(record: dict[str, Any]) -> set[str]:
    given = [*record.get("phones", []), record.get("whatsapp_id", "")]
    digits = (re.sub(r"\D", "", re.split(r"ramal|r\.", phone)[0]) for phone in given)
    return {number[-8:] for number in digits if len(number) >= 3}


def emails(record: dict[str, Any]) -> set[str]:
    found = set()
    for email in record.get("emails", []):
        local, at, domain = email.lower().partition("@")
        if domain == "gmail.com":
            local = local.partition("+")[0].replace(".", "")
        found.add(local + at + domain)
    return found


def same_building(a: dict[str, Any], b: dict[str, Any]) -> bool:
    one, other = a.get("address", ""), b.get("address", "")
    numbers = [re.search(r"(?<=[ ,])\d+", address) for address in (one, other)]
    words = [set(re.findall(r"[^\W\d]{4,}", address.lower())) - NO_STREET for address in (one, other)]
    return all(numbers) and len({found[0] for found in numbers if found}) == 1 and bool(words[0] & words[1])


def share_phone_email_or_building(pair: dict[str, Any]) -> bool:
    a, b = pair["a"], pair["b"]
    shared = phones(a) & phones(b) or emails(a) & emails(b) or same_building(a, b)
    return bool(shared) and pair["kind"] not in LOOK_ALIKE


def right_check_digits(document: str, length: int) -> bool:
    text = re.sub(r"[^0-9A-Z]", "", document.upper()).zfill(length)
    turn = 10 if length == 11 else 8  # weights rise from 2, right to left; a CNPJ's begin again after 9
    for end in (length - 2, length - 1):
        weights = [(end - 1 - place) % turn + 2 for place in range(end)]
        rest = sum((ord(sign) - 48) * weight for sign, weight in zip(text[:end], weights, strict=True)) % 11
        if text[end] != str(0 if rest < 2 else 11 - rest):
            return False
    return len(text) == length


def test_every_pair_has_an_id_of_its_own_a_kind_a_label_and_a_reason(pairs: list[dict[str, Any]]) -> None:
    assert len({pair["id"] for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert {"id", "kind", "same", "a", "b", "why"} <= set(pair) <= {"id", "kind", "same", "ask", "a", "b", "why"}
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", pair["id"]), pair["id"]
        assert isinstance(pair["same"], bool) and pair["why"].endswith("."), pair["id"]
        assert "ask" not in pair or (pair["ask"] is True and pair["same"] is False), pair["id"]


def test_records_hold_only_known_fields_as_text(pairs: list[dict[str, Any]]) -> None:
    for pair in pairs:
        for record in (pair["a"], pair["b"]):
            assert record, pair["id"]
            for field, value in record.items():
                assert isinstance(value, FIELDS[field]), (pair["id"], field)
                assert isinstance(value, str) or all(isinstance(item, str) for item in value), (pair["id"], field)


def test_no_pair_stands_there_twice(pairs: list[dict[str, Any]]) -> None:
    assert len({str(sorted(map(str, (pair["a"], pair["b"])))) for pair in pairs}) == len(pairs)


def test_there_are_enough_pairs_of_both_labels(pairs: list[dict[str, Any]]) -> None:
    assert len(pairs) >= 340
    assert len(negatives(pairs)) >= 170
    assert len(pairs) - len(negatives(pairs)) >= 150


def test_150_negatives_share_a_phone_a_building_or_an_email(pairs: list[dict[str, Any]]) -> None:
    assert sum(map(share_phone_email_or_building, negatives(pairs))) >= 150


def test_documents_have_right_check_digits_unless_the_kind_says_otherwise(pairs: list[dict[str, Any]]) -> None:
    for pair in pairs:
        if pair["kind"].startswith("junk-"):
            continue
        documents = [(r[f], n) for r in (pair["a"], pair["b"]) for f, n in (("cpf", 11), ("cnpj", 14)) if f in r]
        right = all(right_check_digits(document, length) for document, length in documents)
        assert right is not pair["kind"].endswith("-invalid-digit"), pair["id"]


@pytest.mark.parametrize(
    ("document", "length", "right"),
    [
        ("529.982.247-25", 11, True),
        ("529.982.247-26", 11, False),
        ("11.222.333/0001-81", 14, True),
        ("12.ABC.345/01DE-35", 14, True),
        ("12.abc.345/01de-35", 14, True),
        ("12.ABC.345/01DE-36", 14, False),
    ],
)
def test_the_check_digits_are_those_of_published_examples(document: str, length: int, right: bool) -> None:
    assert right_check_digits(document, length) is right
